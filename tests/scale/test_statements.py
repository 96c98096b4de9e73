"""On a million images, three million grants, a million rows of audit, no statement reads more than it is asked for."""

import ast
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from mdm_async.catalog import installation
from mdm_async.catalog.grants import partitions
from mdm_async.keys.sources import GivenKeks
from mdm_async.keys.wrapped import WrappedKeys
from tests.scale import mirror_statements  # noqa: F401 — each statement enters itself
from tests.scale.million import IMAGES
from tests.scale.statements import QUEUES, STATEMENTS, Desk, turn
from tests.scale.touched import PACKAGE, RUN, Recorder, Site

KEK = GivenKeks(base64.b64encode(bytes(32)).decode())
pytestmark = pytest.mark.timeout(600)
"""The first of them makes the catalog."""

PAGES_OF_A_ROW, PAGES_OF_NONE = 40, 200
"""A row is looked up in several indexes and partitions, and written into them; what finds none looks there too."""
ROOMS = ("catalog", "keys")
ROWS, LONG = 50_000, {"trees": IMAGES}
"""Of a queue. One is as long as there are images; the statements are the same for all."""
_seen: set[Site] = set()


@asynccontextmanager
async def _desk(dsn: str, recorder: Recorder) -> AsyncIterator[Desk]:
    async with recorder.database(dsn) as database:
        async with database.acquire() as db:
            installed = await installation.identity(db)
        keys = await WrappedKeys.open(database, KEK, installed, "a node", 60)
        async with database.acquire() as db:
            transaction = db.transaction()
            await transaction.start()
            try:
                yield Desk(db, database, keys)
            finally:
                await transaction.rollback()


@pytest.mark.parametrize("what", STATEMENTS)
async def test_a_statement_reads_what_it_is_asked_for(a_million: str, what: str) -> None:
    statement, rows = STATEMENTS[what]
    recorder = Recorder()
    async with _desk(a_million, recorder) as desk:
        await statement(desk)
    _demand(recorder, rows)


def _sites() -> Iterator[tuple[str, range]]:
    """Where the package runs statements: file, lines."""
    for room in ROOMS:
        for file in sorted((PACKAGE / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in RUN
                    and "keys" not in ast.unparse(node.func.value)
                ):
                    yield str(file.relative_to(PACKAGE)), range(node.lineno, (node.end_lineno or 0) + 1)


@pytest.mark.parametrize("what", QUEUES)
async def test_a_long_queue_is_taken_page_by_page(a_million: str, what: str) -> None:
    queue, filling = QUEUES[what]
    recorder = Recorder()
    async with recorder.database(a_million) as database, database.acquire() as db:
        transaction = db.transaction()
        await transaction.start()
        try:
            await db.execute("set local auto_explain.log_min_duration = -1")
            await db.execute(filling.format(LONG.get(what, ROWS)))
            await db.execute("set local auto_explain.log_min_duration = 0")
            await turn(db, queue)
        finally:
            await transaction.rollback()
    _demand(recorder, 25_000 if queue.table in ("images", "blobs") else 21_000)


def _demand(recorder: Recorder, rows: int) -> None:
    over = []
    for site, touched in recorder.by_site.items():
        _seen.add(site)
        if touched.rows > rows or touched.pages > PAGES_OF_NONE + PAGES_OF_A_ROW * rows:
            over.append(f"{site.file}:{site.line} {touched}")
    assert not over, over


async def test_days_of_grants_are_made_and_dropped_whatever_is_in_them(a_million: str) -> None:
    recorder = Recorder()
    async with recorder.database(a_million) as database:
        async with database.acquire() as db:
            today, there = await partitions.days(db)
        day = max(there) + timedelta(1)
        assert await partitions.make(database, day)
        assert not await partitions.drop(database, day)  # it is not over
        old = today - timedelta(30)
        assert await partitions.make(database, old)
        assert await partitions.drop(database, old)
    _demand(recorder, 200)


def test_every_statement_has_a_budget(a_million: str) -> None:
    """The last of this file: what the tests before it have run is all that there is."""
    missing = [
        f"{file}:{lines.start}"
        for file, lines in _sites()
        if not any(one.file == file and one.line in lines for one in _seen)
    ]
    assert not missing, f"statements without an entry in tests/scale/statements.py: {missing}"
