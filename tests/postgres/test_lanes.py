"""The lanes of a node, and the database that must have room for them."""

import pytest
from structlog.testing import capture_logs

from mdm_async.postgres.database import connect
from mdm_async.postgres.lanes import warn_of_little_room
from mdm_async.settings import DatabaseSettings
from tests.postgres.for_tests import postgres_for_tests


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
