"""One image looked into as deep as it goes: everything that lies under its keys is opened, and held against what is
known of it. Nothing is changed, and no plain byte leaves this process."""

import errno
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from cryptography.exceptions import InvalidTag

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.holdings.damage import Damage
from mdm_async.catalog.holdings.generations import Keyed, SealedView
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.errors import Damaged, Lost, Unavailable
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.parts import adler, pacs_source, record
from mdm_async.images.parts.record import PartRecord, ViewRecord
from mdm_async.images.reading.buffers import give_back
from mdm_async.images.reading.opened import opened
from mdm_async.images.reading.served import IDENTIFIED_VERSION
from mdm_async.images.reading.view import ReadyView, Run, of_part
from mdm_async.keys.derive import RecordCipher
from mdm_async.keys.store import IDENTITY, Secrets
from mdm_async.names import IDENTIFIED

KEYS: Final = "keys"
"""The image's secrets are not in the key store, or do not open."""
RECORD: Final = "record"
"""What is sealed in the catalog beside the parts."""
PART: Final = "part"
"""Bytes of a view."""
ENTRY: Final = "entry"
"""A name points to it that was given to another image."""
LOST: Final = "lost"
"""Its bytes are gone, or some of them."""

_T = TypeVar("_T")


@dataclass(slots=True)
class Looked:
    """At one image: `bytes` of ciphertext were opened."""

    damage: list[Damage] = field(default_factory=list)
    bytes: int = 0


async def looked_into(blobs: BlobStore, cipher: CipherPool, found: Keyed, secrets: Secrets | None) -> Looked:
    """`secrets`: with the identifying one; None when they do not open. A part that several views share is read once,
    and is damaged in each. Raises Unavailable when the store is away.
    """
    if secrets is None:
        return Looked([Damage(KEYS, "the image's stored secrets do not open")])
    look = _Look(blobs, cipher, found, secrets)
    await look.at_all()
    return look.looked


@dataclass(slots=True)
class _Look:
    blobs: BlobStore
    cipher: CipherPool
    found: Keyed
    secrets: Secrets
    looked: Looked = field(default_factory=Looked)
    _parts: dict[UUID, tuple[str, str] | None] = field(default_factory=dict)
    """What is wrong with those that were read; None: nothing."""

    async def at_all(self) -> None:
        self._at_records()
        rows = {part.id: part for part in self.found.parts}
        for view in self.found.views:
            opened_ = self._record(view)
            if opened_ is None:
                continue
            for part in _needed(opened_):
                if part.id not in self._parts:
                    self._parts[part.id] = await self._at_part(rows.get(part.id), part)
                if (wrong := self._parts[part.id]) is not None:
                    row = rows.get(part.id)
                    blob = row.blob if row is not None else None
                    self.looked.damage.append(Damage(*wrong, view.name, view.version, part.id, blob))

    def _at_records(self) -> None:
        identity = RecordCipher(self.secrets.of(IDENTITY), self.found.image)
        if (said := self.found.original) is not None:
            version = IDENTIFIED_VERSION + record.ATTRIBUTES
            self._open("what is indexed of the original", lambda: identity.open(said, IDENTIFIED, version))
        if self.found.source is not None:
            id_, sealed = self.found.source
            self._open(
                "the image's source",
                lambda: pacs_source.unseal(sealed, self.secrets.of(IDENTITY), self.found.image, id_),
            )

    def _record(self, view: SealedView) -> ViewRecord | None:
        secret, image = self.secrets.of(view.secret), self.found.image
        named = (view.name, view.version)
        if (report := view.report) is not None:
            self._open("the report", lambda: record.unseal_report(report, secret, image, *named), *named)
        if (sealed := view.record) is None:
            return None
        return self._open("the record", lambda: record.unseal(sealed, secret, image, *named), *named)

    def _open(
        self, what: str, opening: Callable[[], _T], view: str | None = None, version: str = ""
    ) -> _T | None:
        try:
            return opening()
        except (InvalidTag, Damaged, zlib.error):
            self.looked.damage.append(Damage(RECORD, f"{what} does not open", view, version))
            return None

    async def _at_part(self, row: Part | None, part: PartRecord) -> tuple[str, str] | None:
        """The kind of what is wrong with it, and that in words."""
        if row is None:
            return PART, "it is missing"
        self.looked.bytes += row.cipher_size
        try:
            alone = await self.cipher.run(partial(of_part, self.found.image, row, part, self.secrets))
            sums = await self._sums(row, alone)
        except Damaged as why:
            return LOST if isinstance(why, Lost) else PART, why.detail
        except Unavailable as why:
            # A disk that cannot read these bytes is not away: the others are to be looked at.
            if not (isinstance(why.__cause__, OSError) and why.__cause__.errno == errno.EIO):
                raise
            return PART, why.detail
        if sums.plain != part.adler32:
            return PART, "its bytes are others than were stored"
        if sums.cipher != row.cipher_adler:
            return PART, "its ciphertext has another checksum than the catalog says"
        return None

    async def _sums(self, row: Part, alone: ReadyView) -> "_Sums":
        if row.inline is not None:
            (inline,) = alone.parts
            assert inline.plain is not None
            return await self.cipher.run(partial(_sums_of, inline.plain, row.inline))
        assert row.blob is not None
        total = _Sums(1, 1)
        async with opened(self.blobs, [(row.blob, row.cipher_size)]) as readers:
            for run in alone.runs(0, alone.size):
                assert isinstance(run, Run)
                sums = await readers[row.blob].apply(run.offset, run.size, partial(_sums_of_run, run))
                total = total.then(sums, run.stop - run.start, run.size)
        return total


@dataclass(frozen=True, slots=True)
class _Sums:
    """ADLER32 of what is in a part, and of what lies there."""

    plain: int
    cipher: int

    def then(self, next_: "_Sums", plain_size: int, cipher_size: int) -> "_Sums":
        return _Sums(
            adler.combine(self.plain, next_.plain, plain_size),
            adler.combine(self.cipher, next_.cipher, cipher_size),
        )


def _sums_of(plain: bytes, cipher: bytes) -> _Sums:
    return _Sums(zlib.adler32(plain), zlib.adler32(cipher))


def _sums_of_run(run: Run, cipher: memoryview) -> _Sums:
    plain = run.look(cipher)
    sums = _Sums(zlib.adler32(plain), zlib.adler32(cipher))
    give_back(plain)
    return sums


def _needed(opened_: ViewRecord) -> list[PartRecord]:
    parts = [*opened_.parts, *([opened_.shared] if opened_.shared is not None else [])]
    parts += [part.seen.index for part in parts if part.seen is not None and part.seen.index is not None]
    return list({part.id: part for part in parts}.values())
