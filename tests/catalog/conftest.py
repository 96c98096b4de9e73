"""A migrated database of the test's own, or one that a module's tests roll back."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from mdm_async.catalog.metadata import new_image
from mdm_async.catalog.metadata.new_image import NewImage
from mdm_async.postgres.database import Connection, Database
from tests.patience import PATIENT_DATABASE
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture
async def database(postgres: PostgresForTests, migrated: str) -> AsyncIterator[Database]:
    async with Database.connect(
        await postgres.fresh_database(migrated), pool_size=8, **PATIENT_DATABASE
    ) as opened:
        yield opened


@pytest.fixture
async def db(database: Database) -> AsyncIterator[Connection]:
    async with database.acquire() as connection:
        yield connection


@pytest.fixture(scope="module")
async def catalog(postgres: PostgresForTests, migrated: str) -> AsyncIterator[tuple[Database, UUID]]:
    """A namespace that each example plants its tree in and rolls back, and an image for its files."""
    async with Database.connect(
        await postgres.fresh_database(migrated), pool_size=2, **PATIENT_DATABASE
    ) as database:
        image = uuid4()
        async with database.acquire() as db:
            await new_image.insert(db, NewImage(image, uuid4()))
        yield database, image
