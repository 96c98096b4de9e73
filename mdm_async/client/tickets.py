"""Files prepared for many readers at once: those that are asked for together by one request, and each kept for a while
after it was read, for whoever reads on."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from mdm_async.client.client import Client
from mdm_async.client.pull import Pull
from mdm_async.client.ticket import Prepared, Ticket
from mdm_async.errors import MdmError, WrongContent

_TOGETHER: Final = 0.001
"""Seconds in which others may ask, so that one request is made for all."""
_IDLE: Final = 10.0
"""Seconds for which a file that nobody reads stays prepared."""


@dataclass(slots=True)
class _Request:
    """Released once none of its files is kept any more."""

    prepared: Prepared
    kept: int


@dataclass(slots=True)
class Kept:
    ticket: Ticket
    request: _Request
    readers: int = 0
    ends: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class Tickets:
    """Of one client, whose event loop it is used on. `view`, `sealed`, `pin`: as of `Client.prepare`."""

    client: Client
    view: str | None = None
    sealed: bool | None = None
    pin: int | None = None
    _kept: dict[str, Kept] = field(default_factory=dict)
    _wanted: dict[str, asyncio.Future[Kept]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def pulling(self, path: str) -> AsyncGenerator[Pull, None]:
        """The bytes of a file. Raises what it cannot be prepared for, an MdmError."""
        kept = await self.begin(path)
        try:
            yield self.pull(path, kept)
        finally:
            self.end(path, kept)

    async def begin(self, path: str) -> Kept:
        """Keep a file prepared until `end`."""
        kept = self._kept.get(path)
        if kept is None:
            kept = await self._prepared(path)
        kept.readers += 1
        if kept.ends is not None:
            kept.ends.cancel()
            kept.ends = None
        return kept

    def pull(self, path: str, kept: Kept) -> Pull:
        async def renew() -> Ticket:
            if self._kept.get(path) is kept:
                self._drop(path, kept)
            again = await self._prepared(path)
            self._rest(path, again)
            return again.ticket

        return Pull(self.client.wire, kept.ticket, renew=renew)

    def end(self, path: str, kept: Kept) -> None:
        kept.readers -= 1
        if kept.readers == 0 and self._kept.get(path) is kept:
            self._rest(path, kept)

    async def aclose(self) -> None:
        """Release all."""
        for path, kept in list(self._kept.items()):
            self._drop(path, kept)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _prepared(self, path: str) -> Kept:
        wanted = self._wanted.get(path)
        if wanted is None:
            if not self._wanted:
                self._spawn(self._prepare_together())
            wanted = self._wanted[path] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(wanted)

    async def _prepare_together(self) -> None:
        await asyncio.sleep(_TOGETHER)
        wanted, self._wanted = self._wanted, {}
        try:
            prepared = await self.client.prepare(
                list(wanted), view=self.view, sealed=self.sealed, pin=self.pin
            )
        except BaseException as why:
            for each in wanted.values():
                _fail(each, why)
            if not isinstance(why, Exception):
                raise
            return
        request = _Request(prepared, len(prepared.tickets))
        missing = WrongContent("the server did not answer for a file that was asked for")
        for ticket in prepared.tickets:
            kept = self._kept[ticket.surl] = Kept(ticket, request)
            # Whoever asked may be gone.
            self._rest(ticket.surl, kept)
            if not wanted[ticket.surl].done():
                wanted[ticket.surl].set_result(kept)
        for path, each in wanted.items():
            _fail(each, prepared.failures.get(path, missing))

    def _rest(self, path: str, kept: Kept) -> None:
        if kept.ends is not None:
            kept.ends.cancel()
        kept.ends = asyncio.get_running_loop().call_later(_IDLE, self._drop, path, kept)

    def _drop(self, path: str, kept: Kept) -> None:
        if self._kept.get(path) is kept:
            del self._kept[path]
        if kept.ends is not None:
            kept.ends.cancel()
        kept.request.kept -= 1
        if kept.request.kept == 0:
            self._spawn(self._release(kept.request.prepared))

    async def _release(self, prepared: Prepared) -> None:
        with suppress(MdmError):  # It expires anyway.
            await self.client.release(prepared)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _fail(waiting: asyncio.Future[Kept], why: BaseException) -> None:
    if not waiting.done():
        waiting.set_exception(why)
        waiting.exception()  # Nobody may be waiting any more.
