"""All connections of a listener's kind: how many there may be, whose, and when each has waited long enough.

Whoever has not yet shown a whole request goes first when room is needed, then whoever shows none any more.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter

from mdm_async.limits import Near
from mdm_async.names import network
from mdm_async.settings import LimitSettings
from mdm_async.web.http.connection import Connection, Phase

CUT = Counter("mdm_connections_cut", "Connections that the server ended, by what was waited for", ["reason"])
_PROXIES_LEAVE = 8
"""A trusted proxy, behind which many may be, leaves the eighth part to others."""
_TELL_EVERY = 60.0
_LOOK_AGAIN_AFTER = 0.02
_LOOKED_AT = 32 << 10
"""Bytes of an answer that any client takes in as they come, whether or not somebody reads them there."""

_log = structlog.get_logger()


@dataclass(slots=True)
class Connections:
    """At most `most`. One source may have a share of what others leave; `proxies` bound their clients themselves."""

    limits: LimitSettings
    most: int
    slowest: int
    """Bytes/s below which a sender or a reader is cut."""
    make: Callable[["Connections", str], Connection]
    proxies: frozenset[str] = frozenset()
    _of_source: dict[str, int] = field(default_factory=dict)
    _opening: dict[Connection, float] = field(default_factory=dict)
    """Since when, the oldest first; and so of the others."""
    _idle: dict[Connection, float] = field(default_factory=dict)
    _busy: dict[Connection, float] = field(default_factory=dict)
    """When it was last looked at."""
    _all: set[Connection] = field(default_factory=set)
    _told: float = -_TELL_EVERY

    def near(self) -> Iterable[Near]:
        return [Near("limits.connections", len(self._all), self.most)]

    async def watch(self) -> None:
        """Look after those who wait, for ever. Without it nobody's wait would end, and nobody would know."""
        waits = (self.limits.head_seconds, self.limits.idle_seconds, self.limits.pace_seconds)
        while True:
            await asyncio.sleep(min(1.0, *(wait / 4 for wait in waits)))
            self._look()

    async def sent(self) -> None:
        """Wait until what has been answered by now has left, whole."""
        late = {connection for connection in self._all if connection.has_unsent}
        # A transport tells of a buffer that is nearly empty, not of one that is.
        while late:
            await asyncio.sleep(_LOOK_AGAIN_AFTER)
            for connection in [one for one in late if not one.has_unsent]:
                late.remove(connection)
                if connection in self._idle:
                    self.idle(connection)  # It is so from now on.

    async def closed(self, seconds: float) -> None:
        """Once all are told that they end: wait for the end of those who have just had a long answer, each so long
        after it.

        Many a client over TLS loses what has come and it has not yet looked at when the connection is cut. Having
        looked at all, it ends its own side.
        """
        now = asyncio.get_running_loop().time
        while any(  # noqa: ASYNC110
            since > now() - seconds and connection.answered > _LOOKED_AT
            for connection, since in self._idle.items()
        ):
            await asyncio.sleep(_LOOK_AGAIN_AFTER)

    async def end(self) -> None:
        """Cut those that are left."""
        for connection in list(self._all):
            connection.cut_off()
        await asyncio.sleep(0)  # They close in the loop's next turn.

    def admit(self, address: str) -> Connection | None:
        """A connection for somebody who comes from this address, None when there may be no more of them."""
        is_proxy = address in self.proxies
        source = network(address)
        if not self._has_room(source, is_proxy) and not self._made_room(source, is_proxy):
            self._tell("a connection was refused: there are as many as there may be", source)
            return None
        connection = self.make(self, source)
        self._all.add(connection)
        self._of_source[source] = self._of_source.get(source, 0) + 1
        self._opening[connection] = asyncio.get_running_loop().time()
        return connection

    def give_way(self) -> bool:
        """End one of those who show no request, whoever it is; False when all do."""
        oldest = next(iter(self._opening), None) or next(self._answered(), None)
        if oldest is None:
            return False
        self.cut(oldest, "room")
        return True

    def _answered(self) -> Iterator[Connection]:
        """The idle ones that have their last answer whole."""
        return (one for one in self._idle if not one.has_unsent)

    def opening(self, connection: Connection) -> None:
        self._move(connection, Phase.OPENING, self._opening)

    def busy(self, connection: Connection) -> None:
        self._move(connection, Phase.BUSY, self._busy)
        connection.since = self._busy.get(connection, 0.0)

    def idle(self, connection: Connection) -> None:
        self._move(connection, Phase.IDLE, self._idle)

    def ended(self, connection: Connection) -> None:
        if connection not in self._all:
            return
        self._all.remove(connection)
        self._forget(connection)
        self._of_source[connection.source] -= 1
        if not self._of_source[connection.source]:
            del self._of_source[connection.source]

    def cut(self, connection: Connection, reason: str) -> None:
        CUT.labels(reason).inc()
        self.ended(connection)
        connection.cut_off()

    def _has_room(self, source: str, is_proxy: bool) -> bool:
        count, own = len(self._all), self._of_source.get(source, 0)
        if is_proxy:
            return count < self.most and own < self.most - self.most // _PROXIES_LEAVE
        left = self.most - (count - own)
        return count < self.most and own < max(1, int(left * self.limits.share))

    def _made_room(self, source: str, is_proxy: bool) -> bool:
        """Somebody of the same source gives way where it has its share, else anybody."""
        if len(self._all) >= self.most:
            return self.give_way() and self._has_room(source, is_proxy)
        for waiting in (self._opening, self._answered()):
            found = next((one for one in waiting if one.source == source), None)
            if found is not None:
                self.cut(found, "room")
                return True
        return False

    def _move(self, connection: Connection, phase: Phase, to: dict[Connection, float]) -> None:
        if connection not in self._all:
            return
        self._forget(connection)
        connection.phase = phase
        to[connection] = asyncio.get_running_loop().time()

    def _forget(self, connection: Connection) -> None:
        for waiting in (self._opening, self._idle, self._busy):
            waiting.pop(connection, None)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        limits = self.limits
        for connection in _lapsed(self._opening, now - limits.head_seconds):
            self.cut(connection, "head")
        least = int(self.slowest * limits.pace_seconds)
        for connection in _lapsed(self._idle, now - limits.idle_seconds):
            if connection.has_unsent and connection.keeps_pace(least):
                self.idle(connection)  # A long answer is still on its way.
                continue
            CUT.labels("idle").inc()
            self._forget(connection)
            connection.close_idle()
        for connection in _lapsed(self._busy, now - limits.pace_seconds):
            del self._busy[connection]
            late = connection.awaits_body and now - connection.since > limits.body_seconds
            self._busy[connection] = now
            if late or not connection.keeps_pace(least):
                self.cut(connection, "pace")

    def _tell(self, what: str, source: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told >= _TELL_EVERY:
            self._told = now
            _log.warning(what, source=source, connections=len(self._all), most=self.most)


def _lapsed(waiting: dict[Connection, float], before: float) -> list[Connection]:
    """Those whose time has come: each has the same, so they stand first."""
    found = []
    for connection, since in waiting.items():
        if since > before:
            break
        found.append(connection)
    return found
