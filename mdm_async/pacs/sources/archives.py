"""The archives of the settings: by name, as whoever administers this server may use them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from mdm_async.catalog.rights import acl
from mdm_async.catalog.work.images_to_stage import of_archive
from mdm_async.catalog.work.queue import Standing
from mdm_async.errors import NotFound
from mdm_async.images.transfers.staging import Line
from mdm_async.names import Caller
from mdm_async.pacs.dicomweb.client import DicomWebSource
from mdm_async.pacs.dimse.awaited import Awaited
from mdm_async.pacs.retrieval.archive import dimse_source
from mdm_async.pacs.source import Source
from mdm_async.postgres.database import Database
from mdm_async.settings import Settings


@dataclass(frozen=True, slots=True)
class Archive:
    """One of them: asked by `source`, waited for in `line`."""

    source: Source
    line: Line
    issuer: str | None
    """Of its Patient IDs."""


@dataclass(frozen=True, slots=True)
class Archives:
    by_name: Mapping[str, Archive]
    awaited: Awaited
    """What they are to move here."""

    def named(self, name: str) -> Archive:
        """Raises NotFound."""
        found = self.by_name.get(name)
        if found is None:
            raise NotFound("there is no archive of that name", remedy="`mdm pacs status` lists them")
        return found


@asynccontextmanager
async def archives_of(settings: Settings) -> AsyncIterator[Archives]:
    """Raises UnsafeSettings."""
    awaited = Awaited(settings.pacs.ae_title)
    async with AsyncExitStack() as stack:
        by_name = {}
        for one in settings.pacs.sources:
            source: Source
            if one.dicomweb is not None:
                source = await stack.enter_async_context(DicomWebSource(one, settings.transfers.slowest))
            else:
                source = dimse_source(one, settings, awaited)
            by_name[one.name] = Archive(
                source, Line(one.name, one.max_associations, hours=one.open_hours), one.issuer
            )
        yield Archives(by_name, awaited)


@dataclass(frozen=True, slots=True)
class ArchiveStanding:
    """How one stands: whether it answered when it was last asked for an image, None before that; why it is left alone,
    "" while it answers; seconds that an image has taken lately.
    """

    name: str
    answers: bool | None
    away_for: str
    seconds: float
    hours: str
    """In which it may be asked, "" when any."""
    closed: float
    """Seconds until they begin."""
    no_room: bool
    """Images that wait for it have no room in the cache."""
    queue: Standing


async def standing(database: Database, archives: Archives, caller: Caller) -> list[ArchiveStanding]:
    """Of all, on this node. For administrators."""
    async with database.acquire() as db:
        await acl.demand_administrator(db, caller)
        return [
            _standing(name, one.line, await of_archive(name).standing(db))
            for name, one in archives.by_name.items()
        ]


def _standing(name: str, line: Line, queue: Standing) -> ArchiveStanding:
    hours, no_room = str(line.hours or ""), line.is_full and queue.length > 0
    return ArchiveStanding(
        name, _answers(line), line.away_for, line.seconds, hours, line.closed(), no_room, queue
    )


def _answers(line: Line) -> bool | None:
    if line.away_for:
        return False
    return True if line.has_answered else None
