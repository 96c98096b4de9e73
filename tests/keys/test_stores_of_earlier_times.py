"""A store that is not what it was: put back from a backup, robbed of rows, or telling more than there is."""

import asyncio
from uuid import UUID

import pytest

from mdm_async.keys import repair as module
from mdm_async.keys.key_database import KeyDatabase
from mdm_async.keys.repair import make_good, repair
from mdm_async.keys.share_store import ShareStore
from mdm_async.keys.split import SplitKeys, StorePlace
from mdm_async.keys.splitting import Key
from mdm_async.postgres.database import Database
from tests.keys.database import registrations, some_secrets
from tests.keys.stores import ask, count, split
from tests.patience import PATIENCE


def store(keys: SplitKeys, name: str) -> ShareStore:
    return next(one for one in keys.shares.stores if one.name == name)


async def test_a_store_that_was_put_back_from_a_backup_is_compared_with_the_others(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    """It may hold what was destroyed since, and lacks what came; nobody need have seen it go."""
    secrets = some_secrets(2)
    old, new = registrations(secrets)
    async with split(database, stores) as keys:
        await keys.register({image: one for image, one in secrets.items() if one.registration == old})
        kept = "create table mdm_keys.backup as select * from mdm_keys.image_secrets"
        await ask(dsns[2], kept)
        await keys.register({image: one for image, one in secrets.items() if one.registration == new})
        await keys.confirm([old, new])
        await keys.forget([old])
        await repair(keys.shares)
        c = store(keys, "c")
        assert c.keeper is not None
        await c.keeper.report()
        assert not c.behind
        await ask(dsns[2], "truncate mdm_keys.image_secrets, mdm_keys.forgotten")
        await ask(dsns[2], "insert into mdm_keys.image_secrets select * from mdm_keys.backup")
        await ask(dsns[2], "update mdm_keys.nodes set seen = seen - interval '1 day'")
        await c.keeper.report()
        assert c.behind
        await repair(keys.shares)
        assert not c.behind
        await c.keeper.report()
        assert not c.behind
        here = "select distinct registration from mdm_keys.image_secrets where kind = 'image'"
        assert await ask(dsns[2], here) == [new]


async def test_a_share_that_a_read_misses_is_made_good(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    secrets = some_secrets(2)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        await keys.confirm(registrations(secrets))
        await ask(dsns[1], "delete from mdm_keys.image_secrets where kind = 'image'")
        for _ in range(3):
            assert await keys.fetch(registrations(secrets), identity=True) == secrets
        await make_good(keys.shares, keys.shares.take_lacking(10))
        assert await count(dsns[1]) == 4
        assert keys.shares.take_lacking(10) == set()


async def test_a_store_that_lists_without_an_end_keeps_no_other_from_being_made_good(
    database: Database, stores: list[StorePlace], dsns: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    truly = module._listed

    async def listed(keys: KeyDatabase, after: UUID) -> list[Key]:
        if keys.name != "a":
            return await truly(keys, after)
        return [(UUID(int=after.int + 1 + n // 2), ("identity", "image")[n % 2]) for n in range(8)]

    monkeypatch.setattr(module, "_PAGE", 8)
    monkeypatch.setattr(module, "_listed", listed)
    secrets = some_secrets(20)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        await keys.confirm(registrations(secrets))
        await ask(dsns[2], "delete from mdm_keys.image_secrets where kind <> 'transfer'")
        async with asyncio.timeout(PATIENCE):
            await repair(keys.shares)
        assert await count(dsns[2]) == 40


async def test_what_a_store_says_is_being_registered_for_ever_is_waited_for_as_long_as_such_a_thing_takes(
    database: Database, stores: list[StorePlace], dsns: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_YOUNG", 0.1)
    monkeypatch.setattr(module, "_PAUSE", 0.05)
    secrets = some_secrets(1)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        await keys.confirm(registrations(secrets))
        await ask(
            dsns[0],
            "insert into mdm_keys.intents select distinct registration, image, now() + interval '1 year'"
            " from mdm_keys.image_secrets where kind = 'image'",
        )
        await ask(dsns[2], "delete from mdm_keys.image_secrets where kind <> 'transfer'")
        async with asyncio.timeout(PATIENCE):
            await repair(keys.shares)
        assert await count(dsns[2]) == 2


async def test_no_more_is_read_than_was_asked_for(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    secrets = some_secrets(2)
    (one, other) = registrations(secrets)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        a = store(keys, "a").keys
        assert a is not None
        long = "update mdm_keys.image_secrets set wrapped = decode(repeat('00', 999), 'hex') where registration = $1"
        await ask(dsns[0], long, other)
        opened = await a.read([one, other], ["image"])
        assert ([held.registration for held in opened.held], opened.closed) == ([one], 1)
        await ask(dsns[0], "alter table mdm_keys.image_secrets rename to kept")
        more = (
            "create view mdm_keys.image_secrets as select kept.* from mdm_keys.kept, generate_series(1, 999)"
        )
        await ask(dsns[0], more)
        assert len((await a.read([one], ["image"])).held) == 1
        assert await keys.fetch([one, other], identity=True) == secrets
