"""3,000 connections that come and go, on the port for devices and on that of HTTPS, leave nothing behind."""

from pathlib import Path

from tests.postgres.for_tests import PostgresForTests
from tests.siege.connects import come_and_go, ports


async def test_connections_that_come_and_go_leave_nothing(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with ports(tmp_path, database__dsn=dsn) as to:
        await come_and_go(to, 3_000)
