"""What statements touch, told by Postgres as it runs them: the plan that is really used, with what triggers run too.

A connection of a `Recorder` has Postgres explain each statement by itself (auto_explain), so that nothing is rewritten
for the test. Each call of `fetch` and its like in the package is a site: file and line.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, cast

import asyncpg
import orjson

import mdm_async
from mdm_async.postgres.database import Connection, Database

PACKAGE = Path(mdm_async.__file__).parent
RUN = ("fetch", "fetchrow", "fetchval", "execute", "executemany")
EXPLAINING = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
    "auto_explain.log_nested_statements": "on",
}
"""Settings of a database whose statements are explained. Only a superuser may set them."""


@dataclass(frozen=True, order=True)
class Site:
    """Where in the package a statement is run."""

    file: str
    line: int


@dataclass
class Touched:
    """Of one run of a statement, or several: rows read, whether or not they were wanted; pages looked at."""

    rows: int = 0
    pages: int = 0
    runs: int = 0
    plans: list[dict[str, Any]] = field(default_factory=list)

    def add(self, told: dict[str, Any]) -> None:
        plan = told["Plan"]
        self.plans.append(told)
        self.rows += sum(_read(node) for node in nodes_of(plan))
        self.pages += plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.pages} pages"


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes_of(below)


def _read(node: dict[str, Any]) -> int:
    if ("Relation Name" not in node and "Index Name" not in node) or node["Node Type"] == "ModifyTable":
        return 0
    each = sum(
        node.get(name, 0)
        for name in ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    )
    return round(each * node["Actual Loops"])


class Recorder:
    """Counts by site, over all connections of its database."""

    def __init__(self) -> None:
        self.by_site: defaultdict[Site, Touched] = defaultdict(Touched)

    @asynccontextmanager
    async def database(self, dsn: str, pool_size: int = 4) -> AsyncIterator[Database]:
        async with Database.connect(dsn, pool_size=pool_size) as database:
            yield _Recorded(database, self)

    @property
    def whole(self) -> Touched:
        whole = Touched()
        for one in self.by_site.values():
            whole.rows += one.rows
            whole.pages += one.pages
            whole.runs += one.runs
        return whole


class _Recorded(Database):
    def __init__(self, database: Database, recorder: Recorder) -> None:
        self.__dict__.update(database.__dict__)
        self._recorder = recorder

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        async with super().acquire() as connection:
            recorded = RecordedConnection(connection, self._recorder)
            connection.add_log_listener(recorded.told)
            try:
                yield cast(Connection, recorded)
            finally:
                connection.remove_log_listener(recorded.told)


class RecordedConnection:
    """Like the connection that it has; what its statements touch is counted."""

    def __init__(self, connection: Connection, recorder: Recorder) -> None:
        self._connection, self._recorder = connection, recorder
        self._site: Site | None = None

    def told(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        text = str(message.message)
        # Not what asyncpg asks about types when it meets them first.
        if self._site is not None and "plan:" in text and "pg_type" not in text:
            self._recorder.by_site[self._site].add(orjson.loads(text[text.index("{") :]))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in RUN:
            return found

        def run(*arguments: Any, **options: Any) -> Any:
            return self._counted(_site(sys._getframe(1)), found(*arguments, **options))

        return run

    async def _counted(self, site: Site | None, running: Any) -> Any:
        self._site = site
        try:
            return await running
        finally:
            await asyncio.sleep(0)  # listeners are called by the loop
            if site is not None:
                self._recorder.by_site[site].runs += 1
            self._site = None


def _site(frame: FrameType) -> Site | None:
    file = Path(frame.f_code.co_filename)
    return Site(str(file.relative_to(PACKAGE)), frame.f_lineno) if file.is_relative_to(PACKAGE) else None
