"""Many transfers at once: a few workers, a meter, an outcome for each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from mdm_async.client.one_or_many import Outcome
from mdm_async.client.progress import OnBytes
from mdm_async.errors import MdmError

T = TypeVar("T")

PARALLEL: Final = 8
"""Transfers at once."""


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """One transfer: what to call it, how many bytes to expect (None: unknown), how to do it."""

    name: str
    size: int | None
    work: Callable[[OnBytes], Awaitable[T]]


class Gauge(Protocol):
    """Shows how one transfer goes: called with the bytes that have come, and told the end."""

    def __call__(self, count: int, /) -> None: ...

    def end(self, error: MdmError | None) -> None: ...


class Meter(Protocol):
    """Shows how transfers go. A blocking client calls it from its own thread."""

    def begin(self, name: str, size: int | None) -> Gauge: ...


async def run_all(jobs: AsyncIterator[Job[T]], *, parallel: int, meter: Meter | None) -> list[Outcome[T]]:
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
            outcomes[number] = await _outcome(job, _Silent() if meter is None else meter)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(parallel):
                workers.create_task(work())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return [outcomes[number] for number in sorted(outcomes)]


async def _outcome(job: Job[T], meter: Meter) -> Outcome[T]:
    gauge = meter.begin(job.name, job.size)
    outcome: Outcome[T]
    try:
        outcome = Outcome(job.name, await job.work(gauge))
    except MdmError as error:
        outcome = Outcome(job.name, None, error)
    gauge.end(outcome.error)
    return outcome


class _Silent:
    """Nobody wants to know."""

    def begin(self, name: str, size: int | None) -> "_Silent":
        return self

    def __call__(self, count: int, /) -> None: ...

    def end(self, error: MdmError | None) -> None: ...
