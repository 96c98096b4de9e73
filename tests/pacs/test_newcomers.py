"""Who has not said who it is takes no room of those that have, and none that is not its own."""

import asyncio
from pathlib import Path

import pytest

from mdm_async.descriptors import Descriptors
from mdm_async.pacs.dimse.newcomers import SPARE, Newcomer, Newcomers
from mdm_async.settings import load
from mdm_async.web.listening import connections_for
from tests.faults.conditions import until
from tests.pacs.devices import Device, calling, image, pacs_server, rejected
from tests.postgres.for_tests import PostgresForTests


class Room:
    """Newcomers at one moment, of whom those from 10.0.0.0/8 and 2001:db8::/32 are expected."""

    def __init__(self) -> None:
        self.now = 0.0
        self.cut: list[str] = []
        self.newcomers = Newcomers(lambda address: address.startswith(("10.", "2001:db8:")), lambda: self.now)

    def come(self, address: str) -> Newcomer | None:
        newcomer = self.newcomers.admit(address)
        if newcomer is not None:
            newcomer.cut = lambda: self.cut.append(address)
        return newcomer

    def fill(self, address: str) -> int:
        """How many of this address are let in."""
        return sum(self.come(address) is not None for _ in range(200))


def test_strangers_have_a_quarter_together_and_devices_the_rest() -> None:
    room = Room()
    assert [room.fill("192.0.2.1"), room.fill("192.0.2.2")] == [SPARE // 4, 0]
    assert [room.fill(f"10.0.0.{last}") for last in range(1, 8)] == [24, 12, 6, 3, 1, 1, 1]
    assert len(room.newcomers) == SPARE


def test_an_ipv6_network_of_64_bits_is_one_source() -> None:
    room = Room()
    assert [room.fill("2001:db8::1"), room.fill("2001:db8::2")] == [SPARE // 2, 0]
    assert room.fill("2001:db8:0:1::1") == SPARE // 4


def test_the_oldest_of_a_source_gives_way_once_it_has_been_silent_for_long() -> None:
    room = Room()
    room.fill("10.0.0.1")
    room.fill("192.0.2.1")
    room.now = 0.9
    assert [room.come("10.0.0.1"), room.come("192.0.2.2")] == [None, None]
    room.now = 1.0
    assert room.come("10.0.0.1") is not None
    assert room.come("192.0.2.2") is not None
    assert room.cut == ["10.0.0.1", "192.0.2.1"]


def test_where_all_places_are_taken_a_device_pushes_others_out_and_a_stranger_nobody() -> None:
    room = Room()
    for last in range(1, 30):
        room.fill(f"10.0.0.{last}")
    assert len(room.newcomers) == SPARE
    room.now = 5.0
    assert room.come("192.0.2.1") is None
    assert room.come("10.0.9.9") is not None
    assert (room.cut, len(room.newcomers)) == (["10.0.0.1"], SPARE)


def test_who_has_left_makes_room() -> None:
    room = Room()
    first = room.come("192.0.2.1")
    assert first is not None
    room.fill("192.0.2.1")
    room.newcomers.leave(first)
    room.newcomers.leave(first)
    assert room.fill("192.0.2.1") == 1


async def of(address: str, port: int) -> Device:
    return Device(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)))


async def test_silent_strangers_keep_no_device_out(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    own = {"associations": 4, "head_seconds": 600}
    async with pacs_server(tmp_path / "data", dsn, pacs=own) as pacs:
        crowd = [await of(f"127.0.0.{2 + number % 20}", pacs.port) for number in range(150)]
        device = await (await pacs.connect()).associate()
        assert await device.store(image()) == 0
        for one in crowd:
            one.close()


async def test_associations_are_no_newcomers(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, pacs={"associations": 120}) as pacs:
        for number in range(120):
            await (await pacs.connect()).associate(ae="OTHER" if number < 90 else "STORESCU")
        kind, body = await (await pacs.connect()).ask()
        assert (kind, rejected(body)) == (3, (2, 3, 2))


async def test_a_device_leaves_a_quarter_to_others(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, pacs={"associations": 8}) as pacs:
        for _ in range(6):
            await (await pacs.connect()).associate(ae="OTHER")
        kind, body = await (await pacs.connect()).ask(ae="OTHER")
        assert (kind, rejected(body)) == (3, (2, 3, 2))
        await (await pacs.connect()).associate()


async def test_two_devices_of_one_title_are_counted_apart(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    twins = [calling("CT", hosts=[f"127.0.0.{last}"], associations=1) for last in (2, 3)]
    async with pacs_server(tmp_path / "data", dsn, pacs={"calling": twins}) as pacs:
        held = [await of(address, pacs.port) for address in ("127.0.0.2", "127.0.0.3", "127.0.0.3")]
        assert [(await device.ask(ae="CT"))[0] for device in held] == [2, 2, 3]
        held[1].close()

        async def associates() -> bool:
            held.append(await of("127.0.0.3", pacs.port))
            return (await held[-1].ask(ae="CT"))[0] == 2

        await until(associates)
        for device in held:
            device.close()


def test_descriptors_are_reckoned_for_all_connections_of_the_hospitals_side(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[int] = []

    def raised(connections: int, transfers: int, others: int) -> Descriptors:
        asked.append(others)
        return Descriptors(0, connections, connections)

    monkeypatch.setattr(Descriptors, "raised", raised)
    archive = {"name": "a", "dicomweb": "http://127.0.0.1/dicom-web", "max_associations": 7}
    for pacs in ({}, {"port": 0, "associations": 9}, {"sources": [archive]}):
        connections_for(load(overrides={"data": tmp_path, "pacs": pacs}))
    assert [one - asked[0] for one in asked] == [0, 9 + SPARE, 7]
