"""putDone: give uploaded files their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mdm_async.catalog.grants import grants, requests
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.holdings import images, opaque
from mdm_async.catalog.namespace import entries, places
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import views_to_make
from mdm_async.errors import (
    BadRequest,
    Busy,
    Exists,
    Forbidden,
    Gone,
    MdmError,
    NotFound,
    UnknownRequest,
    WrongContent,
)
from mdm_async.images.fairness.desk import Desk
from mdm_async.images.intake.placing import Bytes, Placing, Same
from mdm_async.images.intake.target import Target
from mdm_async.images.names.revealing import Named, NameGuard
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.spellings import by_name
from mdm_async.names import OPAQUE, Caller, Lfn, join, parse_lfn, parse_surl, split
from mdm_async.postgres.database import Connection, Database

_MOVES: Final = 10
"""Of the directory, while its file is being given a name."""


@dataclass(frozen=True, slots=True)
class Done:
    """One file of a putDone; size and SHA-256 (hex) of the plaintext are demanded for sealed uploads,
    and compared wherever they are told."""

    surl: str
    size: int | None = None
    sha256: str | None = None


async def put_done(
    desk: Desk,
    judge: Judge,
    placing: Placing,
    guard: NameGuard,
    caller: Caller,
    request: UUID,
    files: Sequence[Done],
) -> list[tuple[str, tuple[UUID, Lfn] | MdmError]]:
    """Give uploaded files their names: GUID and LFN of each. Repeating it is no error."""
    async with judge.database.acquire() as db:
        items = await requests.of_request(db, request, caller)
    puts = [(item.surl, item) for item in items if item.operation == "put"]
    if not puts:
        raise UnknownRequest()
    named = dict(by_name(puts, [done.surl for done in files]))
    results: list[tuple[str, tuple[UUID, Lfn] | MdmError]] = []
    for done in files:
        try:
            grant = named[done.surl]
            if isinstance(grant, NotFound):
                raise grant
            results.append((done.surl, await _publish(desk, judge, placing, guard, caller, grant, done)))
        except MdmError as why:
            results.append((done.surl, why))
    return results


async def _publish(
    desk: Desk,
    judge: Judge,
    placing: Placing,
    guard: NameGuard,
    caller: Caller,
    grant: Grant,
    done: Done,
) -> tuple[UUID, Lfn]:
    if grant.image is None or grant.parent is None or grant.name is None:
        raise Gone("no file was uploaded for this SURL", remedy="PUT it to its transferURL, then putDone")
    target = Target(grant.parent, grant.name, grant.entry, grant.replaces)
    compared = split(parse_lfn(parse_surl(grant.surl).lfn))[0]
    database = judge.database
    if not await judge.still_allowed([grant]):
        async with database.acquire() as db:
            if not await places.of_entries(db, [grant.parent]):
                raise NotFound("the directory has just been removed")
        raise Forbidden(
            f"{caller.name} has lost the right 'w' to this directory", remedy="ask its owner for it"
        )
    image = grant.image
    if grant.state == "uploaded":
        try:
            await _demand_same(placing, database, grant.sealed, image, done)
        except WrongContent as why:
            # A sealed one may be told again, for its bytes are what they were sealed as.
            if not grant.sealed:
                await _give_up(desk, database, grant, why)
            raise

    async def publish(same: Same) -> UUID:
        async with database.transaction() as db:
            if not await grants.settle(db, grant, "done", "uploaded"):
                return await _published(db, grant, target)
            await views_to_make.share_demands(db)
            # From here on nobody moves it.
            here = (await places.of_entries(db, [target.parent])).get(target.parent)
            if here is not None and here.lfn != compared:
                raise _Elsewhere(here.lfn)
            only = OPAQUE if await opaque.is_opaque(db, image) else None
            mapped = judge.mapping.apply(caller)
            guid = await placing.place(db, mapped, target, image, grant.owner, same, only)
            details = {"transfer": grant.turl.hex()[:16]}
            await acts.record(db, [Act(caller, "put", guid=guid, details=details)])
        desk.end(grant.request, 1)
        return guid

    known = Bytes(database, image, outdates=grant.replaces is not None)
    for _ in range(_MOVES):
        try:
            return await placing.placed(known, publish), join(compared, grant.name)
        except _Elsewhere as moved:
            named = Named(image, None, (join(moved.directory, grant.name),), grant.name)
            await guard.demand_silent(caller, [named])
            compared = moved.directory
        except Exists as why:
            await _give_up(desk, database, grant, why)
            raise
    raise Busy("its directory is moved again and again", remedy="try again", retry_after=1)


class _Elsewhere(Exception):
    """The directory has been moved since the name was compared."""

    def __init__(self, directory: Lfn) -> None:
        super().__init__()
        self.directory = directory


async def _give_up(desk: Desk, database: Database, grant: Grant, why: MdmError) -> None:
    """End an upload that gets no name; what it brought is destroyed."""
    async with database.transaction() as db:
        await grants.fail(db, grant, why)
        await images.doom_unreferenced(db, [grant.image] if grant.image is not None else [])
    desk.end(grant.request, 1)


async def _published(db: Connection, grant: Grant, target: Target) -> UUID:
    """What an earlier putDone, or one at the same time, has come to."""
    found = await grants.by_turl(db, grant.turl)
    if found is not None and found.grant.state == "done":
        named = await entries.image_at(db, target.parent, target.name)
        if named is not None:
            return named[0]
    if found is not None and found.grant.failure == Exists.srm:
        raise Exists(found.grant.explanation or "")
    raise Gone("the upload has ended: expired, aborted, or removed since", remedy="upload the file again")


async def _demand_same(placing: Placing, database: Database, sealed: bool, image: UUID, done: Done) -> None:
    """Return when what arrived is what the caller says of it; of sealed bytes both must be said."""
    if sealed and (done.size is None or done.sha256 is None):
        raise BadRequest(
            "a sealed upload is accepted with its plaintext's size and sha256 only",
            remedy='putDone with "files": [{"surl", "size", "sha256"}]',
        )
    if done.size is None and done.sha256 is None:
        return
    opened = await placing.shelf.original(database, image)
    if (
        opened is None
        or (done.size is not None and opened.size != done.size)
        or (done.sha256 is not None and opened.sha256 != done.sha256.lower())
    ):
        raise WrongContent("size or SHA-256 is not that of what arrived", remedy="upload the file again")
