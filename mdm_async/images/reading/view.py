"""A view, ready to be read: its parts in file order with their keys, as one run of bytes."""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag

from mdm_async.catalog.holdings import images
from mdm_async.catalog.holdings.images import Part, StoredView
from mdm_async.crypt4gh.segment import RUN, SEGMENT, SegmentKey, cipher_size, covering, padded, segment_count
from mdm_async.errors import BadSeal, Damaged, Gone, MdmError, ViewPending, ViewRefused
from mdm_async.images.archive import Archive
from mdm_async.images.metrics import SEGMENTS_DECRYPTED
from mdm_async.images.parts import record
from mdm_async.images.parts.record import PartRecord, ViewRecord
from mdm_async.keys.derive import StreamKey, part_key
from mdm_async.keys.store import Secrets
from mdm_async.names import IDENTIFIED, View
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True, repr=False)
class ReadyPart:
    """One part of a view. `plain` is held for inline parts, which are small; blobs are read run by run."""

    row: Part
    record: PartRecord
    key: StreamKey
    opener: SegmentKey
    plain: bytes | None

    @property
    def stored_size(self) -> int:
        """Bytes under the cipher, padding included."""
        return padded(self.record.size) if self.record.padded else self.record.size


@dataclass(frozen=True, slots=True)
class Run:
    """Some consecutive segments of a blob, and which of their plain bytes are wanted."""

    part: ReadyPart
    first: int
    offset: int
    size: int
    start: int
    stop: int

    def open(self, cipher: memoryview) -> memoryview:
        """The wanted bytes. Raises Damaged when the store gave back something else than it was given."""
        try:
            plain = self.part.opener.decrypt_run(cipher, self.first, segment_count(self.part.stored_size))
        except BadSeal as why:
            raise Damaged(f"a stored part does not open: {why.detail}") from why
        SEGMENTS_DECRYPTED[self.part.row.kind].inc(segment_count(len(plain)))
        return memoryview(plain)[self.start : self.stop]


@dataclass(frozen=True, slots=True, repr=False)
class ReadyView:
    """A view's bytes: the concatenation of its parts. It never changes."""

    image: UUID
    view: str
    parts: tuple[ReadyPart, ...]
    record: ViewRecord
    size: int
    adler32: int
    etag: str
    """Names the stored parts, not their content: it tells nothing of what is in them."""

    @property
    def version(self) -> str:
        return self.record.version

    @property
    def sha256(self) -> str | None:
        return self.record.sha256

    def runs(self, start: int, stop: int) -> Iterator[Run | memoryview]:
        """What to read for the bytes start ≤ i < stop, in order: inline bytes, and runs of up to a mebibyte."""
        begin = 0
        for part in self.parts:
            end = begin + part.record.size
            low, high = max(start, begin) - begin, min(stop, end) - begin
            if low < high:
                if part.plain is not None:
                    yield memoryview(part.plain)[low:high]
                else:
                    yield from _runs(part, low, high)
            begin = end


def _runs(part: ReadyPart, low: int, high: int) -> Iterator[Run]:
    segments = covering(low, high)
    for first in range(segments.start, segments.stop, RUN):
        last = min(first + RUN, segments.stop)
        offset = cipher_size(first * SEGMENT)
        size = cipher_size(min(last * SEGMENT, part.stored_size)) - offset
        base = first * SEGMENT
        yield Run(part, first, offset, size, max(low - base, 0), min(high, last * SEGMENT) - base)


async def open_records(
    archive: Archive, db: Connection, wanted: Sequence[tuple[UUID, View]]
) -> list[ViewRecord | ViewPending | ViewRefused | Gone | Damaged]:
    """The records of many images' views, in two queries; what is not ready as the error that explains it.

    One damaged image spoils no other's answer.
    """
    found, secrets = await _holdings(archive, db, wanted)
    return [_open(archive, found, secrets, image, view) for image, view in wanted]


async def load(
    archive: Archive, db: Connection, wanted: Sequence[tuple[UUID, View]]
) -> list[ReadyView | MdmError]:
    """Many images' views with all that is needed to read them, in three queries.

    What is not ready comes as the error that explains it: Gone, ViewPending, ViewRefused or Damaged.
    """
    found, secrets = await _holdings(archive, db, wanted)
    records = [_open(archive, found, secrets, image, view) for image, view in wanted]
    ids = {part.id for opened in records if isinstance(opened, ViewRecord) for part in opened.parts}
    rows = await images.parts(db, ids)
    return [
        _view(archive, image, view, opened, rows, secrets[image])
        if isinstance(opened, ViewRecord)
        else opened
        for (image, view), opened in zip(wanted, records, strict=True)
    ]


async def load_one(archive: Archive, db: Connection, image: UUID, view: View) -> ReadyView:
    """As `load`; raises what is in the way."""
    (loaded,) = await load(archive, db, [(image, view)])
    if isinstance(loaded, MdmError):
        raise loaded
    return loaded


def _view(
    archive: Archive, image: UUID, view: View, opened: ViewRecord, rows: dict[UUID, Part], secrets: Secrets
) -> ReadyView | Damaged:
    try:
        parts = tuple(_ready(rows.get(part.id), part, secrets) for part in opened.parts)
    except Damaged as why:
        return why
    ids = b"".join(part.row.id.bytes for part in parts)
    etag = f'"{hashlib.sha256(ids).hexdigest()[:32]}"'
    return ReadyView(image, view, parts, opened, opened.size, opened.adler32, etag)


def of_part(image: UUID, row: Part, part: PartRecord, secrets: Secrets) -> ReadyView:
    """One stored part by itself, to make another of it. Raises Damaged."""
    alone = ViewRecord((part,))
    return ReadyView(image, row.kind, (_ready(row, part, secrets),), alone, part.size, part.adler32, "")


_Key = tuple[UUID, str]


async def _holdings(
    archive: Archive, db: Connection, wanted: Sequence[tuple[UUID, View]]
) -> tuple[dict[_Key, images.Holding], dict[UUID, Secrets]]:
    await archive.views.refresh(db)
    found = await images.holdings(db, wanted, archive.views.versions)
    secrets: dict[UUID, Secrets] = {}
    # The identity secret is fetched for those images only whose identified view is asked for.
    for identity in (False, True):
        registrations = {h.registration for (_, view), h in found.items() if (view == IDENTIFIED) is identity}
        if registrations:
            secrets |= await archive.keys.fetch(db, registrations, identity=identity)
    return found, secrets


def _open(
    archive: Archive, found: dict[_Key, images.Holding], secrets: dict[UUID, Secrets], image: UUID, view: View
) -> ViewRecord | ViewPending | ViewRefused | Gone | Damaged:
    if not archive.views.exists(view):
        return ViewPending("there is no such view here", remedy="`mdm profile list` names those that are")
    holding = found.get((image, view))
    if holding is None:
        return Gone("the image has just been deleted")
    stored = holding.view
    if stored is None:
        return ViewPending(
            f"the view '{view}' has not been made under the profile in force",
            remedy="wait while it is made; if its directory lacks it, an administrator adds it: mdm profile apply",
            retry_after=60,
        )
    if stored.record is None:
        return _refusal(stored)
    if image not in secrets:
        return Damaged("the image's stored secrets do not open")
    return _unseal(stored, stored.record, secrets[image])


def _refusal(stored: StoredView) -> ViewRefused:
    if stored.quarantined:
        return ViewRefused(
            f"the view '{stored.name}' is in quarantine: {stored.reason}",
            remedy="somebody with the right 'i' looks at the identified view, and lifts it: mdm profile release",
        )
    return ViewRefused(
        f"the view '{stored.name}' is refused: {stored.reason}",
        remedy="an administrator can lift this for images like it, by a profile with a rule for them: mdm profile add",
    )


def _unseal(stored: StoredView, sealed: bytes, secrets: Secrets) -> ViewRecord | Damaged:
    try:
        return record.unseal(sealed, secrets.of(stored.secret), stored.image, stored.name, stored.version)
    except InvalidTag:
        return Damaged("the view's stored record does not open")


def _ready(row: Part | None, part: PartRecord, secrets: Secrets) -> ReadyPart:
    if row is None:
        raise Damaged("a stored part is missing")
    key = part_key(secrets.of(row.secret), row.salt, row.image, row.id)
    opener = SegmentKey(key.key, key.prefix)
    plain = None
    if row.inline is not None:
        try:
            stored = opener.decrypt_run(row.inline, 0, segment_count_of(row.cipher_size))
        except BadSeal as why:
            raise Damaged(f"a stored part does not open: {why.detail}") from why
        plain = zlib.decompress(stored) if part.deflated else bytes(stored)
        if len(plain) != part.size:
            raise Damaged("a stored part is not what its record says")
    return ReadyPart(row, part, key, opener, plain)


def segment_count_of(cipher: int) -> int:
    """Segments in so many bytes of ciphertext."""
    return -(-cipher // cipher_size(SEGMENT))
