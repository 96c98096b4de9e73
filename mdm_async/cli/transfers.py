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

from mdm_async.cli.output import complain
from mdm_async.client.download import OnBytes
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


class Meter(Protocol):
    """Shows how transfers go."""

    def begin(self, name: str, size: int | None) -> OnBytes: ...

    def end(self, name: str, error: MdmError | None) -> None: ...


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
    on_bytes = meter.begin(job.name, job.size)
    try:
        outcome = Outcome(job.name, await job.work(on_bytes), None)
    except MdmError as error:
        outcome = Outcome(job.name, None, error)
    meter.end(job.name, outcome.error)
    return outcome


def exit_code(outcomes: list[Outcome[T]]) -> int:
    """0 when all went well, else the first error's."""
    return next((outcome.error.exit_code for outcome in outcomes if outcome.error is not None), 0)


class PlainMeter:
    """Says only what failed, for logs and pipes."""

    def begin(self, name: str, size: int | None) -> OnBytes:
        return lambda count: None

    def end(self, name: str, error: MdmError | None) -> None:
        if error is not None:
            complain(error, name)


class BarMeter:
    """One bar for all files, and one for each that runs."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._all = self._progress.add_task("all", total=0)
        self._running: dict[str, TaskID] = {}
        self._files = [0, 0]

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, name: str, size: int | None) -> OnBytes:
        task = self._running[name] = self._progress.add_task(name[-40:], total=size)
        self._files[1] += 1
        self._show_all(size or 0)

        def on_bytes(count: int) -> None:
            self._progress.advance(task, count)
            self._progress.advance(self._all, count)

        return on_bytes

    def end(self, name: str, error: MdmError | None) -> None:
        self._progress.remove_task(self._running.pop(name))
        self._files[0] += 1
        self._show_all(0)
        if error is not None:
            complain(error, name)

    def _show_all(self, more: int) -> None:
        (overall,) = (task for task in self._progress.tasks if task.id == self._all)
        done, begun = self._files
        self._progress.update(
            self._all, description=f"{done}/{begun} files", total=(overall.total or 0) + more
        )


def meter_on(console: Console, *, quiet: bool = False) -> AbstractContextManager[Meter]:
    """Bars on a terminal, plain lines elsewhere."""
    if quiet or not console.is_terminal:
        return nullcontext(PlainMeter())
    return BarMeter(console)
