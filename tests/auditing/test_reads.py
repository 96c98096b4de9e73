"""Reads: the intent is in the trail before the first byte, the outcome after the last."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from mdm_async.auditing.reads import Read, Reads
from mdm_async.errors import Unavailable
from mdm_async.images.reading.representation import Ending
from tests.auditing.database import Sealed, sealed_trail
from tests.faults.database_proxy import proxied
from tests.postgres.for_tests import PostgresForTests

GUID = UUID(int=7)


def read(*, sealed: bool = False) -> Read:
    return Read(uuid4().bytes * 2, "user:a", "user:a", GUID, "basic", sealed)


async def rows(sealed: Sealed) -> list[dict[str, Any]]:
    async with sealed.database.acquire() as db:
        return [dict(row) for row in await db.fetch("select * from audit where act = 'read' order by id")]


async def test_the_intent_is_written_before_the_first_byte_and_the_outcome_after(sealed: Sealed) -> None:
    reads, what = Reads(sealed.database), read()
    async with reads.reading(what, Ending(), "192.0.2.7") as reading:
        (begun,) = await rows(sealed)
        reading.bytes += 100
    await reads.close()
    _, outcome = await rows(sealed)
    assert (begun["outcome"], begun["bytes"], begun["source"]) == ("begun", None, "192.0.2.7")
    assert (outcome["outcome"], outcome["bytes"], outcome["caller"]) == ("success", 100, "user:a")
    assert (begun["guid"], outcome["guid"], begun["view"]) == (GUID, GUID, "basic")
    assert begun["details"]["transfer"] == outcome["details"]["transfer"]
    assert "disclosed" not in begun["details"]


async def test_a_sealed_read_says_that_the_whole_image_is_disclosed(sealed: Sealed) -> None:
    reads = Reads(sealed.database)
    await reads.begin(read(sealed=True), "192.0.2.7")
    assert (await rows(sealed))[0]["details"]["disclosed"] == "whole image"


async def test_many_ranges_are_one_intent_and_one_outcome(sealed: Sealed) -> None:
    reads, what = Reads(sealed.database), read()

    async def one() -> None:
        async with reads.reading(what, Ending(), "192.0.2.7") as reading:
            reading.bytes += 10

    await asyncio.gather(*[one() for _ in range(50)])
    await one()
    async with reads.reading(what, Ending(), "192.0.2.8"):
        pass
    await reads.close()
    found = await rows(sealed)
    assert [row["outcome"] for row in found] == ["begun", "begun", "success", "success"]
    assert (found[2]["bytes"], found[2]["details"]["requests"]) == (510, 51)


@pytest.mark.parametrize("ended", [False, True])
async def test_a_read_that_did_not_come_to_its_end_says_so(sealed: Sealed, ended: bool) -> None:
    reads, what = Reads(sealed.database), read()

    async def cut() -> None:
        ending = Ending()
        async with reads.reading(what, ending, "192.0.2.7") as reading:
            reading.bytes += 5
            ending.ended = ended
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await cut()
    await reads.close()
    assert [(row["outcome"], row["bytes"]) for row in await rows(sealed)][1] == (
        "ended" if ended else "broken",
        5,
    )


async def test_intents_that_come_together_share_commits(sealed: Sealed) -> None:
    reads = Reads(sealed.database)
    await asyncio.gather(*[reads.begin(read(), "192.0.2.7") for _ in range(500)])
    (found,) = await sealed.sql("select count(*) as rows, count(distinct xmin::text) as commits from audit")
    assert found["rows"] == 500
    assert found["commits"] <= 3


async def test_a_reader_who_leaves_does_not_take_the_intent_along(sealed: Sealed) -> None:
    reads, what = Reads(sealed.database), read()
    leaving = asyncio.ensure_future(reads.begin(what, "192.0.2.7"))
    staying = asyncio.ensure_future(reads.begin(what, "192.0.2.7"))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert len(await rows(sealed)) == 1


async def test_no_byte_is_sent_while_the_intent_cannot_be_written(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    async with (
        proxied(await postgres.fresh_database(migrated)) as proxy,
        sealed_trail(proxy.dsn, tmp_path) as sealed,
    ):
        reads, what, known = Reads(sealed.database), read(), read()
        await reads.begin(known, "192.0.2.7")
        proxy.cut()
        for _ in range(2):
            with pytest.raises(Unavailable):
                await reads.begin(what, "192.0.2.7")
        async with reads.reading(known, Ending(), "192.0.2.7") as reading:
            reading.bytes += 8
        await reads._write()
        proxy.restore()
        await reads.begin(what, "192.0.2.7")
        await reads.close()
        assert [row["outcome"] for row in await rows(sealed)] == ["begun", "begun", "success"]
