"""The instances of one answer, as they come: one after the other, in constant memory."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final

from mdm_async.errors import PeerFailed

_GATHERED: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part, by its header fields in lower case."""

    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnds:
    """All bytes of the part that began last have come."""


Event = PartBegins | PartData | PartEnds


class Parts:
    """Of what an archive sends; each must be taken, or passed over, before the next begins.

    What goes wrong on the way raises at whoever waits for it, and ends them all.
    """

    def __init__(self, events: AsyncGenerator[Event, None]) -> None:
        self._events = events

    async def begin(self) -> bool:
        """Whether there is another; what is left of the one before is passed over."""
        async for event in self._events:
            if isinstance(event, PartBegins):
                return True
        return False

    async def data(self) -> AsyncGenerator[bytes, None]:
        """Of the part that has begun; in no smaller pieces than need be, as each costs by itself."""
        gathered = bytearray()
        async for event in self._events:
            match event:
                case PartData(data):
                    gathered += data
                    if len(gathered) >= _GATHERED:
                        yield bytes(gathered)
                        gathered.clear()
                case PartEnds():
                    break
        if gathered:
            yield bytes(gathered)

    async def only(self) -> AsyncGenerator[bytes, None]:
        """The only one there is. Raises PeerFailed when there are none, or more."""
        if not await self.begin():
            raise PeerFailed("the archive's answer has no parts")
        async for piece in self.data():
            yield piece
        if await self.begin():
            raise PeerFailed("the archive sends more than one instance")
