"""Several databases share each secret: any two of three give it, and what is wrong with one is its own affair."""

import asyncio
import os
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from mdm_async.errors import Conflict, Unavailable
from mdm_async.keys import repair as module
from mdm_async.keys.named_keys import owner
from mdm_async.keys.repair import Mended, repair
from mdm_async.keys.split import SplitKeys, StorePlace
from mdm_async.keys.store import Intent
from mdm_async.postgres.database import Database
from tests.faults.conditions import until
from tests.keys.database import registrations, some_secrets
from tests.keys.stores import NAMES, Keks, ask, count, split


def down(keys: SplitKeys, *names: str) -> None:
    for store in keys.shares.stores:
        if store.name in names:
            store._goes_down("away")


def back(keys: SplitKeys) -> None:
    for store in keys.shares.stores:
        if not store.up:
            store._comes_up()


def _noting(calls: list[object], function: Callable[..., Any]) -> Callable[..., Any]:
    async def noting(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        return await function(*arguments, **named)

    return noting


async def test_any_two_of_three_stores_give_all_secrets(database: Database, stores: list[StorePlace]) -> None:
    secrets = some_secrets(50)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        for away in NAMES[:3]:
            down(keys, away)
            assert await keys.fetch(registrations(secrets), identity=True) == secrets
            back(keys)
    async with split(database, stores) as keys:
        found = await keys.fetch(registrations(secrets), identity=False)
        assert {image: one.image for image, one in found.items()} == {i: s.image for i, s in secrets.items()}
        assert all(one.identity is None for one in found.values())


async def test_no_store_holds_a_secret_or_another_stores_share(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    secrets = some_secrets(1)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        shares = []
        for store in keys.shares.stores:
            assert store.keys is not None
            opened = await store.keys.read(registrations(secrets), ["image"])
            shares += [one.value for one in opened.held]
        assert len(set(shares)) == 3
        (secret,) = [one.image for one in secrets.values()]
        assert not any(secret in share for share in shares)


async def test_with_one_of_three_nothing_is_read_or_registered_and_nothing_is_left(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    secrets, others = some_secrets(3), some_secrets(3)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        down(keys, "a", "b")
        with pytest.raises(Unavailable, match="it takes 2 of 3"):
            await keys.fetch(registrations(secrets), identity=True)
        with pytest.raises(Unavailable, match="too few key stores"):
            await keys.register(others)
        back(keys)
        assert await keys.fetch(registrations(others), identity=True) == {}
        assert await keys.fetch(registrations(secrets), identity=True) == secrets
        assert [await count(dsn) for dsn in dsns] == [6, 6, 6]


async def test_what_too_few_stores_took_is_withdrawn_from_them(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    secrets = some_secrets(3)
    async with split(database, stores) as keys:
        for dsn in dsns[:2]:
            await ask(dsn, "alter table mdm_keys.image_secrets add constraint no check (false) not valid")
        with pytest.raises(Unavailable, match="too few key stores"):
            await keys.register(secrets)
    assert [await count(dsn) for dsn in dsns] == [0, 0, 0]
    assert [await count(dsn, "intents") for dsn in dsns] == [0, 0, 0]


async def test_who_is_cancelled_waits_for_what_the_stores_have_begun(
    database: Database, stores: list[StorePlace]
) -> None:
    """Else it would be taken back before it is there."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(_: object) -> bool:
        begun.set()
        return await go_on.wait()

    async with split(database, stores) as keys:
        asking = asyncio.create_task(keys.shares.ask(work))
        await begun.wait()
        asking.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not asking.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_a_registration_that_is_there_is_not_harmed_by_another_of_its_name(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    secrets = some_secrets(2)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        again = {
            uuid4(): type(one)(one.registration, os.urandom(32), os.urandom(32)) for one in secrets.values()
        }
        with pytest.raises(Unavailable):
            await keys.register(again)
        await ask(dsns[2], "delete from mdm_keys.intents")
        await ask(dsns[2], "delete from mdm_keys.image_secrets")
        with pytest.raises(Unavailable):
            await keys.register(again)
        assert await keys.fetch(registrations(secrets), identity=True) == secrets


SPOILT = {
    "a flipped bit": "update mdm_keys.image_secrets set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)",
    "a share of another image": "update mdm_keys.image_secrets a set wrapped = b.wrapped"
    " from mdm_keys.image_secrets b where a.kind = b.kind and a.registration <> b.registration",
    "a share that says another image": "update mdm_keys.image_secrets set image = gen_random_uuid()",
    "a share of the other kind": "update mdm_keys.image_secrets a set wrapped = b.wrapped"
    " from mdm_keys.image_secrets b where a.kind <> b.kind and a.registration = b.registration",
    "the format before": "update mdm_keys.image_secrets set format = 1",
    "a key that is not there": "update mdm_keys.image_secrets set epoch = 7",
    "nothing": "update mdm_keys.image_secrets set wrapped = ''",
    "rows that are gone": "delete from mdm_keys.image_secrets",
    "a table that is gone": "drop table mdm_keys.image_secrets",
}


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("spoilt", [0, 2])
async def test_a_store_whose_shares_are_spoilt_is_not_believed(
    database: Database, stores: list[StorePlace], dsns: list[str], how: str, spoilt: int
) -> None:
    secrets = some_secrets(2)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        await ask(dsns[spoilt], SPOILT[how])
        for _ in range(3):  # whichever is the first to answer
            assert await keys.fetch(registrations(secrets), identity=True) == secrets
        # And with it alone beside a good one nothing wrong is given out.
        down(keys, NAMES[(spoilt + 1) % 3])
        with pytest.raises(Unavailable):
            await keys.fetch(registrations(secrets), identity=True)


async def test_a_share_that_opens_and_is_none_of_its_secret_is_found_out(
    database: Database, stores: list[StorePlace]
) -> None:
    """As somebody would put it there who has the store and its key-encryption key."""
    secrets = some_secrets(2)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        store = keys.shares.stores[0].keys
        assert store is not None
        forged = [
            type(one)(one.registration, one.image, one.kind, os.urandom(len(one.value)))
            for one in (await store.read(registrations(secrets), ["image", "identity"])).held
        ]
        await store.withdraw(registrations(secrets))
        await store.register(forged)
        for _ in range(3):
            assert await keys.fetch(registrations(secrets), identity=True) == secrets
        down(keys, "b")
        with pytest.raises(Unavailable):
            await keys.fetch(registrations(secrets), identity=True)


async def test_one_image_whose_shares_are_too_few_spoils_no_others_answer(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    secrets = some_secrets(3)
    spoilt, *_ = registrations(secrets)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        for dsn in dsns[:2]:
            await ask(dsn, "update mdm_keys.image_secrets set wrapped = '' where registration = $1", spoilt)
        found = await keys.fetch(registrations(secrets), identity=True)
        assert {one.registration for one in found.values()} == set(registrations(secrets)) - {spoilt}
        assert await keys.fetch([spoilt], identity=True) == {}


async def test_what_a_store_that_is_away_may_give_is_told_apart_from_what_is_gone(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    secrets = some_secrets(4)
    whole, lacking, gone, half = registrations(secrets)
    image = {one.registration: image for image, one in secrets.items()}
    remove = "delete from mdm_keys.image_secrets where registration = any($1::uuid[])"
    async with split(database, stores) as keys:
        await keys.register(secrets)
        await ask(dsns[0], remove, [lacking, gone])
        await ask(dsns[1], remove, [gone])
        await ask(dsns[0], f"{remove} and kind = 'identity'", [half])
        down(keys, "c")
        found = await keys.fetch([whole, lacking, gone, half], identity=True)
        assert {one.registration for one in found.values()} == {whole}
        assert found.untold == {lacking, half}
        assert found.of(image[gone], gone) is None
        with pytest.raises(Unavailable, match="it takes a key store that is away"):
            found.of(image[lacking], lacking)
        # Without the identifying secret nothing is amiss with it.
        assert image[half] in await keys.fetch([half, gone], identity=False)
        back(keys)
        found = await keys.fetch([whole, lacking, gone, half], identity=True)
        assert {one.registration for one in found.values()} == {whole, lacking, half}
        assert not found.untold


async def test_what_stores_missed_is_intended_confirmed_and_forgotten_by_those_that_are_there(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    secrets = some_secrets(2)
    images = {s.registration: image for image, s in secrets.items()}
    first, second = registrations(secrets)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        for dsn in dsns:
            await ask(dsn, "update mdm_keys.intents set at = at - interval '1 hour'")
        assert set(await keys.unconfirmed(60, 10)) == {Intent(one, images[one]) for one in (first, second)}
        assert len(await keys.unconfirmed(60, 1)) == 1
        down(keys, "c")
        await keys.confirm([first])
        assert await keys.forget([second]) == (("a", "b"), ("c",))
        assert await keys.unconfirmed(60, 10) == []
        back(keys)
        # The store that was away still asks, and is told again.
        assert {one.registration for one in await keys.unconfirmed(60, 10)} == {first, second}
        assert await keys.fetch([second], identity=True) == {}
        assert await keys.forget([second]) == (NAMES[:3], ())
        assert [await count(dsn) for dsn in dsns] == [2, 2, 2]


async def test_a_project_has_one_key_however_many_nodes_make_it(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    async with split(database, stores) as one, split(database, stores) as other:
        made = await asyncio.gather(*(node.make_project_key("trial") for node in (one, other, one, other)))
        assert len(set(made)) == 1
        down(one, "b")
        assert await one.project_keys(["trial", "unknown"]) == {"trial": made[0]}
        assert await one.make_project_key("trial") == made[0]
        assert await one.make_project_key("second") != made[0]
    # The losers' keys are destroyed.
    assert [
        await ask(dsn, "select count(*) from mdm_keys.image_secrets where kind = 'project'") for dsn in dsns
    ] == [
        [2],
        [1],
        [2],
    ]


async def test_a_projects_key_is_not_given_for_another(database: Database, stores: list[StorePlace]) -> None:
    async with split(database, stores) as keys:
        await keys.make_project_key("trial")
        await keys.make_project_key("other")
        async with database.acquire() as db:
            await db.execute(
                "update mdm_keys.shared_project_keys a set registration = b.registration"
                " from mdm_keys.shared_project_keys b where a.project <> b.project"
            )
        with pytest.raises(Unavailable, match="project key cannot be read"):
            await keys.project_keys(["trial"])
    assert owner("project", "trial") != owner("project", "other") != owner("transfer", "other")


async def test_secrets_of_transfers_are_wrapped_under_a_key_that_the_stores_share(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    request, macaroon = uuid4(), uuid4()
    async with split(database, stores) as keys:
        grant = keys.wrap_grant(b"s" * 32, request, 5)
        root = keys.wrap_macaroon(b"r" * 32, macaroon, b"made")
    async with split(database, stores) as keys:
        assert keys.unwrap_grant(grant, request, 5) == b"s" * 32
        assert keys.unwrap_macaroon(root, macaroon, b"made") == b"r" * 32
        with pytest.raises(Unavailable):
            keys.unwrap_grant(grant, request, 6)
    assert [await ask(dsn, "select kind from mdm_keys.image_secrets") for dsn in dsns] == [["transfer"]] * 3


async def test_an_old_key_of_transfers_is_destroyed_in_all_stores_before_it_is_forgotten(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    async with split(database, stores) as keys, split(database, stores) as other:
        (first,) = await keys.transfer_keys()
        await keys.add_transfer_key(first, os.urandom(32))
        await keys.add_transfer_key(first + 60, new := os.urandom(32))
        assert (await other.transfer_keys()) == {**await keys.transfer_keys()}
        assert (await other.transfer_keys())[first + 60] == new
        assert [await count(dsn, "image_secrets") for dsn in dsns] == [2, 2, 2]
        down(keys, "c")
        await keys.remove_transfer_keys(first + 60)
        assert set(await keys.transfer_keys()) == {first, first + 60}
        async with split(database, stores) as late:
            assert set(await late.transfer_keys()) == {first + 60}
        back(keys)
        await keys.remove_transfer_keys(first + 60)
        assert set(await other.transfer_keys()) == {first + 60}
        assert [await count(dsn, "image_secrets") for dsn in dsns] == [1, 1, 1]


async def test_who_holds_what_is_told_and_what_one_lacks_is_made_good(
    database: Database, stores: list[StorePlace]
) -> None:
    secrets = some_secrets(2)
    everything = frozenset(registrations(secrets))
    async with split(database, stores) as keys:
        down(keys, "b")
        await keys.register(secrets)
        await keys.confirm(everything)
        assert await keys.holders(everything) == {"a": everything, "b": None, "c": everything}
        back(keys)
        assert await keys.holders(everything) == {"a": everything, "b": frozenset(), "c": everything}
        for _ in range(2):
            await keys.make_good(everything)
            assert await keys.holders(everything) == {"a": everything, "b": everything, "c": everything}
        down(keys, "a")
        assert await keys.fetch(everything, identity=True) == secrets


async def test_all_stores_are_wrapped_under_new_keys_and_a_store_that_is_away_is_waited_for(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    secrets = some_secrets(3)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        for place in stores:
            assert isinstance(place.source, Keks)
            place.source.keks.insert(0, os.urandom(32))
        down(keys, "c")
        with pytest.raises(Unavailable, match="key stores are away: c"):
            await keys.rotate()
        back(keys)
        await keys.rotate()
        for store in keys.shares.stores:
            assert store.keeper is not None
            await store.keeper.work()
        for dsn in dsns:
            assert await ask(
                dsn, "select distinct epoch from mdm_keys.image_secrets where kind <> 'transfer'"
            ) == [2]
        assert await keys.fetch(registrations(secrets), identity=True) == secrets


async def test_stores_that_are_given_new_keys_one_after_the_other_are_all_rotated(
    database: Database, stores: list[StorePlace]
) -> None:
    async with split(database, stores) as keys:
        for some, lack in ((stores[:2], "for the store c; a, b began"), (stores[2:], "c began")):
            for place in some:
                assert isinstance(place.source, Keks)
                place.source.keks.insert(0, os.urandom(32))
            with pytest.raises(Conflict, match=lack):
                await keys.rotate()
            for store in keys.shares.stores:
                assert store.keeper is not None
                await store.keeper.work()
        assert {store.keys.cipher.ring.epoch for store in keys.shares.stores if store.keys} == {2}


async def test_a_store_that_was_away_is_given_what_it_missed(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    before, missed = some_secrets(3), some_secrets(1203)
    gone, *_ = registrations(before)
    async with split(database, stores) as keys:
        await keys.register(before)
        down(keys, "b")
        await keys.register(missed)
        assert keys.shares.stores[1].behind
        await keys.make_project_key("trial")
        await keys.forget([gone])
        back(keys)
        for dsn in dsns:
            await ask(dsn, "delete from mdm_keys.intents")
        mended = await repair(keys.shares)
        assert mended == Mended(restored=2 * 1203 + 1, forgotten=1)
        assert not keys.shares.stores[1].behind
        assert len({await count(dsn) for dsn in dsns}) == 1
        down(keys, "a")
        secrets = {image: one for image, one in (before | missed).items() if one.registration != gone}
        assert await keys.fetch(registrations(secrets), identity=True) == secrets
        back(keys)
        assert await repair(keys.shares) == Mended()


async def test_a_share_that_is_there_is_never_changed_and_what_is_being_registered_is_left_alone(
    database: Database, stores: list[StorePlace], dsns: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt, young = some_secrets(1), some_secrets(1)
    asks_again: list[object] = []
    monkeypatch.setattr(module, "_listed_of", _noting(asks_again, module._listed_of))
    async with split(database, stores) as keys:
        await keys.register(spoilt)
        await keys.confirm(registrations(spoilt))
        await ask(dsns[0], "update mdm_keys.image_secrets set wrapped = 'x' where kind = 'image'")
        down(keys, "a")
        await keys.register(young)
        back(keys)
        repairing = asyncio.create_task(repair(keys.shares))
        await until(lambda: asks_again)
        assert await count(dsns[0]) == 2
        await keys.confirm(registrations(young))
        assert await repairing == Mended(restored=2)
    assert await ask(dsns[0], "select wrapped from mdm_keys.image_secrets where wrapped = 'x'") == [b"x"]


async def test_what_is_destroyed_in_enough_stores_never_comes_back(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    secrets = some_secrets(2)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        await keys.confirm(registrations(secrets))
        # As from a backup that was made before:
        backup = await asyncpg.connect(dsns[2])
        rows = await backup.fetch("select * from mdm_keys.image_secrets where kind <> 'transfer'")
        await keys.forget(registrations(secrets))
        await backup.execute("truncate mdm_keys.forgotten")
        await backup.copy_records_to_table("image_secrets", records=map(tuple, rows), schema_name="mdm_keys")
        await backup.close()
        assert await keys.fetch(registrations(secrets), identity=True) == {}
        assert await repair(keys.shares) == Mended(forgotten=2)
    assert [await ask(dsn, "select 1 from mdm_keys.image_secrets where kind = 'image'") for dsn in dsns] == [
        []
    ] * 3


async def test_one_store_alone_destroys_nothing_in_the_others(
    database: Database, stores: list[StorePlace], dsns: list[str]
) -> None:
    """Whoever runs one of them may say in its name that all is forgotten."""
    secrets = some_secrets(2)
    async with split(database, stores) as keys:
        await keys.register(secrets)
        await keys.confirm(registrations(secrets))
        await ask(
            dsns[0], "insert into mdm_keys.forgotten select distinct registration from mdm_keys.image_secrets"
        )
        await ask(dsns[0], "delete from mdm_keys.image_secrets")
        await repair(keys.shares)
        assert await keys.fetch(registrations(secrets), identity=True) == secrets
    assert [await count(dsn) for dsn in dsns[1:]] == [4, 4]
