"""The verbs on saved queries: texts under names, at directories. Whoever asks one again does so by their own rights.

To keep one needs the right 's' on its directory, to be told it 'g', to remove it 's' and 'd'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from mdm_async.catalog.metadata import collections, saved_queries
from mdm_async.catalog.metadata.saved_queries import Kept
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, NotADirectory, NotFound
from mdm_async.images.metadata.own_kinds import parse_name
from mdm_async.images.names.user_text import UserText, opened, sealed
from mdm_async.images.surls import existing
from mdm_async.keys.derive import MappingCipher
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Database

MOST_QUERIES: Final = 100
"""At a directory."""


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """`asked`: what is asked for, as whoever saved it said it."""

    name: str
    asked: dict[str, Any]
    made_by: str
    made: datetime


async def listing(database: Database, text: UserText, caller: Caller, surl: str) -> Sequence[SavedQuery]:
    """Those at a directory, by name."""
    cipher = await text.cipher()
    async with database.acquire() as db:
        _, entry = await existing(db, caller, surl, Right.GET_METADATA)
        found = await saved_queries.at_directory(db, entry.id)
    return [_opened(cipher, one) for one in found]


async def show(database: Database, text: UserText, caller: Caller, surl: str, name: str) -> SavedQuery:
    """Raises NotFound."""
    cipher = await text.cipher()
    async with database.acquire() as db:
        _, entry = await existing(db, caller, surl, Right.GET_METADATA)
        found = await saved_queries.get(db, entry.id, name)
    if found is None:
        raise _none()
    return _opened(cipher, found)


async def save(
    database: Database, text: UserText, caller: Caller, surl: str, name: str, asked: dict[str, Any]
) -> None:
    """Raises Exists, BadRequest."""
    parse_name(name)
    kept = sealed(await text.cipher(), orjson.dumps(asked))
    async with database.transaction() as db:
        _, entry = await existing(db, caller, surl, Right.SET_METADATA)
        if not entry.is_directory:
            raise NotADirectory("saved queries are at directories")
        await collections.lock(db, entry.id)
        if await saved_queries.count(db, entry.id) >= MOST_QUERIES:
            raise BadRequest(
                f"a directory has at most {MOST_QUERIES} saved queries", remedy="remove some of them"
            )
        await saved_queries.add(db, entry.id, name, kept, caller.name)
        await acts.record(db, [Act(caller, "save query", guid=entry.guid, details={"query": name})])


async def remove(database: Database, caller: Caller, surl: str, name: str) -> None:
    """Raises NotFound."""
    async with database.transaction() as db:
        place, entry = await existing(db, caller, surl, Right.SET_METADATA)
        acl.demand(caller, place, Right.DELETE)
        if not await saved_queries.remove(db, entry.id, name):
            raise _none()
        await acts.record(db, [Act(caller, "remove saved query", guid=entry.guid, details={"query": name})])


def _opened(cipher: MappingCipher, kept: Kept) -> SavedQuery:
    return SavedQuery(kept.name, orjson.loads(opened(cipher, kept.sealed)), kept.made_by, kept.made)


def _none() -> NotFound:
    return NotFound(
        "the directory has no saved query of that name",
        remedy="mdm meta query list shows those that there are",
    )
