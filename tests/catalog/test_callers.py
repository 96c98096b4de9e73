"""Callers as they were authenticated: their numbers say who they are, whatever the database has forgotten."""

from mdm_async.catalog.rights.callers import Callers
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
