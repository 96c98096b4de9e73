"""Stores that cannot be what the settings say are refused, by name, before anything is wrapped."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import pytest

from mdm_async.errors import UnsafeSettings
from mdm_async.keys.enrolment import Enrolled, enrolled
from mdm_async.keys.repair import repair
from mdm_async.keys.split import StorePlace
from mdm_async.keys.store_check import reasons_against_stores
from mdm_async.postgres.database import Database
from tests.keys.database import INSTALLATION, kek, opened, registrations, some_secrets
from tests.keys.stores import NAMES, Keks, places, split
from tests.postgres.for_tests import PostgresForTests


async def refused(database: Database, stores: Sequence[StorePlace], match: str, threshold: int = 2) -> None:
    with pytest.raises(UnsafeSettings, match=match):
        async with split(database, stores, threshold):
            pass


async def reasons(stores: Sequence[StorePlace]) -> str:
    return "\n".join(map(str, await reasons_against_stores(stores, 2)))


def moved(stores: Sequence[StorePlace], place: int, dsn: str) -> list[StorePlace]:
    """With one of them at another database."""
    return [
        StorePlace(one.name, dsn if number == place else one.dsn, one.source)
        for number, one in enumerate(stores)
    ]


def another_way(dsn: str) -> str:
    """The same database by another DSN."""
    return dsn + "&application_name=another"


@pytest.mark.parametrize("was_there", [False, True])
async def test_two_stores_in_one_database_are_refused_by_whatever_dsn_they_reach_it(
    database: Database, dsns: list[str], was_there: bool
) -> None:
    stores = places(dsns)
    if was_there:
        async with split(database, stores):
            pass
    same = moved(stores, 1, another_way(dsns[0]))
    assert "are the same" in await reasons(same)
    # Which of them comes first is chance, when both are new.
    await refused(database, same, r"key store (b is that of a|a is that of b) \(share \d\), or a copy of it")


async def test_a_copy_of_another_stores_database_is_refused(
    database: Database, dsns: list[str], postgres: PostgresForTests
) -> None:
    stores = places(dsns)
    async with split(database, stores):
        pass
    copied = moved(stores, 2, await postgres.fresh_database(dsns[0]))
    await refused(database, copied, r"key store c is that of a \(share 1\), or a copy of it; .* share 3")
    assert "a copy" in await reasons(copied)


async def test_stores_in_each_others_place_are_refused(database: Database, dsns: list[str]) -> None:
    stores = places(dsns)
    async with split(database, stores):
        pass
    await refused(
        database,
        [StorePlace("a", dsns[1], stores[1].source), StorePlace("b", dsns[0], stores[0].source), stores[2]],
        r"is that of (a|b) \(share (1|2)\)",
    )


async def test_a_store_of_another_installation_is_refused(database: Database, dsns: list[str]) -> None:
    stores = places(dsns)
    async with split(database, stores):
        pass
    with pytest.raises(UnsafeSettings, match="belongs to another installation"):
        async with split(database, stores, installation=uuid4()):
            pass


async def test_the_catalogs_own_database_is_no_store(
    database: Database, dsns: list[str], postgres: PostgresForTests
) -> None:
    async with database.acquire() as db:
        name = await db.fetchval("select current_database()")
    own = urlunsplit(urlsplit(postgres.dsn)._replace(path=f"/{name}"))
    await refused(database, moved(places(dsns), 1, own), "key store b is a catalog's")


async def test_a_key_that_does_not_open_the_store_or_is_of_another_is_refused(
    database: Database, dsns: list[str]
) -> None:
    stores = places(dsns)
    async with split(database, stores) as keys:
        await keys.register(secrets := some_secrets(1))
    wrong = [stores[0], StorePlace("b", dsns[1], Keks()), stores[2]]
    await refused(database, wrong, "key store b: no key-encryption key given opens")
    assert "key store b: no key-encryption key given opens" in await reasons(wrong)
    swapped = [
        stores[0],
        StorePlace("b", dsns[1], stores[2].source),
        StorePlace("c", dsns[2], stores[1].source),
    ]
    await refused(database, swapped, "no key-encryption key given opens")
    async with split(database, stores) as keys:
        assert await keys.fetch(registrations(secrets), identity=True) == secrets
    assert await reasons(stores) == ""


async def test_two_stores_with_one_key_are_refused(database: Database, dsns: list[str]) -> None:
    first, second, third = places(dsns)
    shared = StorePlace("b", second.dsn, Keks(kek(), *await first.source.read()))
    await refused(
        database, [first, shared, third], "key stores (a and b|b and a) have a key-encryption key in common"
    )


async def test_another_threshold_or_a_store_fewer_is_refused(database: Database, dsns: list[str]) -> None:
    stores = places(dsns)
    async with split(database, stores):
        pass
    await refused(database, stores, "keys.threshold is 3, and .* 2 stores read them", threshold=3)
    await refused(database, stores[:2], "keys.stores lack c")
    await refused(database, [StorePlace("z", *_rest(stores[0])), *stores[1:]], "keys.stores lack a")


def _rest(place: StorePlace) -> tuple[str, Keks]:
    assert isinstance(place.source, Keks)
    return place.dsn, place.source


async def test_a_store_more_is_given_its_shares(
    database: Database, dsns: list[str], postgres: PostgresForTests
) -> None:
    stores = places([*dsns, await postgres.fresh_database()])
    async with split(database, stores[:3]) as keys:
        await keys.register(secrets := some_secrets(2))
        await keys.confirm(registrations(secrets))
    async with split(database, stores) as keys:
        assert (await repair(keys.shares)).restored == 5
        for store in keys.shares.stores[:2]:
            store._goes_down("away")
        assert await keys.fetch(registrations(secrets), identity=True) == secrets


async def test_the_check_tells_beforehand_what_a_start_refuses(
    database: Database, dsns: list[str], postgres: PostgresForTests
) -> None:
    stores = places(dsns)

    async def known(threshold: int = 2, names: Sequence[str] = NAMES[:3]) -> Enrolled | None:
        async with database.acquire() as db:
            return await enrolled(db, INSTALLATION, names, threshold)

    async def told(stores: Sequence[StorePlace]) -> str:
        return "\n".join(map(str, await reasons_against_stores(stores, 2, await known())))

    found = await known()
    assert found is not None
    assert found.stores == {}
    assert await told(stores) == ""
    async with split(database, stores) as keys:
        await keys.register(some_secrets(1))
    assert await told(stores) == ""
    swapped = [
        StorePlace("a", dsns[1], stores[1].source),
        StorePlace("b", dsns[0], stores[0].source),
        stores[2],
    ]
    assert "the database of key store a is that of b (share 2), or a copy of it" in await told(swapped)
    first = stores[0]
    shared = StorePlace("b", dsns[1], Keks(*await stores[1].source.read(), *await first.source.read()))
    assert "key stores a and b have a key-encryption key in common" in await told([first, shared, stores[2]])
    with pytest.raises(UnsafeSettings, match=r"set keys\.threshold = 2"):
        await known(threshold=3)
    with pytest.raises(UnsafeSettings, match=r"keys\.stores lack c, which hold shares .* name them again"):
        await known(names=["a", "b"])
    async with database.acquire() as db:
        name = await db.fetchval("select current_database()")
    own = urlunsplit(urlsplit(postgres.dsn)._replace(path=f"/{name}"))
    assert "key store b is a catalog's" in await told(moved(stores, 1, own))


async def test_the_check_tells_a_store_of_another_installation(
    database: Database, dsns: list[str], postgres: PostgresForTests, migrated: str
) -> None:
    stores = places(dsns)
    async with split(database, stores):
        pass
    elsewhere = places([await postgres.fresh_database() for _ in range(3)])
    async with (
        Database.connect(await postgres.fresh_database(migrated), pool_size=2) as other,
        split(other, elsewhere, installation=uuid4()),
    ):
        pass
    mixed = [stores[0], elsewhere[1], stores[2]]
    assert "key store b belongs to another installation than key store a" in await reasons(mixed)
    async with database.acquire() as db:
        known = await enrolled(db, INSTALLATION, NAMES[:3], 2)
    told = "\n".join(map(str, await reasons_against_stores(elsewhere, 2, known)))
    assert told.count("belongs to another installation than the catalog; check the store's dsn") == 3


async def test_whole_secrets_and_shared_ones_are_not_taken_for_each_other(
    database: Database, dsns: list[str]
) -> None:
    whole = await opened(database, kek())
    await whole.register(some_secrets(1))
    await refused(database, places(dsns), "secrets lie whole in the catalog's database")
    async with database.acquire() as db:
        await db.execute("delete from mdm_keys.image_secrets")
        await db.execute("delete from mdm_keys.project_keys")
    async with split(database, places(dsns)):
        pass
    with pytest.raises(UnsafeSettings, match="shared among key stores, and the settings name none"):
        await opened(database, kek())


async def test_settings_that_were_refused_at_first_bind_nobody(database: Database, dsns: list[str]) -> None:
    stores = places(dsns)
    mistaken = StorePlace("a", dsns[0], stores[1].source)
    mistyped = StorePlace("z", "postgresql://nobody@127.0.0.1:1/none", Keks())
    await refused(database, [mistaken, *stores[1:], mistyped], "key-encryption key in common", threshold=3)
    async with split(database, stores) as keys:
        assert len(keys.shares.up) == 3
    async with database.acquire() as db:
        assert await db.fetchval("select count(*) from mdm_keys.stores") == 3


async def test_nodes_that_start_at_once_agree_which_store_is_which(
    database: Database, dsns: list[str]
) -> None:
    stores = places(dsns)

    async def start(order: Sequence[StorePlace]) -> dict[str, UUID]:
        async with split(database, order) as keys:
            return {store.name: store.identity.id for store in keys.shares.stores}

    first, *others = await asyncio.gather(*(start(order) for order in (stores, stores[::-1], stores)))
    assert all(other == first for other in others)


async def test_a_store_that_is_away_is_a_reason_only_when_too_few_are_left(dsns: list[str]) -> None:
    stores = moved(places(dsns), 0, "postgresql://nobody:word@127.0.0.1:1/none")
    assert await reasons(stores) == ""
    gone = moved(stores, 1, "postgresql://nobody:word@127.0.0.1:1/none")
    told = await reasons(gone)
    assert "key store a lets nobody in (ConnectionRefusedError)" in told
    assert "word" not in told
