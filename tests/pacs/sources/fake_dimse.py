"""An archive that speaks DIMSE as a test wants: well, badly, late or not at all. Every byte of it can be chosen."""

import asyncio
import io
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pydicom
from pynetdicom.pdu import A_ASSOCIATE_RQ

from tests.pacs.devices import command, p_data

NO_DATA_SET = 0x0101
EXPLICIT = "1.2.840.10008.1.2.1"


@dataclass
class Asked:
    """One association, which somebody else has opened. Contexts by abstract and transfer syntax."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    contexts: dict[tuple[str, str], int] = field(default_factory=dict)
    request: pydicom.Dataset = field(default_factory=pydicom.Dataset)
    context: int = 0

    async def pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", await self.reader.readexactly(6))
        return kind, await self.reader.readexactly(length)

    async def message(self) -> pydicom.Dataset:
        """The next command; its data set is passed over."""
        kind, body = await self.pdu()
        if kind != 4:
            raise ConnectionError
        self.context = body[4]
        self.request = pydicom.dcmread(io.BytesIO(body[6:]), force=True)
        if self.request.CommandDataSetType != NO_DATA_SET:
            while not (await self.pdu())[1][5] & 2:
                pass
        return self.request

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, status: int, data_set: bytes | None = None, *, to: int | None = None) -> None:
        """To the last request, or to one with another message ID."""
        await self.send(self.answering(status, data_set, to=to))

    def answering(self, status: int, data_set: bytes | None = None, *, to: int | None = None) -> bytes:
        said = command(
            AffectedSOPClassUID=self.request.AffectedSOPClassUID,
            CommandField=self.request.CommandField | 0x8000,
            MessageIDBeingRespondedTo=self.request.MessageID if to is None else to,
            CommandDataSetType=NO_DATA_SET if data_set is None else 1,
            Status=status,
        )
        return p_data(self.context, 3, said) + (
            b"" if data_set is None else p_data(self.context, 2, data_set)
        )

    async def begin_store(self, sop_class: str, instance: str, **more: Any) -> int:
        """The context of a C-STORE whose data set is to follow."""
        said = command(
            AffectedSOPClassUID=sop_class,
            AffectedSOPInstanceUID=instance,
            CommandField=1,
            MessageID=77,
            Priority=0,
            CommandDataSetType=1,
            **more,
        )
        context = self.contexts[(sop_class, EXPLICIT)]
        await self.send(p_data(context, 3, said))
        return context

    async def send_data_set(self, context: int, data: bytes, *, whole: bool = True) -> None:
        step = 60_000
        for start in range(0, len(data), step):
            last = whole and start + step >= len(data)
            await self.send(p_data(context, 2 if last else 0, data[start : start + step]))

    async def taken(self) -> int:
        """The status of the C-STORE that it was sent."""
        kind, body = await self.pdu()
        assert kind == 4, kind
        return int(pydicom.dcmread(io.BytesIO(body[6:]), force=True).Status)


Behaviour = Callable[[Asked], Awaitable[None]]


@dataclass
class FakeDimse:
    """`serve` has each association whose request it has accepted; but for classes in `unknown`."""

    serve: Behaviour
    port: int = 0
    unknown: set[str] = field(default_factory=set)
    ended: list[int] = field(default_factory=list)
    """How associations were ended: by the types of their last PDUs, 0 for none."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = Asked(reader, writer)
        try:
            kind, body = await asked.pdu()
            writer.write(self._accept(asked, struct.pack(">BxI", kind, len(body)) + body))
            await self.serve(asked)
            kind, _ = await asked.pdu()
            if kind == 5:
                await asked.send(struct.pack(">BxI4x", 6, 4))
            self.ended.append(kind)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.ended.append(0)
        finally:
            writer.transport.abort()

    def _accept(self, asked: Asked, request: bytes) -> bytes:
        """All contexts, each in its first transfer syntax, and all roles."""
        read = A_ASSOCIATE_RQ()
        read.decode(request)
        body = struct.pack(">HH64x", 1, 0) + _item(0x10, b"1.2.840.10008.3.1.1.1")
        for one in read.presentation_context:
            abstract, syntax = str(one.abstract_syntax), str(one.transfer_syntax[0])
            result = 3 if abstract in self.unknown else 0
            asked.contexts.setdefault((abstract, syntax), one.context_id)
            body += _item(0x21, bytes((one.context_id, 0, result, 0)) + _item(0x40, syntax.encode()))
        user = _item(0x51, (16384).to_bytes(4))
        for uid in read.user_information.role_selection:
            user += _item(0x54, struct.pack(">H", len(uid)) + str(uid).encode() + b"\0\1")
        body += _item(0x50, user)
        return struct.pack(">BxI", 2, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


@asynccontextmanager
async def fake_dimse(serve: Behaviour) -> AsyncIterator[FakeDimse]:
    fake = FakeDimse(serve)
    listening = await asyncio.start_server(fake.handle, "127.0.0.1", 0)
    fake.port = listening.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        listening.close()
