"""What a file's writer is told of it for a while: size and digests of what was sent, which the view is not.

Transfer tools ask for them after an upload, and take it for broken when they are not those of their own file.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID

from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.holdings import bringers
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.errors import MdmError
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.reading.view import ReadyView
from mdm_async.names import ANYONE, IDENTIFIED, parse_surl
from mdm_async.postgres.database import Connection, Database

_SLACK = timedelta(days=1)
"""For clocks that differ: the catalog has the last word."""


def may_be_told(entry: Entry, window: float) -> bool:
    """Whether its writer may have to be told of what was sent, as far as the entry itself says: a research project's
    own was not sent."""
    if entry.only_view is not None or not window:
        return False
    return entry.modified > datetime.now(UTC) - timedelta(seconds=window) - _SLACK


async def lately_sent(
    db: Connection, shelf: Shelf, writers: Collection[str], files: Collection[UUID]
) -> set[UUID]:
    """The images among these that this caller (`Caller.writers`) has sent within the window. Anonymous callers share
    their name, and are told of none."""
    if not files or ANYONE in writers:
        return set()
    return await bringers.lately_brought(db, files, writers, shelf.writer_window)


async def sent_of(
    database: Database, shelf: Shelf, grant: Grant, writers: Collection[str]
) -> ReadyView | None:
    """What was sent, to be told in place of what this grant reads; None when who asks (`Caller.writers`) is not to be
    told of that."""
    if grant.image is None or grant.entry is None or grant.cohort is not None or not shelf.writer_window:
        return None
    if not writers or ANYONE in writers:
        return None
    if grant.view == IDENTIFIED or parse_surl(grant.surl).view is not None:
        return None
    async with database.acquire() as db:
        if not await bringers.is_lately_brought(db, grant.entry, grant.image, writers, shelf.writer_window):
            return None
        found = await shelf.find_whole(db, [(grant.image, IDENTIFIED)])
    (loaded,) = await shelf.load(found)
    return None if isinstance(loaded, MdmError) else loaded
