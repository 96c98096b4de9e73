"""Nothing can be made to lie so deep that finding it takes long; what lies there already harms nobody."""

import asyncio

from mdm_async.names import MOST_LEVELS
from mdm_async.postgres.database import connect
from tests.postgres.for_tests import PostgresForTests
from tests.siege.besieged import Besieged

DEEP = 1_900
SURLS = 200


def below(start: str, levels: int) -> str:
    return start + "/d" * levels


async def test_no_name_leads_deeper_than_the_limit(castle: Besieged) -> None:
    ground = castle.ground
    assert await castle.attack("mkdir", surl=below(ground, MOST_LEVELS - 1), parents=True) == 200
    assert await castle.attack("mkdir", surl=below(ground, MOST_LEVELS), parents=True) == 400
    put = {"files": [{"surl": below(ground, MOST_LEVELS) + "/a.dcm"}], "parents": True}
    assert await castle.attack("prepareToPut", **put) == 400


async def test_a_tree_cannot_be_put_together_deeper_than_the_limit(own_castle: Besieged) -> None:
    """Each half may be as deep as it is; one cannot be moved to the end of the other."""
    ground = own_castle.ground
    for half in ("one", "two"):
        assert await own_castle.attack("mkdir", surl=below(f"{ground}/{half}", 40), parents=True) == 200
    deep = below(f"{ground}/one", 40)
    assert await own_castle.attack("mv", fromSURL=f"{ground}/two", toSURL=deep + "/two") == 400
    # Where there is room for it, it may go; and up again.
    there = below(f"{ground}/one", MOST_LEVELS - 2 - 40 - 1) + "/two"
    assert await own_castle.attack("mv", fromSURL=f"{ground}/two", toSURL=there) == 200
    assert await own_castle.attack("mv", fromSURL=there, toSURL=f"{ground}/two") == 200


async def test_a_tree_that_is_too_deep_already_holds_up_nobody(
    own_castle: Besieged, postgres: PostgresForTests
) -> None:
    castle, deep = own_castle, below("/ground", DEEP)
    async with connect(castle.process.environment["MDM_DATABASE__DSN"]) as db:
        await db.execute(
            "do $$ declare at bigint; begin"
            " select id into at from entries where name = 'ground';"
            f" for level in 1..{DEEP} loop"
            "  insert into entries (parent, name, is_directory) values (at, 'd', true) returning id into at;"
            " end loop; end $$"
        )
        (guid,) = await db.fetchrow("select guid from entries where name = 'd' order by id desc limit 1")
    surls = [f"{deep}/{number}" for number in range(SURLS)]
    async with castle.neighbour.served_well():
        for _ in range(4):
            await asyncio.gather(*(castle.attack("ls", surls=surls) for _ in range(16)))
        # By its GUID it is found, among a thousand times the same.
        await asyncio.gather(*(castle.attack("ls", surls=[f"guid:{guid}"] * 1_000) for _ in range(4)))
    # Whoever owns it can remove it as a whole.
    assert await castle.attack("rmdir", surl="/ground/d", recursive=True) == 200
