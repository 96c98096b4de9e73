"""Many transfers at once: a few workers, a meter, an outcome for each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from mdm_async.cli.output import complain, plain
from mdm_async.client.progress import OnBytes
from mdm_async.errors import MdmError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """One transfer: what to call it, how many bytes to expect (None: unknown), how to do it."""

    name: str
    size: int | None
    work: Callable[[OnBytes], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How a job ended: with a result or with an error."""

    name: str
    result: T | None
    error: MdmError | None


class Gauge(Protocol):
    """Shows how one transfer goes: called with the bytes that have come, and told the end."""

    def __call__(self, count: int, /) -> None: ...

    def end(self, error: MdmError | None) -> None: ...


class Meter(Protocol):
    """Shows how transfers go."""

    def begin(self, name: str, size: int | None) -> Gauge: ...


async def run_all(jobs: AsyncIterator[Job[T]], *, parallel: int, meter: Meter) -> list[Outcome[T]]:
    """Do all jobs, `parallel` at a time, taking the next one only when a worker is free.

    A job's MdmError is its outcome and stops no other; anything else stops all.
    """
    outcomes: dict[int, Outcome[T]] = {}
    next_job = asyncio.Lock()
    count = 0

    async def work() -> None:
        nonlocal count
        while True:
            async with next_job:
                job = await anext(jobs, None)
                number, count = count, count + 1
            if job is None:
                return
            outcomes[number] = await _outcome(job, meter)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(parallel):
                workers.create_task(work())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return [outcomes[number] for number in sorted(outcomes)]


async def _outcome(job: Job[T], meter: Meter) -> Outcome[T]:
    gauge = meter.begin(job.name, job.size)
    try:
        outcome = Outcome(job.name, await job.work(gauge), None)
    except MdmError as error:
        outcome = Outcome(job.name, None, error)
    gauge.end(outcome.error)
    return outcome


class PlainMeter:
    """Says only what failed, for logs and pipes."""

    def begin(self, name: str, size: int | None) -> Gauge:
        return PlainGauge(name)


@dataclass(frozen=True, slots=True)
class PlainGauge:
    """Says that its transfer failed, if it did."""

    name: str

    def __call__(self, count: int, /) -> None:
        """Nothing is said while it goes well."""

    def end(self, error: MdmError | None) -> None:
        if error is not None:
            complain(error, self.name)


class BarMeter:
    """One bar for all files, and one for each that runs."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.overall = self.progress.add_task("all", total=0)
        self._begun = self._ended = self._bytes = 0

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def begin(self, name: str, size: int | None) -> Gauge:
        self._begun += 1
        self._bytes += size or 0
        self._show()
        return BarGauge(self, name, self.progress.add_task(plain(name[-40:]), total=size))

    def one_ended(self) -> None:
        """A file is through, well or not."""
        self._ended += 1
        self._show()

    def _show(self) -> None:
        files = f"{self._ended}/{self._begun} files"
        self.progress.update(self.overall, description=files, total=self._bytes)


@dataclass(frozen=True, slots=True)
class BarGauge:
    """The bar of one file; it goes when the file is through."""

    meter: BarMeter
    name: str
    task: TaskID

    def __call__(self, count: int, /) -> None:
        self.meter.progress.advance(self.task, count)
        self.meter.progress.advance(self.meter.overall, count)

    def end(self, error: MdmError | None) -> None:
        self.meter.progress.remove_task(self.task)
        self.meter.one_ended()
        if error is not None:
            complain(error, self.name)


def meter_on(console: Console, *, quiet: bool = False) -> AbstractContextManager[Meter]:
    """Bars on a terminal, plain lines elsewhere."""
    if quiet or not console.is_terminal:
        return nullcontext(PlainMeter())
    return BarMeter(console)
