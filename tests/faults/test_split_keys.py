"""A server whose secrets lie as shares in three Postgres clusters: one stopped, frozen, spoilt or late is gone without.

The clusters are shared by the tests of this file; each leaves all of them running.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mdm_async.errors import Unavailable
from mdm_async.keys import metrics, share_store
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.faults.transfers import RECIPIENT
from tests.keys.clusters import Cluster, clusters
from tests.keys.stores import ask, count
from tests.postgres.for_tests import PostgresForTests

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
async def three() -> AsyncIterator[list[Cluster]]:
    async with clusters(3) as made:
        yield made


class Hospital:
    """Where a server's catalog and stores are."""

    def __init__(self, three: Sequence[Cluster], data: Path, dsn: str, dsns: list[str]) -> None:
        self.three, self.data, self.dsn, self.dsns = three, data, dsn, dsns

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Server]:
        stores = [{"name": name, "dsn": dsn} for name, dsn in zip(NAMES, self.dsns, strict=True)]
        keys = {"stores": stores, "threshold": 2}
        async with running_server(self.data, self.dsn, keys=keys) as server:
            yield server


@pytest.fixture
async def hospital(
    three: list[Cluster], postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> Hospital:
    dsns = [await cluster.fresh_database() for cluster in three]
    return Hospital(three, tmp_path / "data", await postgres.fresh_database(migrated), dsns)


def ups(server: Server) -> list[str]:
    return [store.name for store in shares(server).up]


def shares(server: Server) -> Any:
    return server.house.keys.shares  # type: ignore[attr-defined]


async def all_up(server: Server) -> None:
    await until(lambda: len(ups(server)) == 3 and not any(s.behind for s in shares(server).stores))


@asynccontextmanager
async def stopped(cluster: Cluster) -> AsyncIterator[None]:
    await cluster.stop()
    try:
        yield
    finally:
        await cluster.start()


@asynccontextmanager
async def frozen(cluster: Cluster) -> AsyncIterator[None]:
    """Those who ask it have a few seconds' patience only now."""
    cluster.freeze()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(share_store, "PATIENCE", 3.0)
            yield
    finally:
        cluster.thaw()


@asynccontextmanager
async def transfers(server: Server, file: bytes) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Files come and go all the while, none of them from memory; what is given waits for so many more."""
    await server.put("/a.dcm", file)
    expected = await server.read("/a.dcm")
    done, over = 0, asyncio.Event()

    async def go_on(number: int) -> None:
        nonlocal done
        turn = 0
        while not over.is_set():
            server.cool()
            assert await server.read("/a.dcm") == expected
            await server.read("/a.dcm", recipient=RECIPIENT)
            turn += 1
            await server.put(f"/{number}-{turn}.dcm", file)
            done += 1

    async def more(count: int) -> None:
        wanted = done + count
        await until(lambda: done >= wanted or any(task.done() for task in tasks))
        assert done >= wanted, "a transfer failed"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(go_on(number)) for number in range(2)]
        try:
            yield more
        finally:
            over.set()


async def test_transfers_go_on_while_one_store_after_the_other_is_stopped_frozen_and_spoilt(
    hospital: Hospital, ct: bytes
) -> None:
    async with hospital.serving() as server:
        async with transfers(server, ct) as more:
            await more(2)
            for place, cluster in enumerate(hospital.three):
                for harm in (stopped, frozen):
                    async with harm(cluster):
                        await until(lambda: len(ups(server)) == 2)
                        await more(2)
                    await all_up(server)
                async with spoilt(hospital.dsns[place]):
                    await more(2)
        # All of them have the shares of all that came meanwhile.
        assert len({await count(dsn) for dsn in hospital.dsns}) == 1


@asynccontextmanager
async def spoilt(dsn: str) -> AsyncIterator[None]:
    flip = (
        "update mdm_keys.image_secrets set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)"
        " where registration = any($1)"
    )
    there = await ask(dsn, "select distinct registration from mdm_keys.image_secrets")
    await ask(dsn, flip, there)
    try:
        yield
    finally:
        await ask(dsn, flip, there)


async def test_below_two_of_three_the_answer_is_a_clear_503_and_all_goes_on_by_itself_afterwards(
    hospital: Hospital, ct: bytes
) -> None:
    async with hospital.serving() as server:
        await server.put("/a.dcm", ct)
        expected = await server.read("/a.dcm")
        warm = await server.prepare("/a.dcm")
        await server.get(warm["transferURL"])
        prepared = await server.srm("prepareToPut", files=[{"surl": "/b.dcm"}])
        upload = prepared["files"][0]["transferURL"]
        before = [await count(dsn) for dsn in hospital.dsns]
        async with stopped(hospital.three[0]):
            async with stopped(hospital.three[1]):
                await until(lambda: len(ups(server)) == 1)
                # What is open already needs no store.
                assert await server.get(warm["transferURL"]) == expected
                server.cool()
                cold = await server.call("GET", warm["transferURL"])
                assert cold.status == 503
                assert "too few key stores answer: it takes 2 of 3" in cold.tree["detail"]
                assert cold.headers["Retry-After"] == "2"
                refused = await server.call("PUT", upload, data=ct)
                assert refused.status == 503
                assert "too few key stores" in refused.tree["detail"]
                assert await count(hospital.dsns[2]) == before[2]
                status = await server.house.keys.status()
                assert [store.alive for store in status.stores] == [False, False, True]
            await until(lambda: len(ups(server)) == 2)
            assert await server.get(warm["transferURL"]) == expected
            assert (await server.call("PUT", upload, data=ct)).status == 201
            await server.srm("putDone", requestToken=prepared["requestToken"], surls=["/b.dcm"])
        await all_up(server)
        assert len({await count(dsn) for dsn in hospital.dsns}) == 1


async def test_a_server_starts_without_one_store_which_comes_later_and_not_without_two(
    hospital: Hospital, ct: bytes
) -> None:
    async with stopped(hospital.three[2]):
        async with hospital.serving() as server:
            await server.put("/a.dcm", ct)
            expected = await server.read("/a.dcm")
            assert ups(server) == ["a", "b"]
        async with stopped(hospital.three[1]):
            with pytest.raises(Unavailable, match="too few key stores answer"):
                async with hospital.serving():
                    pass
    # Of what it missed, the third has nothing yet.
    async with stopped(hospital.three[0]):
        with pytest.raises(Unavailable, match="too few key stores answer"):
            async with hospital.serving():
                pass
    async with hospital.serving() as server:
        await all_up(server)
        async with stopped(hospital.three[0]):
            await until(lambda: len(ups(server)) == 2)
            server.cool()
            assert await server.read("/a.dcm") == expected


async def test_a_store_that_answers_late_and_then_wrongly_is_not_believed(
    hospital: Hospital, ct: bytes
) -> None:
    async with hospital.serving() as server:
        await server.put("/a.dcm", ct)
        await server.put("/b.dcm", ct)
        expected = await server.read("/a.dcm")
        await ask(
            hospital.dsns[0],
            "update mdm_keys.image_secrets a set wrapped = b.wrapped from mdm_keys.image_secrets b"
            " where a.kind = b.kind and a.registration <> b.registration and a.kind in ('image', 'identity')",
        )
        with capture_logs() as log:
            async with frozen(hospital.three[0]):
                server.cool()
                assert await server.read("/a.dcm") == expected
                await until(lambda: len(ups(server)) == 2)
            await until(lambda: len(ups(server)) == 3)
            for _ in range(3):
                server.cool()
                assert await server.read("/a.dcm") == expected
            # The good ones may have been faster; now it must be asked.
            async with stopped(hospital.three[1]):
                await until(lambda: ups(server) == ["a", "c"])
                server.cool()
                cold = await server.srm("prepareToGet", files=[{"surl": "/a.dcm"}], expect=503)
                assert "too few key stores" in cold["returnStatus"]["explanation"]
        told = {(line["event"], line.get("store")) for line in log}
        assert {
            ("a key store does not answer; others are asked", "a"),
            ("a key store answers", "a"),
            ("stored secrets do not open", "a"),
        } <= told
        assert metrics.NOT_OPENING.labels("a")._value.get() > 0


async def test_what_is_removed_while_a_store_is_away_is_destroyed_there_when_it_is_back(
    hospital: Hospital, ct: bytes
) -> None:
    async with hospital.serving() as server:
        await server.put("/a.dcm", ct)
        (before, *_) = [await count(dsn) for dsn in hospital.dsns]
        async with stopped(hospital.three[1]):
            await until(lambda: len(ups(server)) == 2)
            await server.srm("rm", surls=["/a.dcm"])
            await server.house.sweeper.sweep()
            assert await count(hospital.dsns[0]) == before - 2
            async with server.house.database.acquire() as db:
                assert await db.fetchval("select count(*) from keys_to_forget") == 1
        await until(lambda: len(ups(server)) == 3)
        await server.house.sweeper.sweep()
        assert [await count(dsn) for dsn in hospital.dsns] == [before - 2] * 3
        async with server.house.database.acquire() as db:
            assert await db.fetchval("select count(*) from keys_to_forget") == 0
