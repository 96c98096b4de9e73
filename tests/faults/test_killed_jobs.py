"""Which deaths of a scrubbing process refuse its job, and which do not; how many images are decoded at a time; and how
many wait."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from mdm_async.confined.processes import Worker
from mdm_async.errors import ScrubRefused, TooManyRequests, Unavailable
from mdm_async.images.views.scrub_jobs import Job
from mdm_async.images.views.scrubbing import PROCESSES, Scrubber
from mdm_async.postgres.turns import on_behalf
from mdm_async.settings import ScrubSettings
from tests.faults.conditions import until
from tests.patience import PATIENCE


@dataclass(frozen=True)
class Slow:
    """Waits to be let go on by a signal."""

    alone: bool = False
    size: int = 1 << 20

    def run(self) -> str:
        signals: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))
        while not signals:
            time.sleep(0.01)
        return "done"


@dataclass(frozen=True)
class Dying:
    """Dies: of this signal, or of memory."""

    of: signal.Signals | None
    alone: bool = False
    size: int = 1 << 20

    def run(self) -> str:
        if self.of is None:
            raise MemoryError
        os.kill(os.getpid(), self.of)
        return "alive"


@dataclass(frozen=True)
class Telling:
    """Answers with the number of its process."""

    alone: bool = False
    size: int = 1 << 20

    def run(self) -> int:
        return os.getpid()


MODULES = ("mdm_async.images.views.scrub_jobs", "tests.faults.test_killed_jobs")
T = TypeVar("T")
Tries = list[Worker]


@pytest.fixture
def scrubber() -> Iterator[Scrubber]:
    with Scrubber(ScrubSettings(), modules=MODULES) as scrubber:
        yield scrubber


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> Tries:
    """The worker of each time that a job was given to one."""
    found: Tries = []
    ask = Worker.ask

    def asked(worker: Worker, *what: object) -> object:
        found.append(worker)
        return ask(worker, *what)

    monkeypatch.setattr(Worker, "ask", asked)
    return found


async def go_on(worker: Worker) -> None:
    """Once it waits for that."""

    def waits() -> bool:
        facts = Path(f"/proc/{worker.pid}/status").read_text().partition("SigCgt:")[2].split()[0]
        return bool(int(facts, 16) >> signal.SIGUSR1 - 1 & 1)

    await until(waits)
    os.kill(worker.pid, signal.SIGUSR1)


async def test_sigterm_refuses_nothing(scrubber: Scrubber, tries: Tries) -> None:
    """Neither to the worker nor to the process that it was forked from."""
    job = asyncio.ensure_future(scrubber.run(Slow()))
    await until(lambda: len(tries) == 1)
    (worker,) = tries
    for process in (worker.pid, psutil.Process(worker.pid).ppid()):
        os.kill(process, signal.SIGTERM)
    await asyncio.sleep(0.2)
    await go_on(worker)
    assert await job == "done"
    assert await scrubber.run(Telling()) == worker.pid


async def test_a_killed_template_costs_its_workers_and_no_job(scrubber: Scrubber, tries: Tries) -> None:
    job = asyncio.ensure_future(scrubber.run(Slow()))
    await until(lambda: len(tries) == 1)
    os.kill(psutil.Process(tries[0].pid).ppid(), signal.SIGKILL)
    await until(lambda: len(tries) == 2)
    await go_on(tries[1])
    assert await job == "done"


@pytest.mark.parametrize("bulk", [False, True])
async def test_one_kill_refuses_nothing(scrubber: Scrubber, tries: Tries, bulk: bool) -> None:
    job = asyncio.ensure_future(scrubber.run(Slow(), bulk=bulk))
    await until(lambda: len(tries) == 1)
    os.kill(tries[0].pid, signal.SIGKILL)
    await until(lambda: len(tries) == 2)
    await go_on(tries[1])
    assert await job == "done"


async def test_two_kills_refuse_an_upload_but_put_bulk_work_off(scrubber: Scrubber, tries: Tries) -> None:
    with pytest.raises(Unavailable, match="killed twice"):
        await scrubber.run(Dying(signal.SIGKILL), bulk=True)
    assert len(tries) == 2
    with pytest.raises(ScrubRefused, match="too large"):
        await scrubber.run(Dying(signal.SIGKILL))
    assert len(tries) == 4


@pytest.mark.parametrize(("of", "times"), [(None, 1), (signal.SIGXCPU, 1), (signal.SIGSEGV, 2)])
@pytest.mark.parametrize("bulk", [False, True])
async def test_a_job_that_kills_its_process_is_too_large(
    scrubber: Scrubber, tries: Tries, of: signal.Signals | None, times: int, bulk: bool
) -> None:
    with pytest.raises(ScrubRefused, match="too large"):
        await scrubber.run(Dying(of), bulk=bulk)
    assert len(tries) == times


async def test_a_job_cut_by_the_end_of_the_scrubber_is_not_refused(tries: Tries) -> None:
    with Scrubber(ScrubSettings(), modules=MODULES) as scrubber:
        job = asyncio.ensure_future(scrubber.run(Slow()))
        await until(lambda: len(tries) == 1)
    with pytest.raises(Unavailable):
        await job
    assert len(tries) == 1


@pytest.mark.parametrize("bulk", [False, True])
async def test_a_job_that_nobody_waits_for_ends_at_once_with_its_process(
    scrubber: Scrubber, tries: Tries, bulk: bool
) -> None:
    """As many as there are processes, so that the next would wait for ever."""
    jobs = [asyncio.ensure_future(scrubber.run(Slow(), bulk=bulk)) for _ in range(PROCESSES)]
    await until(lambda: len(tries) == PROCESSES)
    held = [psutil.Process(worker.pid) for worker in tries]
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    async with asyncio.timeout(PATIENCE):
        assert await scrubber.run(Telling(), bulk=bulk) not in {process.pid for process in held}
    await until(lambda: not any(process.is_running() for process in held))
    assert len(tries) == PROCESSES + 1, "and was not tried again"


async def test_more_jobs_than_may_wait_are_answered_at_once(tries: Tries) -> None:
    with Scrubber(ScrubSettings(queue=3), modules=MODULES) as scrubber:
        jobs = [asyncio.ensure_future(scrubber.run(Slow())) for _ in range(3)]
        await until(lambda: len(tries) == min(PROCESSES, 3))
        (near,) = scrubber.near()
        assert (near.setting, near.used, near.most) == ("scrub.queue", 3, 3)
        with pytest.raises(TooManyRequests) as refused:
            await scrubber.run(Telling())
        assert refused.value.retry_after
        assert isinstance(await asyncio.wait_for(_freed(scrubber, jobs), PATIENCE), int)


async def test_one_owner_leaves_others_a_place_and_a_process(tries: Tries) -> None:
    """Two hundred hostile images of one caller's were before everybody's, or everybody was told to come again."""
    with Scrubber(ScrubSettings(queue=8), modules=MODULES) as scrubber:

        def of(owner: str, job: Job[T]) -> "asyncio.Task[T]":
            on_behalf.set(owner)
            return asyncio.create_task(scrubber.run(job))

        jobs = [of("many", Slow()) for _ in range(4)]
        await until(lambda: len(tries) == max(1, min(PROCESSES - 1, 4)))
        with pytest.raises(TooManyRequests):
            await of("many", Telling())
        if PROCESSES > 1:
            assert await asyncio.wait_for(of("another", Telling()), PATIENCE)
        assert isinstance(await asyncio.wait_for(_freed(scrubber, jobs), PATIENCE), int)


async def _freed(scrubber: Scrubber, jobs: list[asyncio.Task[str]]) -> int:
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    return await scrubber.run(Telling())


async def test_a_process_decodes_one_image_and_none_that_decoded_scrubs(scrubber: Scrubber) -> None:
    async def told(*, alone: bool) -> int:
        return await scrubber.run(Telling(alone=alone))

    scrubbing = await told(alone=False)
    assert await told(alone=False) == scrubbing
    decoding = [await told(alone=True) for _ in range(3)]
    assert len({scrubbing, *decoding}) == 4
    assert await told(alone=False) == scrubbing


async def test_an_answer_that_is_none_is_taken_for_a_death(
    tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Scrubber(ScrubSettings(max_decoded=1 << 20, max_head=1 << 16), modules=MODULES) as scrubber:
        monkeypatch.setattr("mdm_async.images.views.scrubbing._SLACK", 0)
        with pytest.raises(ScrubRefused, match="too large"):
            await scrubber.run(Large())
        assert len(tries) == 2
        assert isinstance(await scrubber.run(Telling()), int)


@dataclass(frozen=True)
class Large:
    """Answers with more than any view can need."""

    alone: bool = False
    size: int = 1 << 20

    def run(self) -> bytes:
        return bytes(4 << 20)


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
