"""Who asks an archive for much does not hold up who asks for little: callers take turns."""

from mdm_async.catalog.work import images_to_stage
from mdm_async.postgres.database import Connection
from tests.scale.million import image

LINE = images_to_stage.of_archive("main")


async def asked(db: Connection, caller: str, numbers: range) -> None:
    await images_to_stage.add(db, {image(number): "main" for number in numbers}, caller)


async def order(db: Connection, count: int) -> list[int]:
    """Which images come next."""
    numbers = {image(number): number for number in range(200)}
    taken: list[int] = []
    while len(taken) < count and (rows := await LINE.take(db, "node", 1)):
        taken += [numbers[row.key[0]] for row in rows]
        await LINE.done(db, rows)
    return taken


async def test_callers_take_turns_each_in_the_order_in_which_they_asked(db: Connection) -> None:
    await asked(db, "much", range(100))
    assert await order(db, 10) == list(range(10))
    await asked(db, "little", range(100, 101))
    await asked(db, "more", range(110, 114))
    assert await images_to_stage.ahead(db, "main", "else", 1000) == 0
    assert await images_to_stage.ahead(db, "main", "little", 1000) == 3
    assert await order(db, 9) == [10, 100, 110, 11, 111, 12, 112, 13, 113]
    assert await order(db, 100) == list(range(14, 100))


async def test_who_asks_again_and_again_gets_no_more_than_who_asks_once(db: Connection) -> None:
    for number in range(50):
        await asked(db, "greedy", range(number, number + 1))
    await asked(db, "patient", range(100, 150))
    assert await order(db, 6) == [0, 100, 1, 101, 2, 102]


async def test_an_image_that_two_wait_for_comes_when_the_first_of_them_has_a_turn(db: Connection) -> None:
    await asked(db, "much", range(100))
    await asked(db, "little", range(90, 91))
    assert await order(db, 3) == [0, 90, 1]


async def test_what_fails_goes_to_the_end_of_its_callers_line_and_is_not_due(db: Connection) -> None:
    await asked(db, "much", range(3))
    (row,) = await LINE.take(db, "node", 1)
    await LINE.fail(db, row, "PeerFailed")
    assert await order(db, 10) == [1, 2]
    await LINE.hurry(db, 10)
    assert await order(db, 10) == [0]


async def test_what_a_node_took_that_has_died_is_taken_before_all_else(db: Connection) -> None:
    await asked(db, "much", range(3))
    taken = await LINE.take(db, "dead", 1)
    await db.execute(
        "update images_to_stage set due = now() - interval '1 second' where taken_by is not null"
    )
    assert await LINE.take(db, "node", 1) != taken
    assert await order(db, 10) == [1, 2]
