"""A server as a process of its own: it lets C-STOREs end when it is told to, goes on after, and stays small."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import psutil
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from mdm_async.postgres.database import connect
from tests.faults.conditions import until
from tests.faults.serving import Serve, free_port, serving
from tests.pacs.devices import SAMPLES, Device, Image, calling, image, p_data, store_command
from tests.postgres.for_tests import postgres_folder
from tests.web.made_images import made

LARGE = Image(made(pixels=3_000_000, seed=41))
MIB = 1 << 20
FRAMES, FRAME = 400, 512 * 512 * 2
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7.3"


class Served:
    """A server, its port for devices, and what it has stored."""

    def __init__(self, server: Serve, port: int) -> None:
        self.server, self.port = server, port

    async def associate(self, **how: object) -> Device:
        connected = await self.connect()
        return await connected.associate(**how)

    async def connect(self) -> Device:
        return Device(*await asyncio.open_connection("127.0.0.1", self.port))

    async def is_listening(self) -> bool:
        try:
            (await self.connect()).close()
        except OSError:
            return False
        return True

    async def files(self) -> int:
        async with connect(self.server.dsn) as db:
            return int(await db.fetchval("select count(*) from entries where image is not null"))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with _served() as running:
        yield running


@asynccontextmanager
async def _served(**more: str) -> AsyncIterator[Served]:
    port = free_port()
    settings = {
        "blobs__reserve_free": "0",
        "log__level": "error",
        "pacs__port": str(port),
        "pacs__calling": orjson.dumps([calling(), calling("OTHER")]).decode(),
    }
    with postgres_folder() as folder:
        async with serving(folder / "mdm", **settings | more) as server:
            yield Served(server, port)


async def begun(served: Served, **how: object) -> Device:
    """A C-STORE of which half has come."""
    device = await served.associate(**how)
    await device.send(p_data(1, 3, store_command(LARGE.instance)))
    await device.send_data_set(LARGE.data_set[:1_500_000], whole=False)
    return device


async def test_a_c_store_that_runs_is_answered_and_nothing_new_begins(served: Served) -> None:
    idle, storing = await served.associate(ae="OTHER"), await begun(served)
    served.server.process.terminate()
    assert (await idle.pdu())[0] == 7
    await until(lambda: _not_listening(served))
    await storing.send_data_set(LARGE.data_set[1_500_000:])
    assert await storing.status() == 0
    assert (await storing.pdu())[0] == 7
    assert await served.server.process.wait() == 0
    idle.close()
    storing.close()
    await served.server.start()
    assert await served.files() == 1
    again = await served.associate()
    assert [await again.store(LARGE), await again.store(image())] == [0, 0]
    await again.release()
    assert await served.files() == 2


async def _not_listening(served: Served) -> bool:
    return not await served.is_listening()


async def test_a_c_store_that_does_not_end_is_aborted() -> None:
    async with _served(server__drain_seconds="0.5") as served:
        storing = await begun(served)
        served.server.process.terminate()
        assert (await storing.pdu())[0] == 7
        assert await served.server.process.wait() == 0
        storing.close()


async def test_after_a_kill_the_same_image_is_taken(served: Served) -> None:
    storing = await begun(served)
    await served.server.kill()
    storing.close()
    await served.server.start()
    device = await served.associate()
    assert await device.store(LARGE) == 0
    await device.release()
    assert await served.files() == 1


def frames() -> tuple[str, bytes]:
    """A multi-frame image of 200 MiB up to its pixels: its instance, and its data set."""
    head = pydicom.dcmread(SAMPLES / "CT_small.dcm")
    for keyword in ("PixelData", "DataSetTrailingPadding"):
        if keyword in head:
            delattr(head, keyword)
    head.SOPClassUID = head.file_meta.MediaStorageSOPClassUID = MULTI_FRAME
    head.SOPInstanceUID = head.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    head.Rows = head.Columns = 512
    head.NumberOfFrames = FRAMES
    written = io.BytesIO()
    head.save_as(written, enforce_file_format=True)
    start = b"\xe0\x7f\x10\0OW\0\0" + (FRAMES * FRAME).to_bytes(4, "little")
    return str(head.SOPInstanceUID), Image(written.getvalue()).data_set + start


def peak(process: psutil.Process) -> int:
    """Bytes that it has had in memory at the most, since `forget_peak`."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10


def forget_peak(process: psutil.Process) -> None:
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


async def test_two_hundred_mebibytes_take_no_more_memory_than_two(served: Served) -> None:
    warm = await served.associate()
    for seed in range(3):
        assert await warm.store(Image(made(pixels=2 * MIB, seed=seed))) == 0
    await warm.release()
    process = psutil.Process(served.server.process.pid)
    forget_peak(process)
    before = process.memory_info().rss
    device = await served.associate(contexts=[(MULTI_FRAME, [ExplicitVRLittleEndian])])
    instance, start = frames()
    await device.send(p_data(1, 3, store_command(instance, MULTI_FRAME)))
    await device.send_data_set(start, whole=False)
    for number in range(FRAMES):
        await device.send_data_set(bytes([number & 0xFF]) * FRAME, whole=number == FRAMES - 1)
    assert await device.status() == 0
    assert peak(process) - before < 48 * MIB
    await device.release()
    assert await served.files() == 4


async def test_a_hundred_associations_that_come_and_go_leave_nothing(served: Served) -> None:
    process = psutil.Process(served.server.process.pid)
    for _ in range(20):
        await (await served.associate()).release()
    before = process.num_fds()
    for number in range(100):
        device = await served.associate()
        if number % 2:
            device.close()
        else:
            await device.release()
    await until(lambda: process.num_fds() <= before)
