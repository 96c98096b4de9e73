"""Messages into P-DATA-TF: commands, and data sets as they come, in constant memory and at a pace."""

from collections.abc import AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass

from mdm_async.pacs.dimse.messages import LONGEST
from mdm_async.pacs.dimse.pdus import command_data, data_set_data
from mdm_async.pacs.dimse.wire import Wire


@dataclass(frozen=True, slots=True)
class Speaker:
    """What is said in an association. `longest`: bytes of a PDU's variable field that the peer takes; 0: any."""

    wire: Wire
    longest: int

    async def say(
        self, context: int, command: bytes, data_set: AsyncIterable[bytes | memoryview] | None = None
    ) -> None:
        """Raises Silent, Gone, and what `data_set` does."""
        await self.wire.send(command_data(context, command, self.longest))
        if data_set is not None:
            most = min(self.longest or LONGEST, LONGEST)
            async with aclosing(data_set_data(context, data_set, most)) as pdus:
                async for pdu in pdus:
                    await self.wire.send(pdu, paced=True)


async def whole(data_set: bytes) -> AsyncIterable[bytes]:
    """A data set that is there already."""
    yield data_set
