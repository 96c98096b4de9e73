"""Images that this server has asked an archive to move here (PS3.4 §C.4.2): they are for who waits for them."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Final

from mdm_async.pacs.dimse.commands import Command
from mdm_async.pacs.dimse.peers import OtherEnd, Peer
from mdm_async.pacs.dimse.received_file import received_file

_IDS: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Delivery:
    """A C-STORE that has begun. `taken` is done once its bytes are, with an error where they broke off."""

    command: Command
    syntax: str
    data_set: AsyncGenerator[bytes, None]
    taken: asyncio.Future[bool]

    async def file(self) -> AsyncGenerator[bytes, None]:
        """Its bytes; the archive is answered when they have been taken to their end. Raises what the association
        raises."""
        try:
            async with aclosing(self.data_set) as data_set:
                async for chunk in received_file(self.command, self.syntax, data_set):
                    yield chunk
        except Exception as why:
            if not self.taken.done():
                self.taken.set_exception(why)
            raise
        if not self.taken.done():
            self.taken.set_result(True)

    def drop(self) -> None:
        """Nobody takes any more of it."""
        if not self.taken.done():
            self.taken.set_result(False)


@dataclass(eq=False, slots=True)
class Arrival:
    """One instance that is to come from an archive; `id`: message ID of the C-MOVE that causes it."""

    archive: Peer
    id: int
    instance: str
    begun: asyncio.Future[Delivery] = field(default_factory=asyncio.Future)

    def is_this(self, title: str, end: OtherEnd, command: Command) -> bool:
        """Whether a C-STORE that this server's C-MOVE caused is this one."""
        return (
            (command.originator_id, command.instance) == (self.id, self.instance)
            and title == self.archive.title
            and self.archive.is_at(end)
            and not self.begun.done()
        )

    async def deliver(self, command: Command, syntax: str, data_set: AsyncGenerator[bytes, None]) -> bool:
        """Whether who waits has taken all of it. Raises what comes while `data_set` is taken."""
        delivery = Delivery(command, syntax, data_set, asyncio.get_running_loop().create_future())
        self.begun.set_result(delivery)
        return await delivery.taken


@dataclass(slots=True)
class Awaited:
    """All of this node's, whose AE title this is."""

    own_title: str
    _arrivals: dict[int, Arrival] = field(default_factory=dict, init=False)
    _last_id: int = field(default=0, init=False)

    @contextmanager
    def expecting(self, archive: Peer, instance: str) -> Iterator[Arrival]:
        """Until the end of the context, it may come; what comes of it later is nobody's."""
        while True:
            self._last_id = self._last_id % _IDS + 1
            if self._last_id not in self._arrivals:
                break
        arrival = Arrival(archive, self._last_id, instance)
        self._arrivals[arrival.id] = arrival
        try:
            yield arrival
        finally:
            del self._arrivals[arrival.id]
            if arrival.begun.done():
                arrival.begun.result().drop()
            else:
                arrival.begun.cancel()

    def has_asked_for(self, command: Command) -> bool:
        """Whether a C-MOVE of this node's has caused a C-STORE, as its sender says."""
        return command.originator == self.own_title

    def find(self, title: str, end: OtherEnd, command: Command) -> Arrival | None:
        """Who waits for this C-STORE, which somebody of that title sends from there."""
        arrival = self._arrivals.get(command.originator_id)
        return arrival if arrival is not None and arrival.is_this(title, end, command) else None
