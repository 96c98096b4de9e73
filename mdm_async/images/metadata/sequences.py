"""The verbs on sequences: to make one and to take its next numbers needs the right 's' on its directory, to see it 'g',
to remove it 's' and 'd'."""

from typing import Final

from mdm_async.catalog.metadata import collections, sequences
from mdm_async.catalog.metadata.sequences import MOST_NUMBER, Sequence
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, NotADirectory, NotFound
from mdm_async.images.metadata.own_kinds import parse_name
from mdm_async.images.surls import existing
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Database

MOST_SEQUENCES: Final = 100
"""At a directory."""
MOST_AT_ONCE: Final = 10_000
"""Numbers that one request takes."""
MOST_STEP: Final = 1_000_000


async def listing(database: Database, caller: Caller, surl: str) -> list[Sequence]:
    """Those at a directory, by name."""
    async with database.acquire() as db:
        _, entry = await existing(db, caller, surl, Right.GET_METADATA)
        return await sequences.at_directory(db, entry.id)


async def create(
    database: Database, caller: Caller, surl: str, name: str, *, start: int = 1, step: int = 1
) -> None:
    """Raises Exists, BadRequest."""
    parse_name(name)
    if abs(start) > MOST_NUMBER or not 0 < abs(step) <= MOST_STEP:
        raise BadRequest(
            "no sequence begins or goes so far",
            remedy=f"begin between -{MOST_NUMBER} and {MOST_NUMBER}; a step is not 0, and at most {MOST_STEP}",
        )
    async with database.transaction() as db:
        _, entry = await existing(db, caller, surl, Right.SET_METADATA)
        if not entry.is_directory:
            raise NotADirectory("sequences are at directories")
        await collections.lock(db, entry.id)
        if len(await sequences.at_directory(db, entry.id)) >= MOST_SEQUENCES:
            raise BadRequest(
                f"a directory has at most {MOST_SEQUENCES} sequences", remedy="make it at another directory"
            )
        await sequences.make(db, entry.id, name, start, step)
        await acts.record(db, [Act(caller, "make sequence", guid=entry.guid, details={"sequence": name})])


async def take(database: Database, caller: Caller, surl: str, name: str, count: int = 1) -> range:
    """The next numbers, each of which is given once; one may be lost when the answer is. Raises NotFound."""
    async with database.transaction() as db:
        _, entry = await existing(db, caller, surl, Right.SET_METADATA)
        taken = await sequences.take(db, entry.id, name, count)
        if taken is None:
            raise NotFound(
                "the directory has no sequence of that name, or not so many numbers are left",
                remedy="mdm meta sequence list shows those that there are",
            )
        details = {"sequence": name, "count": count}
        await acts.record(db, [Act(caller, "take numbers", guid=entry.guid, details=details)])
        return taken


async def remove(database: Database, caller: Caller, surl: str, name: str) -> None:
    """Raises NotFound."""
    async with database.transaction() as db:
        place, entry = await existing(db, caller, surl, Right.SET_METADATA)
        acl.demand(caller, place, Right.DELETE)
        if not await sequences.remove(db, entry.id, name):
            raise NotFound(
                "the directory has no sequence of that name",
                remedy="mdm meta sequence list shows those that there are",
            )
        await acts.record(db, [Act(caller, "remove sequence", guid=entry.guid, details={"sequence": name})])
