"""Scrubbing without holding the event loop: small heads in a thread, large ones in a process of their own.

A worker process is forked from a server that never saw a key or an image, and limited in memory and CPU time. One
that dies is replaced and harms no other. Died of its limits, its job is refused at once as too large. Otherwise the
job is tried once more in a fresh worker. When that one dies too, or hangs, the job is refused as too large; but killed
from outside (by an operator, or by the kernel for want of memory), a bulk job raises Unavailable: nothing is refused,
and the view stays pending until it is tried again. An upload that waits for its view has it refused in that case.
Workers ignore SIGINT and SIGTERM: they end with the scrubber, after the server has drained.
"""

import asyncio
import os
import resource
import signal
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Self, TypeVar

import structlog

from mdm_async.errors import MdmError, ScrubRefused, Unavailable
from mdm_async.images.views.scrub_jobs import Job
from mdm_async.settings import ScrubSettings

PROCESSES = os.cpu_count() or 1
_TOO_LARGE = "too large to scrub within the limits of memory and time"
_DECODING = 2
"""Images that are decoded at a time: each is held whole, compressed and decoded."""
_OUT_OF_MEMORY = 3
_LOST = 255
"""The exit code that multiprocessing gives to a process whose fork server has gone."""
_OF_LIMITS = {_OUT_OF_MEMORY, -signal.SIGXCPU}
_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM, _LOST}
_REAPED = 10.0
_log = structlog.get_logger()
_forkserver = get_context("forkserver")
_forkserver.set_forkserver_preload(["mdm_async.images.views.scrub_jobs"])

T = TypeVar("T")


class Scrubber:
    """Scrubs a bounded number of heads at a time. Use as a context; its workers end with it."""

    def __init__(self, settings: ScrubSettings) -> None:
        self.settings = settings
        self._small = ThreadPoolExecutor(1, "scrub")
        self._large = ThreadPoolExecutor(PROCESSES, "scrub-process")
        self._mine = threading.local()
        self._workers: set[_Worker] = set()
        self._closing = False
        self._decoding = asyncio.Semaphore(_DECODING)
        self._decoding_in_bulk = asyncio.Semaphore(_DECODING)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._closing = True
        for worker in list(self._workers):
            worker.kill()
        self._small.shutdown(wait=True, cancel_futures=True)
        self._large.shutdown(wait=True, cancel_futures=True)
        for worker in list(self._workers):
            worker.stop()

    @asynccontextmanager
    async def decoding(self, *, bulk: bool) -> AsyncIterator[None]:
        """Held while one image's pixels are decoded. Few fit at a time, and bulk work does not queue before others."""
        async with self._decoding_in_bulk if bulk else nullcontext(), self._decoding:
            yield

    async def run(self, job: Job[T], *, bulk: bool = False) -> T:
        """What the job makes. `bulk`: always in a process, so that many jobs use all cores.

        Raises ScrubRefused with the reason, free of patient data. Raises Unavailable when the scrubber ends meanwhile,
        and, if `bulk`, when its process was killed from outside twice.
        """
        if self._closing:
            raise Unavailable("scrubbing has ended")
        loop = asyncio.get_running_loop()
        try:
            if not bulk and job.size <= self.settings.in_process:
                return await loop.run_in_executor(self._small, job.run)
            return await loop.run_in_executor(self._large, self._in_process, job)
        except _Died as died:
            if self._closing:
                raise Unavailable("scrubbing has ended") from died
            if bulk and died.code in _FROM_OUTSIDE:
                raise Unavailable("the scrubbing process was killed twice") from died
            raise ScrubRefused(_TOO_LARGE) from died
        except MdmError as broken:
            # The frame was sound enough to be stored; what cannot be walked is not served de-identified.
            raise ScrubRefused(f"the data set cannot be walked: {broken.detail}") from broken
        except ScrubRefused:
            raise
        except Exception as mistake:
            # One of ours. The image is stored all the same; the type is all that may be told.
            _log.error("scrubbing failed", kind=type(mistake).__name__)
            raise ScrubRefused("scrubbing failed unexpectedly") from mistake

    def _in_process(self, job: Job[T]) -> T:
        try:
            return self._tried(job)
        except _Died as died:
            if self._closing or died.code in _OF_LIMITS:
                raise
            _log.warning("a scrubbing process died at its job", code=died.code)
        return self._tried(job)

    def _tried(self, job: Job[T]) -> T:
        worker = self._worker()
        try:
            answer = worker.ask(job)
        except _Died:
            self._drop(worker)
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _worker(self) -> "_Worker":
        """This thread's."""
        worker: _Worker | None = getattr(self._mine, "worker", None)
        if worker is not None and not worker.alive:  # ended since its last job, which is not this one's fault
            self._drop(worker)
            worker = None
        if worker is None:
            try:
                worker = self._mine.worker = _Worker(self.settings)
            except (EOFError, OSError) as why:  # the fork server has just been killed; there will be another
                raise _Died(_LOST) from why
            self._workers.add(worker)
        if self._closing:  # asked after the worker was added: either this is seen here, or the worker there
            raise _Died(_LOST)
        return worker

    def _drop(self, worker: "_Worker") -> None:
        worker.stop()
        self._workers.discard(worker)
        self._mine.worker = None


class _Died(Exception):
    """A process ended at its job with this exit code, or hung (None)."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class _Worker:
    """A process that scrubs one job after the other."""

    def __init__(self, settings: ScrubSettings) -> None:
        self._patience = settings.seconds * 4.0
        self._pipe, far_end = _forkserver.Pipe()
        self._process = _forkserver.Process(
            target=_work, args=(far_end, settings.memory, settings.seconds), daemon=True
        )
        self._process.start()
        far_end.close()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def ask(self, job: Job[T]) -> T | Exception:
        """What it answers. Raises _Died."""
        try:
            self._pipe.send(job)
            if not self._pipe.poll(self._patience):
                raise _Died(None)
            answer: T | Exception = self._pipe.recv()
        except (EOFError, OSError) as why:
            self._process.join(_REAPED)
            raise _Died(self._process.exitcode) from why
        return answer

    def kill(self) -> None:
        self._process.kill()

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _work(pipe: Connection, memory: int, seconds: int) -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the server still drains
        signal.signal(ignored, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        while _one_job(pipe, seconds):
            pass
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)  # without a traceback: it could quote what the head holds


def _one_job(pipe: Connection, seconds: int) -> bool:
    try:
        job: Job[Any] = pipe.recv()
    except EOFError:
        return False
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + seconds, resource.RLIM_INFINITY))
    try:
        pipe.send(job.run())
    except (ScrubRefused, MdmError) as refusal:
        pipe.send(refusal)
    except MemoryError:
        raise
    except Exception as mistake:
        # Only its type crosses over: its message could quote, too.
        pipe.send(RuntimeError(type(mistake).__name__))
    return True
