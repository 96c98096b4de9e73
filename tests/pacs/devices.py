"""Devices as tests have them: dcmtk's storescu, pynetdicom's AE, and one that sends whatever bytes it likes."""

import asyncio
import io
import os
import shutil
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ
from pynetdicom.presentation import build_context

from tests.conftest import CI, Server, running_server

TITLE, DEVICE = "MDM", "STORESCU"
CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
SAMPLES = Path(pydicom.data.__file__).parent / "test_files"


def calling(ae: str = DEVICE, directory: str = "/pacs", **more: Any) -> dict[str, Any]:
    return {"ae": ae, "hosts": ["127.0.0.1"], "directory": directory} | more


CALLING = (
    calling(),
    calling("OTHER", "/pacs"),
    calling("ONE", "/one", associations=1),
    calling("OWNED", "/owned", principal="user:ct"),
    calling("NORTH", "/issued", issuer="NORTH"),
    calling("FAR", "/far", hosts=["192.0.2.0/24"], plain=True),
)


@dataclass
class Pacs:
    """A running server with its port for devices, and the means to look at what they pushed."""

    server: Server
    devices: list["Device"] = field(default_factory=list)
    _token: str | None = field(default=None)

    @property
    def port(self) -> int:
        port = self.server.house.pacs_port
        assert port is not None
        return port

    async def dcmtk(
        self, program: str, *more: str, ae: str = DEVICE, called: str = TITLE, before: Sequence[str] = ()
    ) -> tuple[int, str]:
        """The exit code of `echoscu` or `storescu`, and what it said."""
        found = shutil.which(program)
        if found is None and CI:
            pytest.fail(f"{program} is missing: tests/install-peers dcmtk")
        if found is None:
            pytest.skip(f"PEERS MISSING: {program} (as root: tests/install-peers dcmtk)")
        process = await asyncio.create_subprocess_exec(
            found, "-v", *before, "-aet", ae, "-aec", called, "127.0.0.1", str(self.port), *more,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode()

    async def names(self, directory: str = "/pacs") -> list[str]:
        """LFNs of all files below."""
        async with self.server.house.database.acquire() as db:
            rows = await db.fetch(
                "with recursive e (id, lfn, image) as ("
                " select id, '' collate \"C\", image from entries where parent is null union all"
                " select c.id, e.lfn || '/' || c.name, c.image from entries c join e on c.parent = e.id)"
                " select lfn from e where image is not null and lfn like $1 || '/%' order by lfn",
                directory,
            )
        return [row["lfn"] for row in rows]

    async def identified(self, lfn: str) -> bytes:
        if self._token is None:
            self._token = await self.server.token("rli", "/", views=["identified"])
        return await self.server.read(f"/@identified{lfn}", token=self._token)

    async def new_name(self, before: Sequence[str], directory: str = "/pacs") -> str:
        (name,) = set(await self.names(directory)) - set(before)
        return name

    async def lose(self, instance: str) -> None:
        """Its pixels are gone from the store."""
        house = self.server.house
        digest = house.workshop.blind.digest(0x00080018, instance)
        async with house.database.acquire() as db:
            (lost,) = await db.fetch(
                "select p.blob from blind_values v join parts p using (image)"
                " where v.tag = $1 and v.blind = $2 and p.blob is not null",
                0x00080018,
                digest,
            )
        await house.blobs.delete(lost["blob"])
        self.server.cool()

    async def connect(self) -> "Device":
        device = Device(*await asyncio.open_connection("127.0.0.1", self.port))
        self.devices.append(device)
        return device

    def close(self) -> None:
        """Whatever devices a test has left."""
        for device in self.devices:
            device.close()
        self.devices.clear()


@asynccontextmanager
async def pacs_server(data: Path, dsn: str, **sections: dict[str, Any]) -> AsyncIterator[Pacs]:
    own = {"port": 0, "calling": CALLING} | sections.pop("pacs", {})
    async with running_server(data, dsn, delivery={"identified": "clear"}, pacs=own, **sections) as server:
        pacs = Pacs(server)
        try:
            yield pacs
        finally:
            pacs.close()


@dataclass(frozen=True)
class Image:
    """A file of one's own, and its data set as it goes over the wire."""

    file: bytes

    @cached_property
    def read(self) -> pydicom.FileDataset:
        return pydicom.dcmread(io.BytesIO(self.file))

    @property
    def data_set(self) -> bytes:
        return data_set(self.file)

    @property
    def instance(self) -> str:
        return str(self.read.SOPInstanceUID)

    def at(self, folder: Path) -> str:
        path = folder / f"{os.urandom(4).hex()}.dcm"
        path.write_bytes(self.file)
        return str(path)


def image(sample: str = "CT_small.dcm", **attributes: Any) -> Image:
    """One of pydicom's files as a new instance; `attributes` differ."""
    made = pydicom.dcmread(SAMPLES / sample)
    made.SOPInstanceUID = generate_uid()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    written = io.BytesIO()
    made.save_as(written, enforce_file_format=True)
    return Image(written.getvalue())


def large() -> dict[str, Any]:
    """Attributes of an image whose pixels are a file of the store."""
    return {"Rows": 512, "Columns": 512, "PixelData": os.urandom(2 * 512 * 512)}


def data_set(file: bytes) -> bytes:
    """What follows preamble and file meta information."""
    length = int.from_bytes(file[140:144], "little")
    return file[144 + length :]


@dataclass
class Device:
    """A device of which every byte can be chosen."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def pdu(self) -> tuple[int, bytes]:
        """Type and variable field of the next PDU; (0, b"") when the connection ends first."""
        try:
            kind, length = struct.unpack(">BxI", await self.reader.readexactly(6))
            return kind, await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""

    async def ask(
        self, *, called: str = TITLE, ae: str = DEVICE, contexts: Any = None, more: Sequence[Any] = ()
    ) -> tuple[int, bytes]:
        """Ask for an association, by default for CT images; the answer. `more`: of user information."""
        await self.send(request(called, ae, contexts, more))
        return await self.pdu()

    async def associate(self, **how: Any) -> "Device":
        kind, _ = await self.ask(**how)
        assert kind == 2, kind
        return self

    async def store(self, image: Image, *, context: int = 1, sop_class: str = CT, instance: str = "") -> int:
        """The status."""
        await self.send(p_data(context, 3, store_command(instance or image.instance, sop_class)))
        await self.send_data_set(image.data_set, context)
        return await self.status()

    async def send_data_set(self, data: bytes, context: int = 1, *, whole: bool = True) -> None:
        step = 60_000
        for start in range(0, len(data), step):
            last = whole and start + step >= len(data)
            await self.send(p_data(context, 2 if last else 0, data[start : start + step]))

    async def status(self) -> int:
        kind, body = await self.pdu()
        assert kind == 4, (kind, body)
        told = pydicom.dcmread(io.BytesIO(body[6:]), force=True)
        return int(told[0x00000900].value)

    async def comment(self) -> str:
        kind, body = await self.pdu()
        assert kind == 4
        return str(pydicom.dcmread(io.BytesIO(body[6:]), force=True)[0x00000902].value)

    async def release(self) -> None:
        await self.send(struct.pack(">BxI4x", 5, 4))
        assert (await self.pdu())[0] == 6
        self.close()

    def close(self) -> None:
        self.writer.transport.abort()


def request(called: str = TITLE, ae: str = DEVICE, contexts: Any = None, more: Sequence[Any] = ()) -> bytes:
    """An A-ASSOCIATE-RQ, by pynetdicom."""
    from pynetdicom.pdu import A_ASSOCIATE_RQ
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        ImplementationClassUIDNotification,
        MaximumLengthNotification,
    )

    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.called_ae_title, asked.calling_ae_title = called, ae
    asked.called_presentation_address = asked.calling_presentation_address = None
    longest, own = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = 16384
    own.implementation_class_uid = "1.2.3.4"
    asked.user_information = [longest, own, *more]
    wanted = contexts or [(CT, [ExplicitVRLittleEndian])]
    made = [build_context(abstract, syntaxes) for abstract, syntaxes in wanted]
    for number, context in enumerate(made):
        context.context_id = 2 * number + 1
    asked.presentation_context_definition_list = made
    return bytes(A_ASSOCIATE_RQ(asked).encode())


def accepted(body: bytes) -> dict[int, tuple[int, str]]:
    """Result and transfer syntax of each presentation context, as pynetdicom reads it."""
    answer = A_ASSOCIATE_AC()
    answer.decode(struct.pack(">BxI", 2, len(body)) + body)
    return {one.context_id: (one.result, str(one.transfer_syntax)) for one in answer.presentation_context}


def rejected(body: bytes) -> tuple[int, int, int]:
    answer = A_ASSOCIATE_RJ()
    answer.decode(struct.pack(">BxI", 3, len(body)) + body)
    return answer.result, answer.source, answer.reason_diagnostic  # type: ignore[return-value]


def p_data(context: int, control: int, data: bytes) -> bytes:
    pdv = struct.pack(">IBB", len(data) + 2, context, control) + data
    return struct.pack(">BxI", 4, len(pdv)) + pdv


def command(**elements: Any) -> bytes:
    """A command set, by pynetdicom's C-STORE-RQ."""
    from pynetdicom.dsutils import encode

    message = C_STORE_RQ()
    for keyword, value in elements.items():
        message.command_set[keyword] = DataElement(
            keyword, dictionary_VR(keyword), value, validation_mode=IGNORE
        )
    for one in list(message.command_set):
        if one.is_empty:
            del message.command_set[one.tag]
    length = len(encode(message.command_set, True, True) or b"") - 12
    message.command_set.CommandGroupLength = length
    return bytes(encode(message.command_set, True, True) or b"")


def store_command(instance: str, sop_class: str = CT) -> bytes:
    return command(
        AffectedSOPClassUID=sop_class,
        AffectedSOPInstanceUID=instance,
        CommandField=1,
        MessageID=7,
        Priority=0,
        CommandDataSetType=1,
    )


def echo_command() -> bytes:
    return command(
        AffectedSOPClassUID=VERIFICATION, CommandField=0x30, MessageID=3, CommandDataSetType=0x0101
    )
