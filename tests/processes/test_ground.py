"""What comes along for all processes: a Postgres that takes as many connections as they make."""

import pytest
from structlog.testing import capture_logs

from mdm_async.ground import taken
from mdm_async.postgres.database import connect
from mdm_async.postgres.lanes import warn_of_little_room
from mdm_async.settings import load, part_of
from tests.postgres.for_tests import postgres_folder


@pytest.mark.parametrize(("count", "pool"), [(64, 16), (1, 200)])
async def test_the_embedded_postgres_takes_the_connections_of_all_processes(count: int, pool: int) -> None:
    with postgres_folder() as folder:
        settings = load(
            overrides={
                "data": folder / "mdm",
                "server": {"processes": count},
                "database": {"pool": pool},
            }
        )
        part = part_of(settings, 1, count).database
        async with taken(settings) as ground, connect(ground.target) as connection:
            with capture_logs() as told:
                await warn_of_little_room(connection, part, count)
    assert told == []
