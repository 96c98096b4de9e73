"""Refused accesses: each of somebody has a row; those of anybody are counted, and no flood costs memory or rows."""

import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
import structlog.testing

from mdm_async.auditing.refusals import Refusals
from mdm_async.errors import BadPath, Forbidden, MdmError, NotFound, Refusal, Unauthenticated
from mdm_async.names import ANONYMOUS, Caller
from tests.auditing.database import USER, Sealed, sealed_trail
from tests.faults.database_proxy import proxied
from tests.postgres.for_tests import PostgresForTests


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def refused(error: MdmError, refusal: Refusal | None = None) -> MdmError:
    error.refusal = refusal
    return error


async def rows(sealed: Sealed) -> list[dict[str, object]]:
    async with sealed.database.acquire() as db:
        found = await db.fetch("select * from audit where outcome = 'refused' order by id")
    return [dict(row) for row in found]


async def test_what_somebody_was_refused_has_a_row_each(sealed: Sealed) -> None:
    refusals, guid = Refusals(sealed.database), uuid4()
    hidden = refused(NotFound(), Refusal(USER.name, "r", "identified", guid))
    for _ in range(2):
        refusals.note(hidden, USER, "192.0.2.7", "prepareToGet")
    refusals.note(BadPath("a component is too long"), USER, "192.0.2.7", "ls")
    await refusals.close()
    one, two, three = await rows(sealed)
    assert (one["caller"], one["act"], one["source"]) == ("user:a", "prepareToGet", "192.0.2.7")
    assert (one["guid"], one["view"]) == (guid, "identified")
    assert one["details"] == two["details"] == {"reason": "NotFound", "right": "r", "principal": "user:a"}
    assert three["details"] == {"reason": "BadPath", "detail": "a component is too long"}


async def test_of_anybody_the_first_has_a_row_and_the_rest_of_the_minute_one(sealed: Sealed) -> None:
    clock = Clock()
    refusals = Refusals(sealed.database, clock)
    expired = Unauthenticated("the token has expired")
    for second in range(150):
        clock.now = float(second)
        refusals.note(expired, None if second % 2 else ANONYMOUS, "192.0.2.9", "ls")
        refusals._end_minutes()
        await refusals._write()
    await refusals.close()
    found = await rows(sealed)
    assert {row["caller"] for row in found} == {"any:anonymous"}
    assert {row["source"] for row in found} == {"192.0.2.9"}
    counts = [row["details"].get("count", 1) for row in found]  # type: ignore[attr-defined]
    assert sum(counts) == 150
    assert len(found) == 6
    assert found[0]["details"] == {"reason": "Unauthenticated", "detail": "the token has expired"}


async def test_sources_and_reasons_are_told_apart(sealed: Sealed) -> None:
    refusals = Refusals(sealed.database)
    for source in ("192.0.2.1", "192.0.2.2"):
        for why in ("expired", "not yet valid"):
            for _ in range(3):
                refusals.note(Unauthenticated(why), None, source, "ls")
    refusals.tls_refused("192.0.2.1", "an unknown authority")
    await refusals.close()
    counted = [row for row in await rows(sealed) if row["act"] == "refusals"]
    assert [row["details"]["count"] for row in counted] == [2, 2, 2, 2]  # type: ignore[index]
    (connect,) = [row for row in await rows(sealed) if row["act"] == "connect"]
    assert connect["details"] == {"reason": "TLS", "detail": "an unknown authority"}


async def test_a_flood_from_one_source_is_two_rows(sealed: Sealed) -> None:
    refusals = Refusals(sealed.database, Clock())
    for _ in range(100_000):
        refusals.note(Unauthenticated(), None, "192.0.2.9", "ls")
    await refusals.close()
    assert len(await rows(sealed)) == 2


async def test_a_flood_from_everywhere_is_bounded_in_memory_and_rows(sealed: Sealed) -> None:
    refusals = Refusals(sealed.database, Clock())
    tracemalloc.start()
    try:
        for number in range(100_000):
            refusals.note(Unauthenticated(), None, f"2001:db8::{number:x}", "ls")
            if number == 20_000:
                before = tracemalloc.get_traced_memory()[0]
        assert tracemalloc.get_traced_memory()[0] < before + 100_000
    finally:
        tracemalloc.stop()
    await refusals.close()
    found = await rows(sealed)
    assert len(found) == 10_001
    assert found[-1]["source"] == "other sources"
    assert found[-1]["details"]["count"] == 90_000  # type: ignore[index]


async def test_a_flood_of_somebody_neither_hides_others_nor_fills_memory(sealed: Sealed) -> None:
    refusals = Refusals(sealed.database)
    for _ in range(50_000):
        refusals.note(refused(Forbidden(), Refusal("user:a", "w")), USER, "192.0.2.7", "rm")
    other = Caller("user:b", frozenset())
    refusals.note(refused(Forbidden(), Refusal("user:b", "w")), other, "192.0.2.8", "rm")
    await refusals.close()
    found = await rows(sealed)
    assert len([row for row in found if row["act"] == "rm" and row["caller"] == "user:a"]) == 1000
    assert len([row for row in found if row["caller"] == "user:b"]) == 1
    (rest,) = [row for row in found if row["act"] == "refusals"]
    assert (rest["caller"], rest["details"]["count"]) == ("user:a", 49_000)  # type: ignore[index]


async def test_refusals_wait_while_the_database_is_away(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    async with (
        proxied(await postgres.fresh_database(migrated)) as proxy,
        sealed_trail(proxy.dsn, tmp_path) as sealed,
    ):
        clock = Clock()
        refusals = Refusals(sealed.database, clock)
        proxy.cut()
        for _ in range(3):
            refusals.note(refused(Forbidden(), Refusal("user:a", "w")), USER, "192.0.2.7", "rm")
        with structlog.testing.capture_logs() as logged:
            await refusals._write()
        assert logged == []
        clock.now = 90.0
        proxy.restore()
        await refusals._write()
        assert [row["details"]["secondsAgo"] for row in await rows(sealed)] == [90, 90, 90]  # type: ignore[index]


@pytest.mark.parametrize("name", ["dn:/C=X/CN=a\0b", "dn:/CN=\ud800", "dn:/CN=" + "x" * 100_000])
async def test_no_name_keeps_a_refusal_from_being_written(sealed: Sealed, name: str) -> None:
    refusals = Refusals(sealed.database)
    refusals.note(Forbidden(name), Caller(name, frozenset()), name, name)
    refusals.note(Unauthenticated(name), None, name, name)
    refusals.tls_refused(name, name)
    await refusals.close()
    assert len(await rows(sealed)) == 3
