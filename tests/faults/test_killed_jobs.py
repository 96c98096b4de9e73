"""Which deaths of a scrubbing process refuse its job, and which do not; and how many images are decoded at a time."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from mdm_async.errors import ScrubRefused, Unavailable
from mdm_async.images.views.scrubbing import Scrubber
from mdm_async.settings import ScrubSettings
from tests.faults.conditions import until


@dataclass(frozen=True)
class Slow:
    """Leaves the number of its process in a folder and waits to be let go on."""

    folder: Path

    @property
    def size(self) -> int:
        return 1 << 20

    def run(self) -> str:
        (self.folder / str(os.getpid())).touch()
        while not (self.folder / "go").exists():
            time.sleep(0.01)
        return "done"


@dataclass(frozen=True)
class Dying:
    """Leaves the number of its process in a folder and dies: of this signal, or of memory."""

    folder: Path
    of: signal.Signals | None

    @property
    def size(self) -> int:
        return 1 << 20

    def run(self) -> str:
        (self.folder / str(os.getpid())).touch()
        if self.of is None:
            raise MemoryError
        os.kill(os.getpid(), self.of)
        return "alive"


@pytest.fixture
def scrubber() -> Iterator[Scrubber]:
    with Scrubber(ScrubSettings()) as scrubber:
        yield scrubber


def tries(folder: Path) -> set[int]:
    return {int(each.name) for each in folder.iterdir() if each.name.isdecimal()}


def tried(folder: Path, times: int) -> Callable[[], bool]:
    return lambda: len(tries(folder)) == times


async def test_sigterm_refuses_nothing(scrubber: Scrubber, tmp_path: Path) -> None:
    """Neither to the worker nor to the server that it was forked from."""
    job = asyncio.ensure_future(scrubber.run(Slow(tmp_path)))
    await until(tried(tmp_path, 1))
    (worker,) = tries(tmp_path)
    fork_server = psutil.Process(worker).ppid()
    for process in (worker, fork_server):
        os.kill(process, signal.SIGTERM)
    await asyncio.sleep(0.2)
    (tmp_path / "go").touch()
    assert await job == "done"
    assert tries(tmp_path) == {worker}
    assert await scrubber.run(Slow(tmp_path)) == "done"
    assert len(tries(tmp_path)) == 2  # of a new fork server


@pytest.mark.parametrize("bulk", [False, True])
async def test_one_kill_refuses_nothing(scrubber: Scrubber, tmp_path: Path, bulk: bool) -> None:
    job = asyncio.ensure_future(scrubber.run(Slow(tmp_path), bulk=bulk))
    await until(tried(tmp_path, 1))
    (worker,) = tries(tmp_path)
    os.kill(worker, signal.SIGKILL)
    await until(tried(tmp_path, 2))
    (tmp_path / "go").touch()
    assert await job == "done"


async def test_two_kills_refuse_an_upload_but_put_bulk_work_off(scrubber: Scrubber, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="killed twice"):
        await scrubber.run(Dying(tmp_path, signal.SIGKILL), bulk=True)
    assert len(tries(tmp_path)) == 2
    with pytest.raises(ScrubRefused, match="too large"):
        await scrubber.run(Dying(tmp_path, signal.SIGKILL))
    assert len(tries(tmp_path)) == 4


@pytest.mark.parametrize(("of", "times"), [(None, 1), (signal.SIGXCPU, 1), (signal.SIGSEGV, 2)])
@pytest.mark.parametrize("bulk", [False, True])
async def test_a_job_that_kills_its_process_is_too_large(
    scrubber: Scrubber, tmp_path: Path, of: signal.Signals | None, times: int, bulk: bool
) -> None:
    with pytest.raises(ScrubRefused, match="too large"):
        await scrubber.run(Dying(tmp_path, of), bulk=bulk)
    assert len(tries(tmp_path)) == times


async def test_a_job_cut_by_the_end_of_the_scrubber_is_not_refused(tmp_path: Path) -> None:
    with Scrubber(ScrubSettings()) as scrubber:
        job = asyncio.ensure_future(scrubber.run(Slow(tmp_path)))
        await until(tried(tmp_path, 1))
    with pytest.raises(Unavailable):
        await job
    assert len(tries(tmp_path)) == 1


async def test_two_images_are_decoded_at_a_time_and_bulk_does_not_queue_first(scrubber: Scrubber) -> None:
    now = most = 0
    order: list[bool] = []

    async def decode(bulk: bool) -> None:
        nonlocal now, most
        async with scrubber.decoding(bulk=bulk):
            now += 1
            most = max(most, now)
            order.append(bulk)
            await asyncio.sleep(0.01)
            now -= 1

    await asyncio.gather(*[decode(True) for _ in range(8)], decode(False), decode(False))
    assert most == 2
    assert not all(order[2:4])
