"""One connection, and what it waits for: a request's head, its body, its reader, or the server itself."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

from aiohttp import web

from mdm_async.web.http.carrier import carrier
from mdm_async.web.http.httpg import Httpg
from mdm_async.web.http.server import Speaker


class Phase(Enum):
    OPENING = auto()
    """A head has not come whole: the first one, the handshake before it included, or a later one that has begun."""
    BUSY = auto()
    """A request is worked on."""
    IDLE = auto()
    """Between requests."""


class Keeper(Protocol):
    """Who is told of what becomes of a connection."""

    def opening(self, connection: "Connection") -> None: ...
    def busy(self, connection: "Connection") -> None: ...
    def idle(self, connection: "Connection") -> None: ...
    def ended(self, connection: "Connection") -> None: ...
    def cut(self, connection: "Connection", reason: str) -> None: ...


Quick = Callable[["Connection", bytes], bool]
"""Answers what came, if it is a request that can be answered at once. False: others must answer it, or finish the
answer that has `begun`."""


class Unfinished(Protocol):
    """An answer that has begun before its request was looked at by anybody else."""

    def close(self) -> None:
        """It will not be finished, or is."""


class _Mark(NamedTuple):
    """How far a connection was when it was last looked at."""

    answers: int
    received: int
    gone: int
    """Bytes of the current answer that have left for the network."""


class Connection(Speaker):
    """Tells its keeper of each change of phase. `source`: the network that it comes from."""

    __slots__ = (
        "_answers",
        "_before_http",
        "_beside",
        "_carrier",
        "_finishing",
        "_keeper",
        "_mark",
        "_quick",
        "_received",
        "_resumed",
        "_sends_beside",
        "_wire",
        "address",
        "answered",
        "begun",
        "is_encrypted",
        "opening",
        "phase",
        "since",
        "source",
    )

    def __init__(
        self, keeper: Keeper, source: str, server: web.Server, quick: Quick | None = None, **options: Any
    ) -> None:
        super().__init__(server, **options)
        self.source = source
        self.phase = Phase.OPENING
        self.since = 0.0
        """When the request that is worked on had its whole head."""
        self.answered = 0
        """Bytes of the last answer."""
        self.opening: asyncio.Task[None] | None = None
        """What makes the transport, through the handshake if there is one."""
        self.address: str | None = None
        """Where it comes from, if it has one."""
        self.is_encrypted = False
        self.begun: Unfinished | None = None
        """The answer to the request that is worked on, of which some has left already."""
        self._keeper = keeper
        self._quick = quick
        self._wire: asyncio.Transport | None = None
        self._carrier: asyncio.Transport | None = None
        self._before_http: Httpg | None = None
        self._received = self._beside = self._answers = 0
        self._mark = _Mark(0, 0, 0)
        self._finishing: web.BaseRequest | None = None
        """Whose handler has ended, and its answer has not yet left."""
        self._resumed = self._sends_beside = False

    @property
    def was_made(self) -> bool:
        return self._wire is not None

    @property
    def has_unsent(self) -> bool:
        """Whether bytes wait here that the network has not taken: an answer's last ones, when its handler has ended."""
        return self._unsent > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = wire = cast("asyncio.Transport", transport)
        self._carrier = carrier(wire)
        peer = wire.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else None
        self.is_encrypted = wire.get_extra_info("sslcontext") is not None
        if self.is_encrypted:
            self._before_http = Httpg(wire.write, partial(self._keeper.cut, self, "delegation"))
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._keeper.ended(self)
        if self._before_http is not None:
            self._before_http.end()
        if self.begun is not None:
            self.begun.close()
        super().connection_lost(exc)
        # What came of a body goes with its request, not only once a collection finds that each holds the other.
        self._body = self._wire = self._carrier = None

    def data_received(self, data: bytes) -> None:
        if self._before_http is not None:
            data = self._before_http.received(data)
            if not self._before_http.is_over:
                return
            self._before_http = None
        if self._quick is not None and self.awaits_request and self._quick(self, data):
            self._received += len(data)
            return
        in_head = self._body is None or self._body.is_eof()
        super().data_received(data)
        self._received += len(data)
        if self.phase is Phase.BUSY:
            return
        if self._messages:
            self._mark = self._now()
            self._keeper.busy(self)
        elif data and in_head and self.phase is Phase.IDLE:
            self._keeper.opening(self)

    def answered_at_once(self, size: int) -> None:
        """A whole answer of so many bytes has left, or lies where the network takes it from."""
        self._answers += 1
        self.answered = size
        self._keeper.idle(self)

    def resume_reading(self, resume_parser: bool = True) -> None:
        self._resumed = True
        super().resume_reading(resume_parser)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        self._finishing = request
        try:
            done = await super().finish_response(request, resp, start_time)
        finally:
            self._finishing = None
        self._answers += 1
        self.answered = request.writer.output_size
        if self._messages:
            self.since = self._loop.time()
        else:
            self._keeper.idle(self)
        return done

    @contextmanager
    def sending_beside(self) -> Iterator[None]:
        """While bytes are sent that do not pass through the transport; `sent_beside` tells how many."""
        self._sends_beside = True
        try:
            yield
        finally:
            self._sends_beside = False

    def sent_beside(self, count: int) -> None:
        self._beside += count

    def keeps_pace(self, least: int) -> bool:
        """Whether what it waits for came on by so many bytes since it was last asked. It need not where the server
        itself is what is waited for."""
        wire, request = self._wire, self._request
        if wire is None or wire.is_closing():
            return False
        before, self._mark = self._mark, self._now()
        resumed, self._resumed = self._resumed, False
        if before.answers != self._answers:
            return True
        if request is None or request.writer.output_size or self._sends_beside:
            untaken = self._sends_beside or self.has_unsent
            return not untaken or self._mark.gone - before.gone >= least
        if not self.awaits_body or resumed:
            return True
        return self._mark.received - before.received >= least

    @property
    def awaits_body(self) -> bool:
        """Whether more of the request must come, and is let in."""
        request = self._request
        return request is not None and not request.content.is_eof() and not self._reading_paused

    @property
    def _unsent(self) -> int:
        return sum(wire.get_write_buffer_size() for wire in {self._wire, self._carrier} if wire is not None)

    @property
    def _request(self) -> web.BaseRequest | None:
        return self._current_request or self._finishing

    def close_idle(self) -> None:
        """End it as HTTP does when nobody owes anything."""
        if self._wire is not None and not self.has_unsent:
            self._wire.close()
        else:
            self.cut_off()

    def cut_off(self) -> None:
        if self._wire is not None:
            self._wire.abort()
        elif self.opening is not None:
            self.opening.cancel()

    def _now(self) -> _Mark:
        request, gone = self._request, self._beside
        if request is not None:
            gone += request.writer.output_size
        return _Mark(self._answers, self._received, gone - self._unsent)
