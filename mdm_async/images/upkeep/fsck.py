"""Compare the blob store with the catalog, and repair what is safe to repair.

Safe is what loses nothing: finishing deletions, giving up lapsed writes. A file that no row knows is reported and
left, for the row may be in a database that was restored from an older backup.
"""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import structlog

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.holdings import blobs, made_views, stored_views
from mdm_async.catalog.holdings.blobs import Known
from mdm_async.catalog.rights.acl import demand_administrator
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import views_to_make
from mdm_async.images.upkeep.sweep import Sweeper
from mdm_async.names import IDENTIFIED, Caller
from mdm_async.postgres.database import Database

LISTED: Final = 10_000
"""Findings in a report at the most; others are counted."""
_PAGE = 1000
_TOLD = 5.0
"""Seconds between lines of the log."""
_BEFORE_ALL, _AFTER_ALL = UUID(int=0), UUID(int=(1 << 128) - 1)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: kind, the blob (or part), its image, and whether it was mended."""

    kind: str
    blob: UUID
    image: UUID | None = None
    repaired: bool = False


@dataclass(slots=True)
class Report:
    """`blobs` and `bytes` lie in the store; `findings` are the first of those that there are."""

    findings: list[Finding]
    blobs: int = 0
    bytes: int = 0
    more: int = 0
    """Findings that are not listed."""

    def add(self, *findings: Finding) -> None:
        room = max(0, LISTED - len(self.findings))
        self.findings += findings[:room]
        self.more += len(findings[room:])


async def fsck(sweeper: Sweeper, caller: Caller, *, repair: bool) -> Report:
    """Kinds found: `missing` and `wrong size` (an image is damaged), `unknown file`, `unfinished`, `doomed`.

    And `lost part`, which a view needs: repaired by making a de-identified view anew. Rows and files are read side by
    side, a page of each at a time; the log says how far it is.
    """
    database = sweeper.database
    async with database.acquire() as db:
        await demand_administrator(db, caller)
        if repair:
            await acts.record(db, [Act(caller, "fsck repair")])
    report = Report([])
    unsettled: list[Finding] = []
    told = time.monotonic()
    async with aclosing(_side_by_side(database, sweeper.blobs)) as pages:
        async for rows, files in pages:
            report.blobs += len(files)
            report.bytes += sum(files.values())
            report.add(*await _parted(database, sweeper.blobs, rows, files))
            unsettled += [
                Finding("doomed" if row.state == "doomed" else "unfinished", row.id)
                for row in rows.values()
                if row.state != "stored"
            ]
            if len(unsettled) >= _PAGE:
                report.add(*await _settled(sweeper, unsettled, repair=repair))
                unsettled = []
            if time.monotonic() - told > _TOLD:
                told = time.monotonic()
                _log.info("fsck goes on", blobs=report.blobs, findings=len(report.findings) + report.more)
    report.add(*await _settled(sweeper, unsettled, repair=repair))
    after: stored_views.ViewKey | None = stored_views.FIRST_VIEW
    while after is not None:
        findings, after = await _lost_parts(database, after, repair=repair)
        report.add(*findings)
    return report


async def _side_by_side(
    database: Database, store: BlobStore
) -> AsyncGenerator[tuple[dict[UUID, Known], dict[UUID, int]], None]:
    """Rows and files between the same ids, page by page: no more than a page of either is held."""
    rows: list[Known] = []
    files: list[tuple[UUID, int]] = []
    listing = aiter(store.listing())
    last_row, more_rows, more_files = _BEFORE_ALL, True, True
    while more_rows or more_files or rows or files:
        if more_rows and len(rows) < _PAGE:
            async with database.acquire() as db:
                fresh = await blobs.page(db, last_row, _PAGE)
            rows += fresh
            more_rows = len(fresh) == _PAGE
            last_row = rows[-1].id if rows else last_row
        while more_files and len(files) < _PAGE:
            try:
                files.append(await anext(listing))
            except StopAsyncIteration:
                more_files = False
        end = min(
            rows[-1].id if more_rows else _AFTER_ALL,
            files[-1][0] if more_files else _AFTER_ALL,
        )
        yield {row.id: row for row in rows if row.id <= end}, {b: size for b, size in files if b <= end}
        rows = [row for row in rows if row.id > end]
        files = [one for one in files if one[0] > end]


async def _parted(
    database: Database, store: BlobStore, rows: Mapping[UUID, Known], files: Mapping[UUID, int]
) -> list[Finding]:
    """Where a row and its file do not agree, looked at once more: uploads and deletions go on meanwhile.

    A row comes before its file and goes after it. So what was stored before and after its file was looked for must
    be there, and what has no row now, and is there after that, has none.
    """
    apart = [row.id for row in rows.values() if row.state == "stored" and files.get(row.id) != row.size]
    apart += [blob for blob in files if blob not in rows]
    if not apart:
        return []
    async with database.acquire() as db:
        before = await blobs.known(db, apart)
    sizes = {blob: await store.size(blob) for blob in apart}
    async with database.acquire() as db:
        after = await blobs.known(db, apart)
    findings = []
    for blob, size in sizes.items():
        now = after.get(blob)
        if now is None and blob not in before and size is not None:
            findings.append(Finding("unknown file", blob))
        elif now is not None and now.image is not None and now == before.get(blob) and now.state == "stored":
            if size is None:
                findings.append(Finding("missing", blob, now.image))
            elif size != now.size:
                findings.append(Finding("wrong size", blob, now.image))
    return findings


async def _settled(sweeper: Sweeper, unsettled: list[Finding], *, repair: bool) -> list[Finding]:
    """What was being written or deleted. A sweep repairs it, and leaves what somebody still writes."""
    if not repair or not unsettled:
        return unsettled
    await sweeper.sweep()
    async with sweeper.database.acquire() as db:
        left = await blobs.known(db, [one.blob for one in unsettled])
    return [replace(one, repaired=one.blob not in left) for one in unsettled]


async def _lost_parts(
    database: Database, after: stored_views.ViewKey, *, repair: bool
) -> tuple[list[Finding], stored_views.ViewKey | None]:
    findings = []
    async with database.transaction() as db:
        lost, last = await stored_views.lost_parts(db, after, _PAGE)
        for part, view in lost:
            image, name, _ = view
            mended = repair and name != IDENTIFIED
            if mended:
                await made_views.drop(db, view)
                await views_to_make.add(db, [(image, name)])
            findings.append(Finding("lost part", part, image, repaired=mended))
    return findings, last
