"""Starts the processes that are a server together, and keeps them: one that ends unasked is replaced.

It has what must be there once: the lock of the directory, the Postgres that comes along, the listening sockets, which
its processes inherit. It serves nobody itself.
"""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest

from mdm_async import logs
from mdm_async.app import stopped_unwatched, url_of
from mdm_async.ground import Ground, taken
from mdm_async.line import Line
from mdm_async.postgres.embedded.ballast import Ballast
from mdm_async.premises import premises
from mdm_async.processes.process import Process, Shared
from mdm_async.seat import METRICS, OWN_METRICS, READY
from mdm_async.settings import Settings
from mdm_async.watches import Beside, Watches
from mdm_async.web.listening import taken as ports_taken

_NAME = "supervisor"
_TOLD_WITHIN = 2.0
"""Seconds that a process has to tell its metrics; those of one that hangs are left out."""
_LOOK = 1.0

_log = structlog.get_logger()


async def serve(settings: Settings, count: int) -> None:
    """Run `count` processes until SIGTERM or SIGINT, then drain them. Prints one line when all are ready.

    Raises MdmError when one of them does not start, and as `app.serve`.
    """
    logs.configure(settings.log, _NAME)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    stands_on = premises(settings)
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(taken(settings))
        doors, local = await ports_taken(stack, settings, tls=stands_on.certificate is not None)
        shared = Shared(settings, count, ground.target, doors, local, ground.lock.descriptor)
        together, watches = _Together(shared), Watches()
        beside = await stack.enter_async_context(watches.running())
        for work in _ground_kept(ground):
            beside(work)
        failed = asyncio.create_task(watches.failed.wait())
        failed.add_done_callback(lambda _: stop.set())
        stack.push_async_callback(together.end)
        stack.callback(failed.cancel)
        if await together.started(stop, beside):
            print(f"mdm: ready at {url_of(settings, doors.port, doors.tls_port)}", flush=True)
            await stop.wait()
        _log.info("draining")
        # Nobody comes in any more whom no process would let in.
        doors.close()
        local.close()
    if watches.failed.is_set():
        raise stopped_unwatched()


def _ground_kept(ground: Ground) -> Iterator[Coroutine[Any, Any, None]]:
    if ground.postgres is None:
        return
    yield ground.postgres.supervise()
    if ground.postgres.ballast is not None:
        yield _trimmed(ground.postgres.ballast)


async def _trimmed(ballast: Ballast) -> None:
    while True:
        try:
            await asyncio.to_thread(ballast.trim)
        except OSError as why:
            _log.warning("the ballast cannot be looked at", reason=why.strerror)
        await asyncio.sleep(_LOOK)


class _Together:
    """The processes of one server."""

    def __init__(self, shared: Shared) -> None:
        self._processes = [Process(shared, number, self._answer) for number in range(1, shared.count + 1)]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._replaced = Counter(
            "mdm_processes_replaced",
            "Processes of this server that ended unasked and were started again",
            registry=self._registry,
        )

    async def started(self, stop: asyncio.Event, beside: Beside) -> bool:
        """Start them, and keep them from then on. The first is ready before the others begin, for it makes what a new
        server needs. False when `stop` came first. Raises MdmError when one does not start."""
        with _stopping(stop) as stopped:
            for some in (self._processes[:1], self._processes[1:]):
                starting = asyncio.gather(*(process.start() for process in some))
                await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
                if not starting.done():
                    starting.cancel()
                    return False
                await starting
        for process in self._processes:
            beside(process.keep(self._replaced.inc))
        return True

    async def end(self) -> None:
        await asyncio.gather(*(process.end() for process in self._processes))

    async def _answer(self, asker: Process, question: bytes) -> bytes:
        if question == READY:
            asker.is_ready.set()
        if question != METRICS:
            return b""
        others = [process for process in self._processes if process is not asker]
        told = await asyncio.gather(*(_metrics_of(process.line) for process in others))
        texts = {str(process.number): text for process, text in zip(others, told, strict=True) if text}
        texts[_NAME] = generate_latest(self._registry).decode()
        return orjson.dumps(texts)


async def _metrics_of(line: Line | None) -> str:
    try:
        async with asyncio.timeout(_TOLD_WITHIN):
            return (await line.ask(OWN_METRICS)).decode() if line is not None else ""
    except (ConnectionError, TimeoutError):
        return ""


@contextmanager
def _stopping(stop: asyncio.Event) -> Iterator[asyncio.Task[bool]]:
    task = asyncio.create_task(stop.wait())
    try:
        yield task
    finally:
        task.cancel()
