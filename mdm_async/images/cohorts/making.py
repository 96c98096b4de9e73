"""Making a cohort: what was chosen is pinned a page at a time, and seen once all of it is, under a signed digest."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from datetime import UTC
from functools import partial
from itertools import zip_longest
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog import installation
from mdm_async.catalog.cohorts import cohorts, members
from mdm_async.catalog.cohorts.members import Member
from mdm_async.catalog.holdings import images
from mdm_async.catalog.namespace import bindings
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.cohort_manifest import PinnedFile, Statement, digest_of
from mdm_async.errors import BadRequest, Busy, MdmError, NotFound, TooLarge
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.cohorts import facts
from mdm_async.images.cohorts.choosing import Chosen, Query, in_pages
from mdm_async.images.fairness.turns import Turns
from mdm_async.images.metadata.rows import Desk
from mdm_async.images.names.user_text import UserText, sealed
from mdm_async.images.parts import adler
from mdm_async.images.parts.hashing import SHA256, Hashing
from mdm_async.images.parts.record import ViewRecord
from mdm_async.images.reading import stream
from mdm_async.images.reading.shelf import Found, Shelf
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.transfers.through_cohort import directory_of
from mdm_async.images.uninterrupted import uninterrupted
from mdm_async.keys.store import Secrets
from mdm_async.names import IDENTIFIED, Caller, Right, View
from mdm_async.postgres.database import Database
from mdm_async.settings import LimitSettings

_HASHED = 1 << 30
"""Bytes of all files of a cohort together that are read for their SHA-256; of more, size and ADLER32 have to do."""
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True, repr=False)
class Cohorts:
    """What cohorts are made and shown with."""

    database: Database
    shelf: Shelf
    blobs: BlobStore
    cipher: CipherPool
    text: UserText
    turns: Turns
    limits: LimitSettings
    desk: Desk
    """Where queries are answered."""
    private: Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Selection:
    """What a cohort is made of: files, and the query that finds them, to be asked again; None of a list."""

    files: AsyncIterator[Chosen]
    view: View | None
    query: Query | None = None


async def create(own: Cohorts, caller: Caller, path: str, selection: Selection) -> Statement:
    """Pin what was selected; it takes the right 'w' on the directory.

    Raises Exists, NoSpace, TooLarge when there is more than a cohort may hold, BadRequest when there is nothing, and
    as the selection does; then nothing of it stays.
    """
    cipher = await own.text.cipher()
    async with own.database.transaction() as db:
        directory, name = await directory_of(db, caller, path, Right.WRITE)
        cohort, guid, at = await cohorts.make(
            db, directory.ancestor.id, name, selection.view, caller.name, own.limits.cohorts
        )
        installed = await installation.identity(db)
    try:
        making = _Making(own, cohort)
        async with aclosing(in_pages(selection.files)) as pages:
            async for page in pages:
                async with own.turns.turn(caller.payer, len(page), first=not making.digests):
                    await making.pin(page)
        if not making.digests:
            raise BadRequest(
                "nothing was selected that you may read: there is no cohort of nothing",
                remedy="try the query: mdm meta find",
            )
        statement = Statement(
            cohort=str(guid),
            installation=str(installed),
            at=at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            by=caller.name,
            view=selection.view,
            query=None if making.identifies or selection.query is None else selection.query.text,
            members=len(making.digests),
            digest=digest_of(making.digests),
        )
        query = asdict(selection.query) if selection.query is not None else None
        kept = {"statement": statement.signed(own.private), "query": query}
        async with own.database.transaction() as db:
            text = sealed(cipher, orjson.dumps(kept))
            if not await cohorts.finish(db, cohort, statement.members, text):
                raise NotFound("the cohort's directory has just been removed")
            details = {"members": statement.members, "digest": statement.digest}
            await acts.record(
                db, [Act(caller, "cohort create", guid=guid, view=selection.view, details=details)]
            )
    except BaseException:
        await uninterrupted(_give_up(own.database, cohort))
        raise
    return statement


async def _give_up(database: Database, cohort: int) -> None:
    async with database.acquire() as db:
        await cohorts.cut_off(db, cohort)


@dataclass(slots=True)
class _Making:
    """A cohort on its way."""

    own: Cohorts
    cohort: int
    digests: list[bytes] = field(default_factory=list)
    identifies: bool = False
    """A member's view is the identified one."""
    _seen: set[UUID] = field(default_factory=set)
    _versions: dict[tuple[UUID, View], str] = field(default_factory=dict)
    _hashed: int = 0

    async def pin(self, page: Sequence[Chosen]) -> None:
        """Raises TooLarge, Busy, and what keeps one of them from being read."""
        # An entry may be found again when it was moved meanwhile.
        fresh = list({one.guid: one for one in page if one.guid not in self._seen}.values())
        self._seen.update(one.guid for one in fresh)
        if len(self.digests) + len(fresh) > self.own.limits.cohort_members:
            raise TooLarge(
                f"a cohort holds {self.own.limits.cohort_members} files at the most",
                remedy="select fewer, or make several",
            )
        if not fresh:
            return
        files, registered = await self._files(fresh)
        async with self.own.database.transaction() as db:
            wanted = {one.image for one in fresh}
            kept = await images.keep(db, wanted)
            if kept != wanted or await members.add(db, self.cohort, files) < len(files):
                raise Busy(
                    "views were made anew or files removed while the cohort was made", remedy="make it again"
                )
            if await images.registrations(db, list(registered)) != registered:
                raise Busy("keys of images were changed while the cohort was made", remedy="make it again")
        self.digests += [one.digest for one in files]
        self.identifies = self.identifies or any(one.view == IDENTIFIED for one in fresh)

    async def _files(self, page: Sequence[Chosen]) -> tuple[list[Member], dict[UUID, UUID]]:
        """And by image the registrations of the keys that they are sealed under."""
        shelf = self.own.shelf
        async with self.own.database.acquire() as db:
            found = await shelf.find(db, [(one.image, one.view) for one in page])
        opened = await shelf.secrets(found)
        records = shelf.records(found, opened)
        views = await self._to_be_read(found, records)
        files: list[Member] = []
        for one, record, view in zip_longest(page, records, views):
            if isinstance(record, MdmError):
                raise record
            if self._versions.setdefault((one.image, one.view), record.version) != record.version:
                raise Busy("views are being made anew just now", remedy="make the cohort again")
            sha256 = record.sha256
            if sha256 is None and isinstance(view, ReadyView):
                sha256 = await self._sha256(view)
            files.append(self._member(one, record, sha256, found, opened[one.image], len(files)))
        return files, {image: secrets.registration for image, secrets in opened.items()}

    async def _to_be_read(
        self, found: Found, records: Sequence[ViewRecord | MdmError]
    ) -> Sequence[ReadyView | MdmError]:
        """The views that were found, if one's SHA-256 is not known; else none."""
        known = all(isinstance(one, ViewRecord) and one.sha256 is not None for one in records)
        if known or self._hashed >= _HASHED:
            return []
        async with self.own.database.acquire() as db:
            whole = await self.own.shelf.with_parts(db, found)
        return await self.own.shelf.load(whole)

    def _member(
        self, one: Chosen, record: ViewRecord, sha256: str | None, found: Found, opened: Secrets, place: int
    ) -> Member:
        file = PinnedFile(
            guid=str(one.guid),
            view=one.view,
            version=record.version,
            size=record.size,
            adler32=adler.text(record.adler32),
            sha256=sha256,
            salt=secrets.token_hex(_SALT_BYTES),
        )
        stored = found.holdings[one.image, one.view].view
        assert stored is not None
        pin = (one.image, one.view, record.version)
        kept = facts.sealed(file, opened.of(stored.secret), pin)
        number = len(self.digests) + place
        pins = bindings.pinned(one.view, record.version)
        binding = self.own.shelf.served.bindings.of(one.guid, one.image, pins)
        return Member(number, one.entry, one.guid, *pin, file.digest, kept, one.may_give, binding)

    async def _sha256(self, view: ReadyView) -> str | None:
        if self._hashed + view.size > _HASHED:
            return None
        self._hashed += view.size
        hashing = Hashing([SHA256])
        async for piece in stream.clear(self.own.blobs, view, 0, view.size):
            await self.own.cipher.run(partial(hashing.update, piece))
        digests = hashing.digests()
        await self.own.shelf.keep_digests(self.own.database, view, digests)
        return digests[SHA256].hex()
