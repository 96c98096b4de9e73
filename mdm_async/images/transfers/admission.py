"""The transfers that run on this node, in and out: how many, and how each is cut."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mdm_async.catalog.grants.grants import Grant
from mdm_async.errors import TooManyRequests
from mdm_async.images.metrics import TRANSFERS_OUT
from mdm_async.images.reading.representation import Ending
from mdm_async.images.transfers.judging import Judged

_NEVER: Judged = (-1, -1)


@dataclass(eq=False, slots=True, repr=False)
class Receiving:
    """An upload in progress."""

    grant: Grant
    judged: Judged = _NEVER
    cuts: list[Callable[[], None]] = field(default_factory=list)

    def cut(self) -> None:
        for cut in self.cuts:
            cut()


class Admission:
    """Lets transfers run; `most`: downloads at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._receiving: dict[bytes, Receiving] = {}
        self._ended = asyncio.Event()
        """Set whenever a transfer ends."""
        self.running = 0

    @property
    def receiving(self) -> dict[bytes, Receiving]:
        """The uploads in progress, by transfer URL."""
        return dict(self._receiving)

    @contextmanager
    def sending(self, ending: Ending, cut: Callable[[], None]) -> Iterator[None]:
        """While a download runs; `cut` ends its connection. Raises TooManyRequests at once when too many do."""
        if self.running >= self._most:
            raise TooManyRequests("this server runs as many transfers as it may", retry_after=2)
        self.running += 1
        TRANSFERS_OUT.inc()
        try:
            with ending.cutting(cut):
                yield
        finally:
            self.running -= 1
            self._ended.set()
            TRANSFERS_OUT.dec()

    @contextmanager
    def taking(self, grant: Grant, cut: Callable[[], None]) -> Iterator[None]:
        """While an upload runs; `cut` ends its connection, when it is aborted or its token revoked."""
        receiving = self._receiving.setdefault(grant.turl, Receiving(grant))
        receiving.cuts.append(cut)
        try:
            yield
        finally:
            receiving.cuts.remove(cut)
            if not receiving.cuts:
                self._receiving.pop(grant.turl, None)
            self._ended.set()

    async def idle(self) -> None:
        """Wait until no transfer runs."""
        while self.running or self._receiving:
            self._ended.clear()
            await self._ended.wait()
