"""Files prepared for many readers at once: those that are asked for together by one request, and each kept for a while
after it was read, for whoever reads on."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from mdm_async.client.client import Client
from mdm_async.client.pull import Pull, identity
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
    """A file; another `ticket` of the same bytes takes the place of one that has died."""

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
    """What is not prepared yet."""
    _next: list[str] = field(default_factory=list)
    """What of it no request has asked for yet."""
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
        ticket = kept.ticket

        async def renew() -> Ticket:
            nonlocal ticket
            # Another reader may have done it.
            ticket = kept.ticket if kept.ticket is not ticket else (await self._prepared(path)).ticket
            return ticket

        return Pull(self.client.wire, ticket, renew=renew)

    def end(self, path: str, kept: Kept) -> None:
        kept.readers -= 1
        if kept.readers == 0 and self._kept.get(path) is kept:
            self._rest(path, kept)

    async def aclose(self) -> None:
        """Release all, what is being prepared, too."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for path, kept in list(self._kept.items()):
            self._drop(path, kept)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _prepared(self, path: str) -> Kept:
        wanted = self._wanted.get(path)
        if wanted is None:
            if not self._next:
                self._spawn(self._prepare_together())
            self._next.append(path)
            wanted = self._wanted[path] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(wanted)

    async def _prepare_together(self) -> None:
        await asyncio.sleep(_TOGETHER)
        asked, self._next = self._next, []
        try:
            prepared = await self.client.prepare(asked, view=self.view, sealed=self.sealed, pin=self.pin)
        except BaseException as why:
            for path in asked:
                _fail(self._wanted.pop(path), why)
            if not isinstance(why, Exception):
                raise
            return
        request = _Request(prepared, len(prepared.tickets))
        for ticket in prepared.tickets:
            _succeed(self._wanted.pop(ticket.surl), self._keep(ticket, request))
        missing = WrongContent("the server did not answer for a file that was asked for")
        for path in self._wanted.keys() & set(asked):
            _fail(self._wanted.pop(path), prepared.failures.get(path, missing))

    def _keep(self, ticket: Ticket, request: _Request) -> Kept:
        """In place of what died, if those are the same bytes: its readers go on with it."""
        kept = self._kept.get(ticket.surl)
        if kept is not None and identity(kept.ticket) == identity(ticket):
            self._let_go(kept.request)
            kept.ticket, kept.request = ticket, request
        else:
            if kept is not None:
                self._drop(ticket.surl, kept)
            kept = self._kept[ticket.surl] = Kept(ticket, request)
        if kept.readers == 0:  # Whoever asked may be gone.
            self._rest(ticket.surl, kept)
        return kept

    def _rest(self, path: str, kept: Kept) -> None:
        if kept.ends is not None:
            kept.ends.cancel()
        kept.ends = asyncio.get_running_loop().call_later(_IDLE, self._drop, path, kept)

    def _drop(self, path: str, kept: Kept) -> None:
        del self._kept[path]
        if kept.ends is not None:
            kept.ends.cancel()
        self._let_go(kept.request)

    def _let_go(self, request: _Request) -> None:
        request.kept -= 1
        if request.kept == 0:
            self._spawn(self._release(request.prepared))

    async def _release(self, prepared: Prepared) -> None:
        with suppress(MdmError):  # It expires anyway.
            await self.client.release(prepared)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _succeed(waiting: asyncio.Future[Kept], kept: Kept) -> None:
    if not waiting.done():
        waiting.set_result(kept)


def _fail(waiting: asyncio.Future[Kept], why: BaseException) -> None:
    if not waiting.done():
        waiting.set_exception(why)
        waiting.exception()  # Nobody may be waiting any more.
