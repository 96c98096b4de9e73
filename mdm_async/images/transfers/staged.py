"""Requests to bring files online, asked about and ended by any spelling of their files' names."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from mdm_async.catalog.grants import requests
from mdm_async.catalog.grants.grants import Grant
from mdm_async.errors import BadRequest, UnknownRequest
from mdm_async.images.changed import ChangedHere
from mdm_async.images.fairness.desk import Desk
from mdm_async.images.transfers import requests as any_request
from mdm_async.images.transfers.rounds import Rounds
from mdm_async.images.transfers.staging import Staging
from mdm_async.names import Caller
from mdm_async.postgres.database import Database

_OPERATION = "bring_online"

Named = Callable[[str], Hashable]
"""What a spelling names: the same for all of an entry's."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A request, and how its files stand."""

    created: datetime
    files: list[Grant]
    held_up: Mapping[int, str] = field(default_factory=dict)
    """By item, what it waits for other than its turn."""


async def standing(database: Database, staging: Staging, caller: Caller, request: UUID) -> Staged:
    """Raises UnknownRequest, also for requests of other operations."""
    found = await _found(database, caller, request)
    waits = await any_request.waits(database, staging, caller, found.files)
    return replace(found, held_up={item: why for item, (_, why) in waits.items() if why})


async def _found(database: Database, caller: Caller, request: UUID) -> Staged:
    async with database.acquire() as db:
        created = await requests.created(db, request, caller)
        files = await requests.of_request(db, request, caller)
    if created is None or not files or files[0].operation != _OPERATION:
        raise UnknownRequest()
    return Staged(created, files)


async def cancel(
    desk: Desk,
    database: Database,
    changed: ChangedHere,
    caller: Caller,
    request: UUID,
    paths: Sequence[str],
    named: Named,
) -> None:
    """End what waits of these files; what is online stays so. Raises UnknownRequest, and BadRequest with nothing done
    for a file that the request does not have."""
    surls = _of(await _found(database, caller, request), paths, named)
    await any_request.abort(desk, database, changed, caller, request, surls)


async def release(
    desk: Desk,
    database: Database,
    rounds: Rounds,
    changed: ChangedHere,
    caller: Caller,
    request: UUID,
    paths: Sequence[str],
    named: Named,
) -> None:
    """End the pins of these files. Repeating it is no error. Raises as `cancel`."""
    surls = _of(await _found(database, caller, request), paths, named)
    await any_request.release(desk, rounds, changed, caller, request, surls)


async def forget(desk: Desk, database: Database, changed: ChangedHere, caller: Caller, request: UUID) -> None:
    """End what the request holds, and what is known of it. Raises UnknownRequest."""
    await _found(database, caller, request)
    await any_request.abort(desk, database, changed, caller, request, None)
    async with database.acquire() as db:
        await requests.forget(db, request, caller)


def _of(staged: Staged, paths: Sequence[str], named: Named) -> list[str]:
    """The request's own spellings of these files."""
    held: dict[Hashable, list[str]] = {}
    for file in staged.files:
        held.setdefault(named(file.surl), []).append(file.surl)
    asked = {named(path) for path in paths}
    if not asked <= held.keys():
        raise BadRequest("the request has no such file; nothing was done", remedy="name files of the request")
    return [surl for name in asked for surl in held[name]]
