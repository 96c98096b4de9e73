"""The lanes of a node, and the database that must have room for them."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mdm_async.postgres.database import connect
from mdm_async.postgres.lanes import warn_of_little_room
from mdm_async.settings import DatabaseSettings
from tests.conftest import running_server
from tests.postgres.for_tests import PostgresForTests, postgres_for_tests


@pytest.mark.parametrize(("pool", "lines"), [(2, 0), (200, 1)])
async def test_a_database_that_takes_fewer_connections_than_a_node_makes_is_told_of(
    pool: int, lines: int
) -> None:
    async with (
        postgres_for_tests() as server,
        connect(await server.fresh_database()) as connection,
    ):
        takes = int(await connection.fetchval("show max_connections"))
        with capture_logs() as told:
            await warn_of_little_room(connection, DatabaseSettings(pool=pool))
    assert len(told) == lines
    for line in told:
        assert line["takes"] < takes < line["wanted"] == pool + 6 + 4 + 4


async def test_who_waits_too_long_for_a_connection_is_told_that_the_database_is_busy(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    brief = {"pool": 2, "acquire_timeout": 0.1}
    async with running_server(tmp_path / "data", dsn, database=brief) as server:
        lane = server.house.lanes.requests
        async with lane.acquire(), lane.acquire():
            refused = (await server.srm("ls", expect=503, surls=["/"]))["returnStatus"]
        assert refused["type"] == "urn:mdm:error:database-busy"
        assert "no connection became free in time" in refused["explanation"]
        await server.srm("ls", surls=["/"])
