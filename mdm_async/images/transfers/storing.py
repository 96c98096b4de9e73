"""A file stored under a name in one step. There is no request and no transfer URL: all appears at one commit.

It is built of what prepareToPut, the transfer and putDone are built of, and refuses what they refuse.
"""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from mdm_async import scitags
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.holdings import bringers
from mdm_async.catalog.mirrors import read_only
from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl, tokens
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import views_to_make
from mdm_async.crypt4gh.segment import padded
from mdm_async.errors import Exists, Forbidden, MdmError, NoParent, Unauthenticated, WrongContent
from mdm_async.images.intake.comparing import compared
from mdm_async.images.intake.intake import Intake
from mdm_async.images.intake.placing import Bytes, Same
from mdm_async.images.intake.target import Room, Target, demand_overwrite, demand_path, target_at
from mdm_async.images.metrics import INGESTED
from mdm_async.images.names import directories
from mdm_async.images.parts.hashing import Digest
from mdm_async.images.surls import resolve_one
from mdm_async.images.transfers.admission import Admission
from mdm_async.images.transfers.judging import Judge
from mdm_async.names import Caller, Lfn, Right, join, split
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class StoreAsk:
    """A name, and what is known of the file that is to have it. `size` in bytes, `sha256` in hex."""

    surl: str
    overwrite: bool = False
    again: bool = True
    """Without `overwrite`, the very bytes that the caller stored there before are taken and change nothing."""
    parents: bool = False
    """Directories that are missing are made, if the file is stored."""
    size: int | None = None
    sha256: str | None = None
    digests: Sequence[Digest] = ()
    """Of the bytes, as their sender tells them."""
    force: bool = False
    """The caller vouches for a file that breaks PS3.10."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What has been stored. `lfn` may end in another name than was asked for: see `naming.identifying`."""

    guid: UUID
    lfn: Lfn
    size: int
    adler32: int
    sha256: str
    replaced: bool
    """Another file had that name before."""


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What was found at the name before the first byte came."""

    place: Place
    entry: int | None = None
    """The file to be overwritten."""
    replaces: UUID | None = None
    refusal: MdmError | None = None
    """The caller may store nothing but the very bytes that he stored there before."""


async def store(
    intake: Intake,
    judge: Judge,
    admission: Admission,
    caller: Caller,
    ask: StoreAsk,
    body: AsyncIterator[bytes],
    cut: Callable[[], None],
) -> StoredFile:
    """Store these (clear) bytes under this name, as this caller, or leave nothing behind.

    `cut` ends the connection that they come by; it is called when the caller loses the right meanwhile.
    Raises as `prepare` of an upload and `Draft.fill` do, TooManyRequests, WrongContent, BadRequest for a name that
    reveals; at the end Exists when another file was first, and Unauthenticated, Forbidden, NotFound when the caller may
    no longer.
    """
    room = await intake.room(caller.payer)
    if ask.digests:
        body = compared(intake.workshop.cipher, body, ask.digests)
    async with intake.database.acquire() as db:
        beginning = await _begin(db, caller, ask, room)
    directory, asked = split(beginning.place.lfn)
    above = _above(beginning.place)
    grant = unkept(caller, await judge.callers.id_of(caller), ask.surl, above, asked)
    grant = replace(grant, entry=beginning.entry, replaces=beginning.replaces)
    with admission.taking(caller.payer, grant, cut):
        async with intake.draft(above, body, caller.payer, announced=ask.size, force=ask.force) as draft:
            if ask.sha256 is not None and draft.sha256 != ask.sha256.lower():
                raise WrongContent("the SHA-256 is not that of what arrived", remedy="send the file again")
            name = await intake.safe_name(draft, directory, asked)

            async def place(same: Same) -> UUID:
                async with intake.database.transaction() as db:
                    # Before any entry is locked, as whoever moves one does.
                    await views_to_make.share_demands(db)
                    mapped = judge.mapping.apply(caller)
                    parent = await _directory(db, mapped, ask, beginning)
                    target = Target(parent, name, beginning.entry, beginning.replaces)
                    await draft.store(db, caller.writer)
                    guid = await intake.placing.place(
                        db, mapped, target, draft.image, caller.writer, same, draft.only_view
                    )
                    # An original's exact size would identify it.
                    size, details = padded(draft.size), scitags.details(scitags.shown.get())
                    await acts.record(db, [Act(caller, "put", guid=guid, bytes=size, details=details)])
                    return guid

            try:
                mine = Bytes(
                    intake.database,
                    draft.image,
                    draft.sha256,
                    outdates=beginning.replaces is not None or draft.rejected is not None,
                )
                guid = await intake.placing.placed(mine, place)
            except Exists as why:
                raise beginning.refusal or why from None
            draft.keep()
            INGESTED.labels(draft.state).inc()
            scitags.count(scitags.shown.get(), "in", padded(draft.size))
    replaced = beginning.replaces is not None and name == asked
    return StoredFile(guid, join(directory, name), draft.size, draft.adler32, draft.sha256, replaced)


async def _begin(db: Connection, caller: Caller, ask: StoreAsk, room: Room) -> _Beginning:
    named, place = await resolve_one(db, caller, ask.surl)
    demand_path(named)
    if acl.may_create(caller, place):
        await read_only.demand_open(db, place)
    if ask.parents and place.missing > 1:
        directories.demand_makeable(caller, place)
        room.demand(ask.size)
        return _Beginning(place)
    try:
        target = target_at(caller, place, room, ask.size, overwrite=ask.overwrite)
    except (Exists, Forbidden) as why:
        # A client that did not hear that its file was stored sends it again.
        if not ask.again or not await _is_own(db, caller, place):
            raise
        return _Beginning(place, refusal=why)
    return _Beginning(place, target.entry, target.replaces)


async def _is_own(db: Connection, caller: Caller, place: Place) -> bool:
    """Whether this is a file that the caller sees and brought himself."""
    if place.entry is None or place.entry.image is None or not acl.may_create(caller, place):
        return False
    if not acl.allows(caller, place, Right.LIST):
        return False
    return await bringers.was_brought_by(db, place.entry.image, caller.writer)


async def _directory(db: Connection, caller: Caller, ask: StoreAsk, beginning: _Beginning) -> int:
    """The directory that is to hold the name, made if need be; all that was demanded at first is demanded again."""
    await demand_unrevoked(db, caller)
    place = await places.resolve_one(db, beginning.place.lfn)
    if ask.parents and place.missing > 1:
        await directories.made(db, caller, split(place.lfn)[0], place)
        place = await places.resolve_one(db, place.lfn)
    acl.demand_create(caller, place)
    if beginning.replaces is not None and place.entry is not None:
        demand_overwrite(caller, place)
    if place.entry is None and place.parent is None:
        raise NoParent(remedy="make it first: mdm mkdir -p")
    return _above(place)


def _above(place: Place) -> int:
    """The directory of a file, or the nearest one above it that there is."""
    if place.entry is None:
        return place.ancestor.id
    assert place.entry.parent is not None
    return place.entry.parent


async def demand_unrevoked(db: Connection, caller: Caller) -> None:
    """Raises Unauthenticated."""
    if caller.token is not None and await tokens.is_revoked(db, caller.token):
        raise Unauthenticated("the token was revoked while the file came", remedy="get another token")


def unkept(caller: Caller, who: int, surl: str, parent: int, name: str) -> Grant:
    """As what an upload is watched while it runs: the catalog has no row of it."""
    return Grant(
        turl=os.urandom(32),
        request=uuid4(),
        item=0,
        operation="put",
        state="open",
        caller=caller.name,
        owner=caller.owner,
        who=who,
        token=caller.token,
        surl=surl,
        life=0,
        parent=parent,
        name=name,
        kept=False,
    )
