"""A primary that was demoted: it answers, and takes no changes. The server is not ready, and says why."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mdm_async.postgres.database import connect, migrate
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.patience import PATIENCE
from tests.postgres.for_tests import FAST, postgres_folder


@dataclass(frozen=True)
class Demotable:
    """A server on a Postgres of its own."""

    server: Server
    postgres: EmbeddedPostgres

    async def demote(self, *, back: bool = False) -> None:
        async with connect(self.postgres.dsn_of("postgres", "postgres")) as db:
            await db.execute(
                f"alter system set default_transaction_read_only = {'off' if back else 'on'}",
                timeout=PATIENCE,
            )
            await db.fetchval("select pg_reload_conf()")


@pytest.fixture
async def demotable(tmp_path: Path) -> AsyncIterator[Demotable]:
    with postgres_folder() as folder:
        async with EmbeddedPostgres(folder, settings=FAST) as postgres:
            async with connect(postgres.dsn) as db:
                for package in ("mdm_async.catalog", "mdm_async.keys"):
                    await migrate(db, package)
            async with running_server(tmp_path / "data", postgres.dsn) as server:
                yield Demotable(server, postgres)


async def used(server: Server) -> set[int]:
    """Backends of Postgres's that the server's lanes lead to, as many as each has connections."""
    pids = set[int]()
    async with AsyncExitStack() as stack:
        for lane in server.house.lanes.all:
            for _ in range(lane.turns.places - lane.turns.used):
                db = await stack.enter_async_context(lane.acquire())
                pids.add(await db.fetchval("select pg_backend_pid()"))
    return pids


async def test_a_read_only_primary_is_told_and_left(demotable: Demotable, ct: bytes) -> None:
    server = demotable.server
    await server.put("/a.dcm", ct)
    assert (await server.call("GET", "/health/ready")).status == 200
    before = await used(server)
    await demotable.demote()

    async def refused() -> bool:
        return (await server.call("GET", "/health/ready")).status == 503

    await until(refused)
    ready = await server.call("GET", "/health/ready")
    assert ready.tree["type"] == "urn:mdm:error:database-read-only"
    assert "Retry-After" in ready.headers
    told = await server.srm("mkdir", surl="/new", expect=503)
    assert told["returnStatus"]["type"] == "urn:mdm:error:database-read-only"
    assert (await server.call("GET", "/health/live")).status == 200

    async def metric() -> bytes:
        return (await server.call("GET", "/metrics")).body

    async def seen() -> bool:
        return b"mdm_database_writable 0.0" in await metric()

    await until(seen)
    # Those that it had lead to a server that is no primary any more: none of them is used again.
    assert not before & await used(server)
    await demotable.demote(back=True)

    async def ready_again() -> bool:
        return (await server.call("GET", "/health/ready")).status == 200

    await until(ready_again)
    await server.srm("mkdir", surl="/new")
