"""What a request of WebDAV is about, and the headers by which it says how."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from mdm_async.errors import BadRequest
from mdm_async.names import Caller
from mdm_async.web.http.house import HOUSE, House
from mdm_async.web.http.named import Named

Depth = Literal["0", "1", "infinity"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and for what."""

    request: web.Request
    caller: Caller
    named: Named

    @property
    def house(self) -> House:
        return self.request.app[HOUSE]

    @asynccontextmanager
    async def turn(self, names: int = 0, *, first: bool = True) -> AsyncIterator[None]:
        """Work on names, maybe on many, waits for it; transfers do not. Raises TooManyRequests where it is the
        request's first."""
        turns, payer = self.house.desk.turns, self.caller.payer
        with turns.serving(payer):
            async with turns.turn(payer, names, first=first):
                yield

    @property
    def depth(self) -> Depth:
        """RFC 4918 §10.2. Raises BadRequest."""
        told = self.request.headers.get("Depth", "infinity").strip().lower()
        if told == "0" or told == "1":
            return "0" if told == "0" else "1"
        if told != "infinity":
            raise BadRequest("the Depth is none of 0, 1 and infinity")
        return "infinity"

    @property
    def may_overwrite(self) -> bool:
        """RFC 4918 §10.6. Raises BadRequest."""
        told = self.request.headers.get("Overwrite", "T").strip().upper()
        if told not in ("T", "F"):
            raise BadRequest("Overwrite is neither T nor F")
        return told == "T"
