"""Queues of work: a row is one node's until it is settled or its lease lapses, and one that fails keeps no other."""

import asyncio
from uuid import UUID, uuid4

import pytest

from mdm_async.catalog.namespace import entries
from mdm_async.catalog.work import directories_to_check, views_to_make
from mdm_async.catalog.work.directories_to_check import DIRECTORIES_TO_CHECK
from mdm_async.catalog.work.queue import COUNTED, Row
from mdm_async.catalog.work.views_to_make import VIEWS_TO_MAKE as QUEUE
from mdm_async.postgres.database import Connection, Database


async def filled(db: Connection, count: int) -> list[UUID]:
    """Images that wait, in the order of their rows."""
    images = sorted(uuid4() for _ in range(count))
    for image in images:
        await views_to_make.add(db, [(image, "basic")])
    return images


async def lapse(db: Connection) -> None:
    await db.execute("update views_to_make set due = now()")


async def test_two_nodes_that_take_at_once_get_different_rows(database: Database, db: Connection) -> None:
    images = await filled(db, 60)

    async def all_of(node: str) -> list[Row]:
        taken: list[Row] = []
        async with database.acquire() as own:
            while rows := await QUEUE.take(own, node, 7):
                taken += rows
        return taken

    first, second, third = await asyncio.gather(*(all_of(node) for node in "abc"))
    assert sorted(row.key[0] for row in first + second + third) == images


async def test_a_page_holds_what_has_waited_longest(db: Connection) -> None:
    images = await filled(db, 5)
    assert [row.key for row in await QUEUE.take(db, "a", 3)] == [(image, "basic") for image in images[:3]]


async def test_a_row_is_anothers_when_its_lease_has_lapsed(db: Connection) -> None:
    await filled(db, 1)
    (mine,) = await QUEUE.take(db, "a", 10)
    assert await QUEUE.take(db, "b", 10) == []
    await lapse(db)
    (theirs,) = await QUEUE.take(db, "b", 10)
    await QUEUE.renew(db, [mine])
    await QUEUE.fail(db, mine, "Late")
    await QUEUE.done(db, [mine])
    standing = await QUEUE.standing(db)
    assert (standing.length, standing.taken, standing.failed) == (1, 1, 0)
    await QUEUE.done(db, [theirs])
    assert (await QUEUE.standing(db)).length == 0


async def test_renewing_keeps_a_row(db: Connection) -> None:
    await filled(db, 1)
    mine = await QUEUE.take(db, "a", 10)
    await lapse(db)
    await QUEUE.renew(db, mine)
    assert await QUEUE.take(db, "b", 10) == []


async def test_a_row_that_fails_waits_longer_each_time_and_keeps_no_other(db: Connection) -> None:
    poison, *others = await filled(db, 6)
    pauses = []
    for _ in range(4):
        (row, *_) = await QUEUE.take(db, "a", 1)
        assert row.key[0] == poison
        await QUEUE.fail(db, row, "Damaged")
        assert (await QUEUE.take(db, "a", 1))[0].key[0] != poison
        (failure,) = (await QUEUE.standing(db)).failures
        now = await db.fetchval("select now()")
        pauses.append((failure.due - now).total_seconds())
        await db.execute("update views_to_make set due = now() - interval '1 day' where image = $1", poison)
    assert (failure.key, failure.reason, failure.attempts) == ((poison, "basic"), "Damaged", 4)
    assert pauses == pytest.approx([5, 10, 20, 40], abs=2)
    assert (await QUEUE.standing(db)).length == 1 + len(others)


async def test_a_row_that_was_put_back_has_not_failed(db: Connection) -> None:
    await filled(db, 1)
    for _ in range(12):
        await QUEUE.put_back(db, await QUEUE.take(db, "a", 1), 0)
    (row,) = await QUEUE.take(db, "a", 1)
    await QUEUE.fail(db, row, "Damaged")
    assert await db.fetchval("select due - now() < interval '10 seconds' from views_to_make")


async def test_no_pause_is_longer_than_an_hour(db: Connection) -> None:
    await filled(db, 1)
    await db.execute("update views_to_make set attempts = 5000")
    (row,) = await QUEUE.take(db, "a", 1)
    await QUEUE.fail(db, row, "Damaged")
    assert await db.fetchval("select due - now() <= interval '1 hour' from views_to_make")


async def test_what_is_added_again_while_it_is_worked_on_stays(db: Connection) -> None:
    """It may have been worked on by what is not in force any more."""
    (image,) = await filled(db, 1)
    mine = await QUEUE.take(db, "a", 1)
    await views_to_make.add(db, [(image, "basic")])
    await QUEUE.done(db, mine)
    assert [row.key[0] for row in await QUEUE.take(db, "b", 1)] == [image]


async def test_a_directory_that_is_added_anew_is_checked_from_its_beginning(
    db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is in the midst of it looked at its first names by what is not in force any more."""
    monkeypatch.setattr(directories_to_check, "PAGE", 1)
    root = await db.fetchval("select id from entries where parent is null")
    for name in ("a", "b", "c"):
        await entries.make_directory(db, root, name)
    await directories_to_check.add(db, root)
    (row,) = await DIRECTORIES_TO_CHECK.take(db, "here", 1)
    assert await directories_to_check.check_page(db, row, [("basic", "digest.1")])
    await directories_to_check.add(db, root)
    assert not await directories_to_check.check_page(db, row, [("basic", "digest.1")])
    await DIRECTORIES_TO_CHECK.done(db, [row])
    assert await db.fetchval("select after from directories_to_check where directory = $1", root) == ""


async def test_a_node_that_starts_again_gives_back_what_it_had(db: Connection) -> None:
    await filled(db, 2)
    await QUEUE.take(db, "a:/srv", 1)
    (other,) = await QUEUE.take(db, "a:/srv2", 1)
    await QUEUE.give_back(db, "a:/srv")
    (again,) = await QUEUE.take(db, "b", 10)
    assert again.key != other.key


async def test_who_is_in_a_hurry_waits_for_no_pause_but_takes_nothing_from_others(db: Connection) -> None:
    await filled(db, 2)
    first, second = await QUEUE.take(db, "a", 2)
    await QUEUE.fail(db, first, "Damaged")
    assert await QUEUE.hurry(db, 10) == 1
    assert [row.key for row in await QUEUE.take(db, "b", 10)] == [first.key]
    await QUEUE.done(db, [second])


async def test_a_queue_is_not_counted_to_its_end(db: Connection) -> None:
    await db.execute(
        "insert into views_to_make (image, view) select gen_random_uuid(), 'basic' from generate_series(1, $1::int)",
        COUNTED + 10,
    )
    assert (await QUEUE.standing(db)).length == COUNTED


async def test_a_row_with_the_largest_count_keeps_no_page(db: Connection) -> None:
    await filled(db, 3)
    await db.execute(
        "update views_to_make set attempts = 2147483647"
        " where image = (select image from views_to_make limit 1)"
    )
    assert len(await QUEUE.take(db, "a", 10)) == 3
