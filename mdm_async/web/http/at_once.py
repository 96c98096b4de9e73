"""Reads of what is at hand, answered as soon as they have come: one look at the head, one write, and no task.

What is answered here is to the last byte what `get` answers, under the same limits, and is counted and audited as
there. Whatever is not plain, known, in memory and small is left to `get`, and so is whatever is refused.
"""

import re
import time
from dataclasses import dataclass
from typing import Final

from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE

from mdm_async.catalog.rights.tokens import digest
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.names import Payer
from mdm_async.web.http import ranges
from mdm_async.web.http.begun import Begun
from mdm_async.web.http.channel import host_in, stays_here
from mdm_async.web.http.connection import Connection
from mdm_async.web.http.counting import count
from mdm_async.web.http.get import fields_of
from mdm_async.web.http.house import House
from mdm_async.web.http.named import DAV
from mdm_async.web.http.plain_get import PlainGet, plain_get
from mdm_async.web.http.reply import fresh_id
from mdm_async.web.http.sending import AHEAD, counter_of
from mdm_async.web.http.write_now import write_now

_TURL = re.compile(r"/t/([A-Za-z0-9_-]+)/[A-Za-z0-9][A-Za-z0-9._~-]*")
_BEARER = re.compile(r"Bearer ([A-Za-z0-9_-]+)")
_BY_TURL: Final = "GET /t/{token}/{name}"
_BY_NAME: Final = "GET /dav{path}"
_MOST: Final = 1 << 20
"""Bytes of an answer."""


@dataclass(frozen=True, slots=True)
class AtOnce:
    house: House

    def answer(self, connection: Connection, data: bytes) -> bool:
        """Whether these bytes are a request that is answered now. False: it is for aiohttp, to be answered or, where
        the connection says that it has `begun`, to be finished."""
        begun, wire = time.monotonic(), connection.transport
        if not data.startswith((b"GET /t/", b"GET /dav/")) or (asked := plain_get(data)) is None:
            return False
        if wire is None or wire.is_closing() or connection.has_unsent or self.house.draining:
            return False
        address = connection.address
        if address is None or address in self.house.settings.server.trusted_proxies:
            return False  # More must be known to tell where it came from.
        is_secure = connection.is_encrypted or stays_here(
            self.house.settings.server, address, host_in(asked.host)
        )
        if asked.path.startswith("/t/"):
            warm, operation = self._by_turl(asked), _BY_TURL
        else:
            warm, operation = self._by_name(asked, address) if is_secure else None, _BY_NAME
        if warm is None or not (is_secure or warm.served.sealed):
            return False
        return self._give(connection, asked, warm, address, operation, begun)

    def _by_turl(self, asked: PlainGet) -> WarmTurl | None:
        """What a transfer URL that is known to be one serves."""
        match = _TURL.fullmatch(asked.path)
        if match is None:
            return None
        turl = digest(match[1])
        return self.house.warm.at_hand(turl) if self.house.desk.strangers.knows(turl) else None

    def _by_name(self, asked: PlainGet, source: str) -> WarmTurl | None:
        """What a name serves that a caller of a known token has read lately."""
        shown = asked.authorization or ""
        match = _BEARER.fullmatch(shown)
        caller = self.house.tokens.at_hand(match[1]) if match is not None else None
        if caller is None or not self.house.desk.strangers.knows(digest(shown)):
            return None
        caller = self.house.authenticator.known(caller, source)
        return self.house.opened.at_hand(caller, asked.path.removeprefix(DAV))

    def _give(
        self,
        connection: Connection,
        asked: PlainGet,
        warm: WarmTurl,
        source: str,
        operation: str,
        begun: float,
    ) -> bool:
        house, served, read = self.house, warm.served, warm.read
        if not house.reads.has_begun(read, source):
            return False
        start, stop, status, ranged = 0, served.size, "200 OK", ""
        if asked.range is not None:
            try:
                spans = ranges.parse(asked.range, served.size, house.settings.limits.ranges)
            except ranges.Unsatisfiable:
                return False
            if spans is None or len(spans) > 1:
                return False
            start, stop, status = spans[0].start, spans[0].stop, "206 Partial Content"
            ranged = f"Content-Range: {spans[0].content_range}\r\n"
        size, payer = stop - start, Payer.of(read.caller, read.owner, source)
        held = 0 if served.sealed and not connection.is_encrypted else min(size, AHEAD)
        if size > _MOST or not (house.admission.may_run(payer) and house.budget.may_hold(payer, held)):
            return False
        at_hand = served.at_hand(start, stop, files=not connection.is_encrypted)
        if at_hand is None:
            return False
        told = "".join(f"{name}: {value}\r\n" for name, value in fields_of(served).items())
        head = (
            f"HTTP/1.1 {status}\r\n{told}Content-Type: {served.media_type}\r\n{ranged}Content-Length: {size}\r\n"
            f"Date: {rfc822_formatted_time()}\r\nServer: {SERVER_SOFTWARE}\r\nX-Request-Id: {fresh_id()}\r\n\r\n"
        ).encode()
        left = write_now(connection, head, at_hand.pieces)
        sent = size - left.of_body
        counter_of(served).inc(sent)
        if left:
            connection.begun = Begun(
                house, connection, served, read, payer, source, at_hand, left, len(head), sent
            )
            return False
        at_hand.close(is_sent=True)
        house.reads.sent(read, source, size, "success")
        count(operation, 200 if asked.range is None else 206, begun)
        connection.answered_at_once(len(head) + size)
        return True
