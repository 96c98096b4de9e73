"""Pins: of each file a row, a transfer URL, and what it will serve."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.rights.tokens import digest
from mdm_async.crypt4gh.layout import SealedPart
from mdm_async.errors import MdmError, NotOnline
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.parts.record import ViewRecord
from mdm_async.images.reading.sealed import SealedView, seal
from mdm_async.images.reading.shelf import Found, Shelf, evictable_of, part_of
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.transfers.live_index import Way
from mdm_async.images.transfers.rounds import Rounds
from mdm_async.images.transfers.staging import Staging, Waits
from mdm_async.keys.derive import SEED_BYTES, turl_token
from mdm_async.names import Caller, View
from mdm_async.postgres.database import Connection, Database

WARM = 64
"""Files of a request that are kept ready for their first GET on this node."""
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class ReadTicket:
    """One file, pinned. Sizes in bytes; `size` and `adler32` are those of what the transfer URL serves."""

    surl: str
    token: str
    view: View
    size: int
    adler32: int
    pin: int
    plain_size: int
    plain_adler32: int
    sender_public: bytes | None = None
    sealed_parts: tuple[SealedPart, ...] = ()


@dataclass(frozen=True, slots=True)
class Pinned:
    """Through which cohort (id, GUID), at which directory, a file is read; the version of its view that is pinned."""

    cohort: int
    guid: UUID
    directory: int
    version: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that the caller may read, and for whom it is sealed, if it is. Its entry may have gone if it is `pinned`;
    all files of a request are, or none."""

    item: int
    surl: str
    entry: int
    guid: UUID
    image: UUID
    view: View
    recipient: bytes | None
    way: Way
    pinned: Pinned | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A pinned file: its row, its answer, and what it serves if that was loaded."""

    want: Wanted
    grant: Grant
    ticket: ReadTicket
    content: ReadyView | SealedView | None = None
    part: UUID | None = None
    """Of what an archive has too, and may be evicted: a part that was found of it."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A file that waits until it is online: its row, and the archive that has it."""

    want: Wanted
    grant: Grant
    archive: str


Answer = ReadTicket | Waits | MdmError


@dataclass(frozen=True, slots=True)
class Pins:
    """Makes the pins of one request."""

    database: Database
    shelf: Shelf
    rounds: Rounds
    few: bool
    """Of a request for few files, which shares statements with others."""
    cipher: CipherPool
    staging: Staging
    caller: Caller
    who: int
    request: UUID
    life: int
    description: str | None

    async def make(self, wanted: Sequence[Wanted], answers: dict[int, Answer], *, warm: int) -> list[Made]:
        """The pins of these files; what cannot be pinned is an error in `answers`.

        Of those in the clear and of those that are sealed, the first `warm` keep what they serve.
        """
        clear = [want for want in wanted if want.recipient is None]
        sealed = [want for want in wanted if want.recipient is not None]
        made = await self._clear(clear[:warm], clear[warm:], answers) if clear else []
        return made + (await self._sealed(sealed, answers, warm) if sealed else [])

    async def queued(self, wanted: Sequence[Wanted], answers: dict[int, Answer]) -> list[Queued]:
        """Of files whose bytes are at their archives only, those that can be brought from there."""
        absent = [
            want for want in wanted if isinstance(answers.get(want.item), NotOnline) and want.pinned is None
        ]
        if not absent:
            return []
        async with self.database.acquire() as db:
            waits = await self.staging.waits(db, self.caller, [want.image for want in absent])
        refusal = await self.staging.refusal() if waits else None
        made = []
        for want in absent:
            if (wait := waits.get(want.image)) is None:
                continue
            if isinstance(wait, NotOnline):
                answers[want.item] = wait
                continue
            if refusal is not None:
                answers[want.item] = refusal
                continue
            archive, seconds = wait
            seed = os.urandom(SEED_BYTES)
            grant = self._grant(want, turl_token(seed), None, seed)
            keeper = self.caller.payer.account
            grant = replace(grant, state="queued", until=self.caller.until, keeper=keeper)
            answers[want.item] = Waits(want.surl, want.view, archive, seconds)
            made.append(Queued(want, grant, archive))
        return made

    async def _clear(self, warm: list[Wanted], cold: list[Wanted], answers: dict[int, Answer]) -> list[Made]:
        """The first few are loaded whole, to be warm; of all others the record is enough."""
        loaded: list[ReadyView | ViewRecord | MdmError] = []
        views, evictable = await self._whole(warm)
        loaded += views
        if cold:
            async with self.database.acquire() as db:
                records = await self._found(db, cold)
            evictable |= evictable_of(records)
            loaded += await self.shelf.open_records(records)
        made = []
        for want, one in zip([*warm, *cold], loaded, strict=True):
            if isinstance(one, MdmError):
                answers[want.item] = one
                continue
            seed = os.urandom(SEED_BYTES)
            token = turl_token(seed)
            ticket = ReadTicket(
                want.surl, token, want.view, one.size, one.adler32, self.life, one.size, one.adler32
            )
            made.append(
                Made(
                    want,
                    self._grant(want, token, one.version, seed),
                    ticket,
                    one if isinstance(one, ReadyView) else None,
                    part_of(one) if want.image in evictable else None,
                )
            )
        return made

    async def _sealed(self, wanted: list[Wanted], answers: dict[int, Answer], warm: int) -> list[Made]:
        """Sealing needs the small parts themselves; a few at a time, so that a bulk request stays small in memory."""
        made: list[Made] = []
        for batch in (wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE)):
            loaded, evictable = await self._whole(batch)
            for want, one in zip(batch, loaded, strict=True):
                if isinstance(one, MdmError):
                    answers[want.item] = one
                    continue
                assert want.recipient is not None
                seed = os.urandom(SEED_BYTES)
                sealed = await self.cipher.run(partial(seal, one, want.recipient, seed))
                pinned = self._seal(want, one, sealed, seed)
                if want.image in evictable:
                    pinned = replace(pinned, part=part_of(one))
                # What is warm is kept whole; of the rest only what the answer tells.
                made.append(pinned if len(made) < warm else replace(pinned, content=None))
        return made

    def _seal(self, want: Wanted, plain: ReadyView, sealed: SealedView, seed: bytes) -> Made:
        token = turl_token(seed)
        ticket = ReadTicket(
            want.surl,
            token,
            want.view,
            sealed.size,
            sealed.adler32,
            self.life,
            plain.size,
            plain.adler32,
            sealed.sender_public,
            sealed.parts,
        )
        return Made(want, self._grant(want, token, plain.version, seed, sealed.context), ticket, sealed)

    def _grant(
        self,
        want: Wanted,
        token: str,
        version: str | None,
        seed: bytes,
        context: bytes | None = None,
    ) -> Grant:
        return Grant(
            turl=digest(token),
            request=self.request,
            item=want.item,
            operation="get",
            state="pinned",
            caller=self.caller.name,
            owner=self.caller.owner,
            who=self.who,
            token=self.caller.token,
            description=self.description,
            surl=want.surl,
            life=float(self.life),
            entry=want.entry,
            guid=want.guid,
            image=want.image,
            view=want.view,
            version=version,
            recipient=want.recipient,
            secret=self.shelf.keys.wrap_grant(seed, self.request, want.item),
            context=context,
            cohort=want.pinned.cohort if want.pinned is not None else None,
            parent=want.pinned.directory if want.pinned is not None else None,
        )

    async def _found(self, db: Connection, wanted: Sequence[Wanted]) -> Found:
        pinned = [(one.image, one.view, one.pinned.version) for one in wanted if one.pinned is not None]
        if pinned:
            return await self.shelf.find_pinned(db, pinned)
        return await self.shelf.find(db, [(one.image, one.view) for one in wanted])

    async def _whole(self, wanted: Sequence[Wanted]) -> tuple[Sequence[ReadyView | MdmError], set[UUID]]:
        """Their views, or why there are none; the images among them that archives have too."""
        if not wanted:
            return [], set()
        if wanted[0].pinned is None:
            return await self.rounds.views([(one.image, one.view) for one in wanted], few=self.few)
        async with self.database.acquire() as db:
            found = await self.shelf.with_parts(db, await self._found(db, wanted))
        return await self.shelf.load(found), evictable_of(found)
