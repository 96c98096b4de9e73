"""Scrubbing without holding the event loop: small heads in a thread, large ones in a process of their own.

A worker process is forked from a server that never saw a key or an image, and limited in memory and CPU time. One
that dies means that its head is refused, harms no other, and is replaced.
"""

import asyncio
import os
import resource
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Self, TypeVar

import structlog

from mdm_async.errors import MdmError, ScrubRefused
from mdm_async.images.scrub_jobs import Job
from mdm_async.settings import ScrubSettings

PROCESSES = os.cpu_count() or 1
_TOO_LARGE = "too large to scrub within the limits of memory and time"
_log = structlog.get_logger()
_forkserver = get_context("forkserver")
_forkserver.set_forkserver_preload(["mdm_async.images.scrub_jobs"])

T = TypeVar("T")


class Scrubber:
    """Scrubs a bounded number of heads at a time. Use as a context; its workers end with it."""

    def __init__(self, settings: ScrubSettings) -> None:
        self._settings = settings
        self._small = ThreadPoolExecutor(1, "scrub")
        self._large = ThreadPoolExecutor(PROCESSES, "scrub-process")
        self._mine = threading.local()
        self._workers: set[_Worker] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        for worker in list(self._workers):
            worker.stop()
        self._small.shutdown(wait=True, cancel_futures=True)
        self._large.shutdown(wait=True, cancel_futures=True)

    async def run(self, job: Job[T], *, bulk: bool = False) -> T:
        """What the job makes. `bulk`: always in a process, so that many jobs use all cores.

        Raises ScrubRefused with the reason, free of patient data.
        """
        loop = asyncio.get_running_loop()
        try:
            if not bulk and job.size <= self._settings.in_process:
                return await loop.run_in_executor(self._small, job.run)
            return await loop.run_in_executor(self._large, self._in_process, job)
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
        worker: _Worker | None = getattr(self._mine, "worker", None)
        if worker is not None and not worker.alive:  # ended since its last job, which is not this one's fault
            self._drop(worker)
            worker = None
        if worker is None:
            worker = self._mine.worker = _Worker(self._settings)
            self._workers.add(worker)
        try:
            answer = worker.ask(job)
        except (EOFError, OSError, TimeoutError) as why:
            self._drop(worker)
            raise ScrubRefused(_TOO_LARGE) from why
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _drop(self, worker: "_Worker") -> None:
        worker.stop()
        self._workers.discard(worker)
        self._mine.worker = None


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
        """Raises EOFError or OSError when the process died of its limits, TimeoutError when it hangs."""
        self._pipe.send(job)
        if not self._pipe.poll(self._patience):
            raise TimeoutError
        answer: T | Exception = self._pipe.recv()
        return answer

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _work(pipe: Connection, memory: int, seconds: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    while True:
        try:
            job: Job[Any] = pipe.recv()
        except EOFError:
            return
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        resource.setrlimit(resource.RLIMIT_CPU, (int(used) + seconds, resource.RLIM_INFINITY))
        try:
            pipe.send(job.run())
        except (ScrubRefused, MdmError) as refusal:
            pipe.send(refusal)
        except MemoryError:
            os._exit(1)  # without a traceback: it could quote what the head holds
        except Exception as mistake:
            # Only its type crosses over: its message could quote, too.
            pipe.send(RuntimeError(type(mistake).__name__))
