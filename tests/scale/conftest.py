"""A Postgres of its own with a catalog of a million images: made once a run, whose statements are explained."""

from collections.abc import AsyncIterator

import pytest

from mdm_async.postgres.database import connect
from mdm_async.postgres.embedded.lifecycle import SUPERUSER, EmbeddedPostgres
from tests.postgres.for_tests import postgres_folder
from tests.scale import million
from tests.scale.touched import EXPLAINING

_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    "shared_buffers": "512MB",
}


@pytest.fixture(scope="session")
async def a_million() -> AsyncIterator[str]:
    """The DSN of its database, whose role may do anything."""

    with postgres_folder() as folder:
        async with EmbeddedPostgres(folder, settings=_SETTINGS) as postgres:
            async with connect(postgres.dsn_of("postgres", SUPERUSER)) as db:
                await db.execute("create database million")
            dsn = postgres.dsn_of("million", SUPERUSER)
            await million.fill(dsn)
            async with connect(dsn) as db:
                for name, value in EXPLAINING.items():
                    await db.execute(f"alter database million set {name} = '{value}'")
            yield dsn
