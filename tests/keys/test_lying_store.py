"""One of the stores lies: whoever runs it writes what they like into it. It harms its own shares at the most."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from mdm_async.keys.repair import repair
from mdm_async.postgres.database import Database
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.keys.database import registrations, some_secrets
from tests.keys.stores import NAMES, ask, count, places, split
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture
async def shared(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, dsns: list[str]
) -> AsyncIterator[Server]:
    stores = [{"name": name, "dsn": dsn} for name, dsn in zip(NAMES, dsns, strict=False)]
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, keys={"stores": stores, "threshold": 2}) as server:
        yield server


async def test_a_store_that_says_that_nobody_named_its_shares_destroys_none_elsewhere(
    shared: Server, dsns: list[str], ct: bytes
) -> None:
    await shared.put("/a.dcm", ct)
    expected = await shared.read("/a.dcm")
    # Of another image the catalog names none of these registrations.
    await ask(
        dsns[0],
        "insert into mdm_keys.intents select distinct registration, $1::uuid, now() - interval '1 day'"
        " from mdm_keys.image_secrets where kind = 'image'",
        uuid4(),
    )
    await shared.house.sweeper.sweep()
    shared.cool()
    assert await shared.read("/a.dcm") == expected
    assert [await count(dsn, "image_secrets where kind = 'image'") for dsn in dsns[1:]] == [1, 1]


async def test_what_was_not_named_in_time_is_destroyed_where_the_time_is_over(
    database: Database, dsns: list[str]
) -> None:
    secrets = some_secrets(1)
    async with split(database, places(dsns)) as keys:
        await keys.register(secrets)
        await ask(dsns[0], "update mdm_keys.intents set at = now() - interval '2 hours'")
        await keys.forget_lapsed(registrations(secrets), 3600)
        assert [await count(dsn) for dsn in dsns] == [0, 2, 2]
        assert await keys.fetch(registrations(secrets), identity=True) == secrets
        for dsn in dsns:
            await ask(dsn, "update mdm_keys.intents set at = now() - interval '2 hours'")
        await keys.forget_lapsed(registrations(secrets), 3600)
        assert [await count(dsn) for dsn in dsns] == [0, 0, 0]
        assert [await count(dsn, "forgotten") for dsn in dsns] == [1, 1, 1]


async def test_a_store_whose_tables_are_gone_is_gone_without(database: Database, dsns: list[str]) -> None:
    secrets, stores = some_secrets(1), places(dsns)
    async with split(database, stores) as keys:
        await keys.register(secrets)
    await ask(dsns[2], "alter table mdm_keys.nodes rename to hidden")
    async with split(database, stores, watched=True) as keys:
        assert [store.name for store in keys.shares.up] == ["a", "b"]
        assert await keys.fetch(registrations(secrets), identity=True) == secrets
        await ask(dsns[2], "alter table mdm_keys.hidden rename to nodes")
        await until(lambda: len(keys.shares.up) == 3)


async def test_a_store_that_is_emptied_while_a_server_runs_is_filled_again(
    database: Database, dsns: list[str]
) -> None:
    secrets, stores = some_secrets(3), places(dsns)
    async with split(database, stores, watched=True) as keys:
        await keys.register(secrets)
        await keys.confirm(registrations(secrets))
        await until(lambda: not any(store.behind for store in keys.shares.stores))
        await ask(dsns[1], "drop schema mdm_keys cascade")
        await ask(dsns[1], "drop table schema_migrations")

        async def is_filled() -> bool:
            try:
                return await count(dsns[1]) == 6
            except asyncpg.PostgresError:
                return False

        await until(is_filled)
    async with split(database, stores) as keys:
        assert await keys.fetch(registrations(secrets), identity=True) == secrets


async def test_what_only_one_store_has_keeps_none_of_them_behind_once_all_were_compared(
    database: Database, dsns: list[str]
) -> None:
    async with split(database, places(dsns)) as keys:
        await ask(
            dsns[0],
            "insert into mdm_keys.image_secrets (registration, kind, image, epoch, wrapped, format)"
            " values (gen_random_uuid(), 'image', gen_random_uuid(), 1, 'x', 2)",
        )
        (*others, last) = keys.shares.stores
        last._goes_down("away")
        assert (await repair(keys.shares)).lost == 1
        assert all(store.behind for store in others)
        last._comes_up()
        assert (await repair(keys.shares)).lost == 1
        assert not any(store.behind for store in keys.shares.stores)
