"""Callers as they were authenticated: their numbers say who they are, whatever the database has forgotten."""

import pytest

from mdm_async.catalog.grants import partitions
from mdm_async.catalog.rights.callers import Callers, forget_unused
from mdm_async.images.upkeep.days import keep_days
from mdm_async.names import AUTHENTICATED, Caller, Lfn, Right, Scope
from mdm_async.postgres.database import Database


def _caller(name: str, path: str = "/") -> Caller:
    return Caller(
        name, frozenset({name, AUTHENTICATED}), (Scope(Lfn(path), frozenset({Right.READ})),), limited=True
    )


async def test_a_caller_is_kept_once_and_comes_back(database: Database) -> None:
    first, second = Callers(database), Callers(database)
    number = await first.id_of(_caller("user:a"))
    assert await second.id_of(_caller("user:a")) == number
    assert await second.id_of(_caller("user:a", "/b")) != number
    assert await second.get([number]) == {number: _caller("user:a")}


async def test_a_restore_of_an_older_database_gives_nobody_the_number_of_another(database: Database) -> None:
    before = Callers(database)
    number = await before.id_of(_caller("user:a"))
    async with database.acquire() as db:
        await db.execute("truncate callers restart identity")
    after = Callers(database)
    for other in range(20):
        await after.id_of(_caller(f"user:{other}"))
    # A grant that names the caller of before names nobody, until that one comes back.
    assert await after.get([number]) == {}
    assert await after.id_of(_caller("user:a")) == number
    assert await after.get([number]) == {number: _caller("user:a")}


async def test_callers_that_an_older_version_has_numbered_keep_their_numbers(database: Database) -> None:
    number = await Callers(database).id_of(_caller("user:a"))
    async with database.acquire() as db:
        await db.execute("update callers set id = default where id = $1", number)
        given = await db.fetchval("select id from callers")
    assert given < 1 << 62
    assert await Callers(database).id_of(_caller("user:a")) == given


async def test_who_comes_no_more_is_forgotten_with_the_last_day_whose_grants_may_name_him(
    database: Database,
) -> None:
    known = Callers(database)
    numbers = [await known.id_of(_caller(name)) for name in ("user:a", "user:b")]
    async with database.acquire() as db:
        oldest = min((await partitions.days(db))[1])
        for number, ago in zip(numbers, (1, 3), strict=True):
            await db.execute(
                "update callers set seen = $2::date - make_interval(days => $3) + interval '1 hour' where id = $1",
                number,
                oldest,
                ago,
            )
    await keep_days(database)
    assert set(await known.get(numbers)) == {numbers[0]}
    async with database.acquire() as db:
        assert await forget_unused(db, oldest, 100) == 0


async def test_who_comes_again_is_seen_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Callers(database)
    number = await known.id_of(_caller("user:a"))

    async def seen_again() -> bool:
        async with database.acquire() as db:
            await db.execute("update callers set seen = now() - interval '3 days'")
            assert await known.id_of(_caller("user:a")) == number
            return bool(await db.fetchval("select seen > now() - interval '1 day' from callers"))

    assert not await seen_again()  # not in each request
    monkeypatch.setattr("mdm_async.catalog.rights.callers._SEEN_AGAIN", 0.0)
    assert await seen_again()
    async with database.acquire() as db:
        await db.execute("delete from callers")
    assert await known.get([await known.id_of(_caller("user:a"))])
