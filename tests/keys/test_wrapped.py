"""The key store in Postgres: many secrets in one round, no more of them than were asked for, each call repeatable."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg

from mdm_async.keys.store import Intent
from mdm_async.keys.wrapped import WrappedKeys
from mdm_async.postgres.database import Database
from tests.keys.database import kek, opened, registrations, some_secrets


@asynccontextmanager
async def queries(database: Database) -> AsyncIterator[list[asyncpg.connection.LoggedQuery]]:
    """What is asked of Postgres while the context lasts."""
    seen: list[asyncpg.connection.LoggedQuery] = []
    held = [await database._pool.acquire() for _ in range(database._pool.get_max_size())]
    bare = [connection._con for connection in held]
    for connection in bare:
        connection.add_query_logger(seen.append)
    for connection in held:
        await database._pool.release(connection)
    seen.clear()
    try:
        yield seen
    finally:
        for connection in bare:
            connection.remove_query_logger(seen.append)


async def test_thousands_are_registered_and_fetched_in_one_round_each(database: Database) -> None:
    keys, secrets = await opened(database, kek()), some_secrets(5000)
    async with queries(database) as seen:
        await keys.register(secrets)
        found = await keys.fetch(registrations(secrets), identity=True)
    assert found == secrets
    assert sum("mdm_keys" in query.query for query in seen) == 2


async def test_the_identity_secret_is_not_read_unless_it_is_asked_for(database: Database) -> None:
    keys, secrets = await opened(database, kek()), some_secrets(2)
    await keys.register(secrets)
    async with database.acquire() as db:
        await db.execute("update mdm_keys.image_secrets set wrapped = '' where kind = 'identity'")
    found = await keys.fetch(registrations(secrets), identity=False)
    assert {image: one.image for image, one in found.items()} == {i: s.image for i, s in secrets.items()}
    assert all(one.identity is None for one in found.values())
    assert await keys.fetch(registrations(secrets), identity=True) == {}


async def age(database: Database) -> None:
    async with database.acquire() as db:
        await db.execute("update mdm_keys.intents set at = at - interval '1 hour'")


async def test_what_is_registered_is_an_intent_until_it_is_confirmed(database: Database) -> None:
    keys, secrets = await opened(database, kek()), some_secrets(3)
    await keys.register(secrets)
    one, *others = registrations(secrets)
    await keys.confirm([one])
    assert await keys.unconfirmed(60, 10) == []
    await age(database)
    images = {s.registration: image for image, s in secrets.items()}
    assert set(await keys.unconfirmed(60, 10)) == {Intent(other, images[other]) for other in others}
    assert len(await keys.unconfirmed(60, 1)) == 1
    assert await keys.fetch(registrations(secrets), identity=True) == secrets


async def test_confirming_and_forgetting_may_be_repeated(database: Database) -> None:
    keys, secrets = await opened(database, kek()), some_secrets(2)
    await keys.register(secrets)
    first, second = registrations(secrets)
    for _ in range(2):
        await keys.confirm([first])
        await keys.forget([second, uuid4()])
    await age(database)
    assert await keys.unconfirmed(60, 10) == []
    assert {one.registration for one in (await keys.fetch([first, second], identity=True)).values()} == {
        first
    }


async def test_a_project_has_one_key_however_many_nodes_make_it(database: Database) -> None:
    key = kek()
    nodes: list[WrappedKeys] = [await opened(database, key) for _ in range(4)]
    made = await asyncio.gather(*(node.make_project_key("trial") for node in nodes))
    assert len(set(made)) == 1
    assert await nodes[0].project_keys(["trial", "unknown"]) == {"trial": made[0]}
