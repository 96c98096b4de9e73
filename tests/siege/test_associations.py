"""10,000 associations of one device, left idle or refused: another device is served, and nothing stays behind."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from tests.faults.conditions import until
from tests.pacs.devices import Device, Pacs, calling, image, pacs_server, rejected, request
from tests.postgres.for_tests import PostgresForTests

_COUNT, _AT_ONCE = 10_000, 50
_MIB = 1 << 20


async def _ask(pacs: Pacs, asking: bytes) -> tuple[Device, int, bytes]:
    device = await pacs.connect()
    await device.send(asking)
    kind, body = await device.pdu()
    return device, kind, body


@pytest.mark.timeout(1200)
async def test_however_many_associations_a_device_leaves_idle(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    calls = (calling("FLOOD", "/flood"), calling("CT", "/ct"))
    settings = {"calling": calls, "idle_seconds": 600.0}
    asking = request(ae="FLOOD")
    async with pacs_server(tmp_path / "data", dsn, pacs=settings) as pacs:
        own = psutil.Process(os.getpid())
        neighbour = await (await pacs.connect()).associate(ae="CT")
        idle: list[Device] = []
        asked = refused = 0
        base = 0

        async def one() -> None:
            nonlocal refused
            device, kind, body = await _ask(pacs, asking)
            if kind == 2:
                idle.append(device)
                return
            assert (kind, rejected(body)) == (3, (2, 3, 2))
            refused += 1
            device.close()

        while asked < _COUNT:
            await asyncio.gather(*(one() for _ in range(_AT_ONCE)))
            asked += _AT_ONCE
            pacs.devices[:] = [neighbour, *idle]
            if asked % 2_500 == 0:
                assert await neighbour.store(image()) == 0
            if asked == 1_000:
                base = own.memory_info().rss
        assert len(idle) == 48  # Three quarters of all: what one device may have.
        assert refused == _COUNT - 48
        assert own.memory_info().rss - base < 64 * _MIB
        await until(lambda: own.num_fds() < 3 * len(idle) + 200)
        assert await (await (await pacs.connect()).associate(ae="CT")).store(image()) == 0
        for device in idle:
            device.close()
        again, kind, _ = await _ask(pacs, asking)
        while kind != 2:
            again.close()
            await asyncio.sleep(0.1)
            again, kind, _ = await _ask(pacs, asking)
