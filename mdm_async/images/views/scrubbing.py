"""Scrubbing without holding the event loop: small heads in a thread, large ones in a process that has nothing.

Such a process is confined (`mdm_async.confined`) and limited in memory and CPU time. One that dies is replaced and
harms no other. Died of its limits, its job is refused at once as too large. Otherwise the job is tried once more in a
fresh worker. When that one dies too, or hangs, the job is refused as too large; but killed from outside (by an
operator, or by the kernel for want of memory), a bulk job raises Unavailable: nothing is refused, and the view stays
pending until it is tried again. An upload that waits for its view has it refused in that case. A job that nobody waits
for any more is dropped, and its process killed.

Which process meets which bytes: decoders are foreign code that foreign bytes may take over, so each image is decoded
in a process of its own, which ends with it. Heads are scrubbed by Python alone; a process scrubs some of them, one
after the other, and is then replaced. None that has decoded ever scrubs.
"""

import asyncio
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Self, TypeVar, cast

import structlog

from mdm_async.confined.answers import Answer, Mistake
from mdm_async.confined.processes import LOST, Died, Template, Worker, template_of
from mdm_async.confined.template import OUT_OF_MEMORY, Limits
from mdm_async.errors import Malformed, MdmError, ScrubRefused, TooManyRequests, Unavailable
from mdm_async.held import may_wait
from mdm_async.images.views.scrub_jobs import Job
from mdm_async.limits import Near
from mdm_async.postgres.turns import Turns, on_behalf
from mdm_async.settings import ScrubSettings

PROCESSES = os.cpu_count() or 1
MODULES = (
    "mdm_async.images.views.scrub_jobs",
    "mdm_async.images.studies.describe_jobs",
    "mdm_async.images.studies.frame_jobs",
    "mdm_async.dicom.pictures.drawing",
    *(
        "pydicom.pixels.decoders",
        "pydicom.charset",
        "numpy",
        "pylibjpeg",
        "libjpeg",
        "openjpeg",
        "PIL.JpegImagePlugin",
        "PIL.PngImagePlugin",
    ),
)
"""What jobs need."""
_TOO_LARGE = "too large to scrub within the limits of memory and time"
_DECODING = 2
"""Images that are decoded at a time: each is held whole, compressed and decoded."""
_HEADS = 1000
"""That one process scrubs at the most."""
_SLACK = 64 << 20
"""Bytes that an answer may have beyond the largest head and the largest pixels."""
_SOON = 2
"""Seconds after which an upload may be tried again."""
_OF_LIMITS = {OUT_OF_MEMORY, -signal.SIGXCPU}
_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM, LOST}
_log = structlog.get_logger()

T = TypeVar("T")


class Scrubber:
    """Scrubs a bounded number of heads at a time. Use as a context; its workers end with it.

    `withheld`: paths that no process may read, wherever they lie. `modules`: where its jobs are from.
    """

    def __init__(
        self, settings: ScrubSettings, withheld: Iterable[Path] = (), modules: Iterable[str] = MODULES
    ) -> None:
        self.settings = settings
        self._template: Template = template_of(modules, withheld)
        self._small = ThreadPoolExecutor(1, "scrub")
        self._large = ThreadPoolExecutor(PROCESSES, "scrub-process")
        self._slots = _turns(PROCESSES)
        self._slots_in_bulk = asyncio.Semaphore(PROCESSES)
        self._idle: list[Worker] = []
        self._workers: set[Worker] = set()
        self._waiting: Counter[str] = Counter()
        """Images in the queue, by whose they are; nobody's are those that come from a PACS."""
        self._closing = False
        self._decoding = _turns(_DECODING)
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
            self._drop(worker)

    async def tell(self) -> None:
        """Start what processes are made of, and say in the log how they are confined."""
        try:
            had = await asyncio.get_running_loop().run_in_executor(self._large, self._template.had)
        except Died:
            _log.error("processes that handle foreign bytes cannot be started")
            return
        say = _log.info if had.landlock or had.seccomp else _log.warning
        say("decoders are confined by: " + str(had))

    def near(self) -> Iterator[Near]:
        yield Near("scrub.queue", self._waiting.total(), self.settings.queue)

    @asynccontextmanager
    async def decoding(self, *, bulk: bool, begun: bool = False) -> AsyncIterator[None]:
        """Held while one image's pixels are decoded. Few fit at a time, and bulk work does not queue before others.

        `begun`: for an answer that has, which waits for its turn however many do. Else it raises TooManyRequests.
        """
        with nullcontext() if bulk or begun else self._in_the_queue():
            async with self._decoding_in_bulk if bulk else nullcontext(), self._decoding.turn(None):
                yield

    async def run(self, job: Job[T], *, bulk: bool = False, begun: bool = False) -> T:
        """What the job makes. `bulk`: always in a process, so that many jobs use all cores. `begun`: as in `decoding`.

        Raises ScrubRefused with the reason, free of patient data; TooManyRequests when too many wait. Raises
        Unavailable when the scrubber ends meanwhile, and, if `bulk`, when its process was killed from outside twice.
        """
        if self._closing:
            raise Unavailable("scrubbing has ended")
        may_wait("a scrubber")
        if bulk or job.alone:  # which is in the queue as long as it is decoded
            return await self._run(job, bulk=bulk)
        with nullcontext() if begun else self._in_the_queue():
            return await self._run(job, bulk=False)

    @contextmanager
    def _in_the_queue(self) -> Iterator[None]:
        """Bulk work waits elsewhere, and few at a time. Of one owner are at the most half of what others leave."""
        owner = on_behalf.get()
        own = self._waiting[owner]
        left = self.settings.queue - (self._waiting.total() - own)
        if own >= (min(left, max(1, left // 2)) if owner else left):
            raise TooManyRequests("too many images wait to be scrubbed", retry_after=_SOON)
        self._waiting[owner] += 1
        try:
            yield
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner]

    async def _run(self, job: Job[T], *, bulk: bool) -> T:
        try:
            if not bulk and not job.alone and job.size <= self.settings.in_process:
                return await asyncio.get_running_loop().run_in_executor(self._small, job.run)
            return await self._in_a_process(job, bulk=bulk)
        except Died as died:
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
            kind = str(mistake) if isinstance(mistake, Mistake) else type(mistake).__name__
            _log.error("scrubbing failed", kind=kind)
            raise ScrubRefused("scrubbing failed unexpectedly") from mistake

    async def _in_a_process(self, job: Job[T], *, bulk: bool) -> T:
        async with self._slots_in_bulk if bulk else nullcontext(), self._slots.turn(None):
            turn = _Turn()
            try:
                return await asyncio.get_running_loop().run_in_executor(self._large, self._done, job, turn)
            except asyncio.CancelledError:
                turn.give_up()
                raise

    def _done(self, job: Job[T], turn: "_Turn") -> T:
        try:
            return self._tried(job, turn)
        except Died as died:
            if self._closing or turn.given_up or died.code in _OF_LIMITS:
                raise
            _log.warning("a scrubbing process died at its job", code=died.code)
        return self._tried(job, turn)

    def _tried(self, job: Job[T], turn: "_Turn") -> T:
        worker = self._worker(alone=job.alone)
        most = self.settings.max_head + self.settings.max_decoded + _SLACK
        try:
            with turn.held_by(worker):
                answer = worker.ask(job, self.settings.seconds * 4.0, most)
        except BaseException:
            self._drop(worker)
            raise
        if job.alone or worker.jobs >= _HEADS:
            self._drop(worker)
        else:
            self._idle.append(worker)
        return cast("T", _made(answer))

    def _worker(self, *, alone: bool) -> Worker:
        worker: Worker | None = None
        while not alone and worker is None and self._idle:
            worker = self._idle.pop()
            if not worker.alive:  # ended since its last job, which is not this one's fault
                self._drop(worker)
                worker = None
        if worker is None:
            worker = self._template.worker(Limits(self.settings.memory, self.settings.seconds))
            self._workers.add(worker)
        if self._closing:  # asked after the worker was added: either this is seen here, or the worker there
            self._drop(worker)
            raise Died(LOST)
        return worker

    def _drop(self, worker: Worker) -> None:
        worker.stop()
        self._workers.discard(worker)


def _turns(places: int) -> Turns:
    """Of owners; one is left to others by whoever has many large heads, or images to decode. The queue is the bound of
    those who wait."""
    return Turns(places, max(1, places - 1), sys.maxsize)


class _Turn:
    """One job's time with a worker, which is cut short when nobody waits for it any more."""

    def __init__(self) -> None:
        self.given_up = False
        self._worker: Worker | None = None
        self._lock = threading.Lock()

    @contextmanager
    def held_by(self, worker: Worker) -> Iterator[None]:
        with self._lock:
            if self.given_up:
                raise Died(None)
            self._worker = worker
        try:
            yield
        finally:
            with self._lock:
                self._worker = None

    def give_up(self) -> None:
        with self._lock:
            self.given_up = True
            if self._worker is not None:
                self._worker.kill()


def _made(answer: Answer) -> object:
    match answer.kind:
        case "done":
            return answer.value
        case "malformed":
            raise Malformed(answer.value)
        case "mistake":
            raise Mistake(answer.value)
    raise ScrubRefused(answer.value, quarantined=answer.kind == "quarantined")
