"""A database with a sealed trail, and what verification says of it."""

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from mdm_async.audit import row_index
from mdm_async.audit.findings import Verdict
from mdm_async.audit.published import read
from mdm_async.audit.verify import Verifier
from mdm_async.auditing import telling
from mdm_async.auditing.gazette import Gazette
from mdm_async.auditing.sealing import Sealer
from mdm_async.auditing.telling import RowLine, SealLine
from mdm_async.catalog import installation
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.trail.ledger import Filter
from mdm_async.names import ROOT, Caller, Right, Scope
from mdm_async.postgres.database import Database
from tests.audit.made import KEYS, PRIVATE
from tests.patience import PATIENT_DATABASE

UNGUARDED = "alter table audit disable trigger audit_is_only_added_to"
"""Whoever owns the database can do that."""
ADMIN = Caller("user:admin", frozenset({"user:admin"}), (Scope(ROOT, frozenset(Right), frozenset({"*"})),))
USER = Caller("user:a", frozenset({"user:a"}), source="192.0.2.7")


@dataclass
class Sealed:
    """A database, and the sealers of as many nodes as are asked for."""

    database: Database
    dsn: str
    folder: Path
    pool: ThreadPoolExecutor
    sealers: dict[str, Sealer] = field(default_factory=dict)
    unguarded: bool = False

    def file(self, node: str = "a") -> Path:
        return self.folder / f"{node}.jsonl"

    async def sealer(self, node: str = "a", *, fresh: bool = False) -> Sealer:
        """A node's; `fresh`: as after it was started anew."""
        if node not in self.sealers or fresh:
            async with self.database.acquire() as db:
                own = await installation.identity(db)
            self.sealers[node] = Sealer(self.database, own, PRIVATE, Gazette(self.file(node)), self.pool)
        return self.sealers[node]

    async def act(self, count: int = 1, **fields: Any) -> None:
        async with self.database.transaction() as db:
            await acts.record(db, [Act(USER, "read", details={"n": i}, **fields) for i in range(count)])

    async def seconds(self, count: int, rows: int = 3) -> None:
        """Rows, and a seal over them, so many times."""
        sealer = await self.sealer()
        for _ in range(count):
            await self.act(rows)
            await sealer.tick()

    async def sql(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """What somebody does who owns the database."""
        connection = await asyncpg.connect(self.dsn)
        try:
            if not statement.startswith("select") and not self.unguarded:
                await connection.execute(UNGUARDED)
                self.unguarded = True
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def under(self, seal: int) -> list[int]:
        """The ids of the rows that a seal names."""
        (found,) = await self.sql("select rows from audit_seals where number = $1", seal)
        return row_index.ids(found["rows"])

    async def unseal(self, above: int) -> None:
        """Delete the last seals, and their rows."""
        for row in await self.sql("select number from audit_seals where number > $1", above):
            await self.sql("delete from audit where id = any($1::bigint[])", await self.under(row["number"]))
        await self.sql("delete from audit_seals where number > $1", above)

    async def told(self, wanted: Filter = Filter(), after: int | None = None) -> list[SealLine | RowLine]:  # noqa: B008
        lines: list[SealLine | RowLine] = []
        at = telling.first_page(await telling.begin(self.database, ADMIN, wanted), after)
        while True:
            page = await telling.page(self.database, ADMIN, wanted, at)
            lines += page.lines
            if page.next is None:
                return lines
            at = page.next

    async def verdict(
        self, *, published: Sequence[str] | None = None, node: str = "a", without: bool = False
    ) -> Verdict:
        """As `mdm audit verify` finds it."""
        lines = self.file(node).read_text().splitlines() if published is None else published
        opening = await telling.begin(self.database, ADMIN, Filter())
        verifier = Verifier(KEYS, None if without else read(lines), now=opening.now)
        for line in await self.told():
            if isinstance(line, SealLine):
                verifier.seal(line.number, line.text, line.index)
            else:
                verifier.row(line.row, line.seal)
        return verifier.end()


@asynccontextmanager
async def sealed_trail(dsn: str, folder: Path) -> AsyncIterator[Sealed]:
    with ThreadPoolExecutor(2) as pool:
        async with Database.connect(dsn, pool_size=8, **PATIENT_DATABASE) as database:
            yield Sealed(database, dsn, folder, pool)
