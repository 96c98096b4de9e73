"""Grants: their partitions come and go by the day, their life is the database's."""

from dataclasses import replace
from uuid import uuid4

from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.postgres.database import Connection, Database


def _grant(**fields: object) -> Grant:
    made = Grant(
        turl=uuid4().bytes,
        request=uuid4(),
        item=0,
        operation="put",
        state="open",
        caller="user:a",
        owner="user:a",
        surl="/a",
        life=60.0,
    )
    return replace(made, **fields)


async def _partitions(db: Connection) -> list[str]:
    rows = await db.fetch("select relname from pg_class where relname ~ '^grants_[0-9]{8}$' order by relname")
    return [row["relname"] for row in rows]


async def test_today_and_two_days_ahead_have_a_partition(database: Database) -> None:
    async with database.transaction() as db:
        await grants.keep_partitions(db)
        await grants.keep_partitions(db)
        assert len(await _partitions(db)) == 3


async def test_days_long_over_are_dropped_but_for_unfinished_uploads(database: Database) -> None:
    async with database.transaction() as db:
        await grants.keep_partitions(db)
        for day in (10, 11):
            await db.execute(
                f"create table grants_2020010{day - 9} partition of grants"
                f" for values from ('2020-01-0{day - 9}') to ('2020-01-0{day - 8}')"
            )
        await grants.insert(db, [_grant(life=-2 * 86400.0)])
        await db.execute("update grants set day = '2020-01-02'")
        await grants.keep_partitions(db)
        assert "grants_20200101" not in await _partitions(db)
        assert "grants_20200102" in await _partitions(db)
        await grants.expire_uploads(db, 10)
        await grants.keep_partitions(db)
        assert "grants_20200102" not in await _partitions(db)


async def test_what_is_stored_comes_back(database: Database) -> None:
    async with database.transaction() as db:
        await grants.keep_partitions(db)
        made = _grant(
            secret=b"s", parent=3, name="n", expected_size=1 << 40, description="d", replaces=uuid4()
        )
        await grants.insert(db, [made, _grant()])
        found = await grants.by_turl(db, made.turl)
        assert found is not None
        assert replace(found[0], life=made.life) == made
        assert 0 < found[0].life <= made.life
        assert found[1]


async def test_an_item_is_settled_once(database: Database) -> None:
    async with database.transaction() as db:
        await grants.keep_partitions(db)
        made = _grant()
        await grants.insert(db, [made])
        assert await grants.settle(db, made, "uploaded", "open", image=uuid4())
        assert not await grants.settle(db, made, "uploaded", "open", image=uuid4())


async def test_an_upload_that_waited_too_long_for_put_done_is_not_published(database: Database) -> None:
    async with database.transaction() as db:
        await grants.keep_partitions(db)
        made = _grant(life=-1.0, state="uploaded")
        await grants.insert(db, [made])
        assert not await grants.settle(db, made, "done", "uploaded")
        assert (await grants.liveness(db, [made.turl]))[made.turl].life < 0
