"""What holds up the catalog for one caller holds up nobody else: a lock, slow statements, a database that is busy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from mdm_async.postgres.database import connect
from tests.faults.transfers import large
from tests.faults.wire import begun
from tests.postgres.for_tests import PostgresForTests
from tests.siege.besieged import Besieged, besieged

POOL = 8
"""Connections for requests: fewer than by default, so that fewer attackers do."""
ATTACKERS = 5 * POOL
STATEMENT, LOCK = 2.5, 1.5


@dataclass(frozen=True)
class Held:
    """A castle, and the way to its database."""

    castle: Besieged
    dsn: str
    url: str
    """A transfer URL of the neighbour's, of a file too large for the buffers between him and the server."""
    size: int


@pytest.fixture(scope="module")
async def held(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory, ct: bytes
) -> AsyncIterator[Held]:
    dsn = await postgres.fresh_database(migrated)
    settings = {
        "database__pool": str(POOL),
        "database__statement_timeout": str(STATEMENT),
        "database__lock_timeout": str(LOCK),
        "transfers__revocation_grace": "1",
        "log__level": "error",
    }
    async with besieged(tmp_path_factory.mktemp("lanes") / "data", dsn, ct, **settings) as castle:
        neighbour, name = castle.neighbour, "large.dcm"
        neighbour.image = large()
        await neighbour.upload(name)
        neighbour.image = ct
        asked = {"files": [{"surl": f"{neighbour.home}/{name}"}]}
        headers = {"Authorization": f"Bearer {neighbour.token}"}
        async with castle.http.post(
            f"{castle.url}/srm/v2/prepareToGet", json=asked, headers=headers
        ) as answer:
            line = (await answer.json())["files"][0]
        yield Held(castle, dsn, line["transferURL"], line["fileSize"])


@asynccontextmanager
async def attacked(castle: Besieged, prefix: str) -> AsyncIterator[list[int]]:
    """Many who make directories in the attacker's own, over and over; what they were answered."""
    answers: list[int] = []

    async def go_on(number: int) -> None:
        turn = 0
        while True:
            turn += 1
            answers.append(await castle.attack("mkdir", surl=f"{castle.ground}/{prefix}{number}-{turn}"))

    tasks = [asyncio.create_task(go_on(number)) for number in range(ATTACKERS)]
    try:
        yield answers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_held_lock_holds_up_only_those_who_want_what_is_locked(held: Held) -> None:
    async with connect(held.dsn) as db, db.transaction():
        await db.execute("select from entries where name = $1 for update", held.castle.ground.strip("/"))
        async with begun("GET", held.url, buffer=8192) as reader:
            assert (await reader.head())[0] == 200
            async with attacked(held.castle, "locked") as answers, held.castle.neighbour.served_well(stall=4):
                await asyncio.sleep(2.5 * LOCK)
            # Longer than transfers go on without the database: what runs is not cut.
            await reader.reader.readexactly(held.size)
    assert set(answers) <= {503, 429}
    assert 503 in answers


async def test_slow_statements_of_one_caller_leave_connections_to_others(held: Held) -> None:
    async with connect(held.dsn) as db:
        await db.execute(
            "create function slow() returns trigger language plpgsql as"
            " $$ begin perform pg_sleep(60); return new; end $$;"
            " create trigger slow before insert on entries for each row when (new.name like 'slow%')"
            " execute function slow()"
        )
    async with attacked(held.castle, "slow") as answers, held.castle.neighbour.served_well(stall=4):
        await asyncio.sleep(2.5 * STATEMENT)
    assert set(answers) <= {503, 429}
    assert 503 in answers


async def test_a_busy_database_is_told_as_such_and_when_to_come_back(held: Held) -> None:
    castle = held.castle
    async with connect(held.dsn) as db, db.transaction():
        await db.execute("select from entries where name = $1 for update", castle.ground.strip("/"))
        headers = {"Authorization": f"Bearer {castle.attacker}"}
        url = f"{castle.url}/srm/v2/mkdir"
        async with castle.http.post(url, json={"surl": f"{castle.ground}/b"}, headers=headers) as answer:
            told = (await answer.json())["returnStatus"]
            assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    assert told["type"] == "urn:mdm:error:database-busy"
    assert "another transaction holds" in told["explanation"]
