"""Associations that this side asks for: with its own listener, with dcmtk, and with peers that do what they may not."""

import asyncio
import shutil
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from pynetdicom.pdu import A_ASSOCIATE_RQ

from mdm_async.dicom.elements import IMPLICIT_LITTLE
from mdm_async.dicom.walking import walk
from mdm_async.pacs.dimse import commands, proposing
from mdm_async.pacs.dimse.commands import C_ECHO, C_STORE, MEDIUM, PRIORITY, VERIFICATION
from mdm_async.pacs.dimse.messages import Aborted, Released
from mdm_async.pacs.dimse.pdus import Broken
from mdm_async.pacs.dimse.proposing import Proposed
from mdm_async.pacs.dimse.requestor import CalledPeer, NoAssociation, Patience, Requestor, associated
from mdm_async.pacs.dimse.wire import Gone, Silent
from tests.conftest import CI
from tests.faults.conditions import until
from tests.pacs.devices import CT, DEVICE, TITLE, Image, Pacs, image
from tests.patience import PATIENCE

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
ECHO, IMAGES = Proposed(VERIFICATION, (IMPLICIT,)), Proposed(CT, (EXPLICIT,))
PATIENT = Patience(opening=PATIENCE, idle=PATIENCE, pace=PATIENCE, slowest=1)
OPENING_SOON = Patience(opening=0.3, idle=PATIENCE, pace=PATIENCE, slowest=1)
ANSWERING_SOON = Patience(opening=PATIENCE, idle=0.3, pace=0.3, slowest=1000)


def peer(port: int, *, title: str = TITLE, own: str = DEVICE) -> CalledPeer:
    return CalledPeer("127.0.0.1", port, title, own)


async def echo(requestor: Requestor) -> int:
    context = requestor.context(VERIFICATION)
    assert context is not None
    id_ = requestor.next_id()
    await requestor.send(context, commands.request(C_ECHO, id_, VERIFICATION))
    _, answer = await requestor.receive()
    assert answer.answered == id_
    return answer.status


async def store(requestor: Requestor, sent: Image, *, step: int = 1000) -> int:
    context = requestor.context(CT, EXPLICIT)
    assert context is not None
    asked = commands.request(
        C_STORE,
        requestor.next_id(),
        CT,
        instance=sent.instance,
        has_data_set=True,
        more={PRIORITY: MEDIUM},
    )

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(sent.data_set), step):
            yield sent.data_set[start : start + step]

    await requestor.send(context, asked, chunks())
    _, answer = await requestor.receive()
    return answer.status


async def test_the_own_listener_answers_and_stores_what_comes_in_pieces(pacs: Pacs) -> None:
    before, sent = await pacs.names(), image()
    async with associated(peer(pacs.port), [ECHO, IMAGES], PATIENT) as requestor:
        assert await echo(requestor) == 0
        assert await store(requestor, sent) == 0
        assert await echo(requestor) == 0
    stored = await pacs.identified(await pacs.new_name(before))
    assert stored.endswith(sent.data_set)


@asynccontextmanager
async def storescp(folder: Path, port: int, *more: str) -> AsyncIterator[None]:
    program = shutil.which("storescp")
    if program is None and CI:
        pytest.fail("storescp is missing: tests/install-peers dcmtk")
    if program is None:
        pytest.skip("PEERS MISSING: storescp (as root: tests/install-peers dcmtk)")
    process = await asyncio.create_subprocess_exec(
        program, "+B", "-aet", TITLE, "-od", str(folder), *more, str(port),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listens)
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("longest", [(), ("-pdu", "4096")])
async def test_dcmtk_has_every_byte_however_much_it_takes_at_once(
    tmp_path: Path, unused_tcp_port: int, longest: tuple[str, ...]
) -> None:
    sent = image(PixelData=bytes(range(256)) * 2000, Rows=1000, Columns=256)
    async with (
        storescp(tmp_path, unused_tcp_port, *longest),
        associated(peer(unused_tcp_port), [IMAGES, ECHO], PATIENT) as requestor,
    ):
        assert await store(requestor, sent, step=70_001) == 0
        assert await echo(requestor) == 0
    (file,) = tmp_path.iterdir()
    assert file.read_bytes().endswith(sent.data_set)


async def test_a_peer_with_tls_is_believed_by_its_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client, stranger = ssl.create_default_context(), ssl.create_default_context()
    authority.configure_trust(client)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(accepting())
        await reader.read(1)
        writer.close()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=server)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        async with associated(CalledPeer("127.0.0.1", port, TITLE, DEVICE, client), [IMAGES], PATIENT) as one:
            assert one.context(CT) is not None
        with pytest.raises(NoAssociation, match="not trusted"):
            async with associated(CalledPeer("127.0.0.1", port, TITLE, DEVICE, stranger), [IMAGES], PATIENT):
                pass


@pytest.mark.parametrize(
    ("called", "own", "why"),
    [
        (TITLE, "NOBODY", "does not know the AE title of this server"),
        ("OTHERS", DEVICE, "has another AE title"),
    ],
)
async def test_who_gives_no_association_tells_why(pacs: Pacs, called: str, own: str, why: str) -> None:
    with pytest.raises(NoAssociation, match=why):
        async with associated(peer(pacs.port, title=called, own=own), [ECHO], PATIENT):
            pass


async def test_nobody_there_is_no_association(unused_tcp_port: int) -> None:
    with pytest.raises(NoAssociation, match="cannot be reached"):
        async with associated(peer(unused_tcp_port), [ECHO], PATIENT):
            pass


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def behaving(how: Behaviour) -> AsyncIterator[int]:
    """The port of a peer that does just that."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await how(reader, writer)
            await ended.wait()
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        ended.set()
        listening.close()


async def asked(reader: asyncio.StreamReader) -> bytes:
    """The next PDU."""
    head = await reader.readexactly(6)
    return head + await reader.readexactly(int.from_bytes(head[2:]))


def accepting(context: int = 1, syntax: str = EXPLICIT, more: bytes = b"") -> bytes:
    """An A-ASSOCIATE-AC; `more`: items of user information."""

    def item(kind: int, value: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(value)) + value

    body = struct.pack(">HH64x", 1, 0) + item(0x10, b"1.2.840.10008.3.1.1.1")
    body += item(0x21, bytes((context, 0, 0, 0)) + item(0x40, syntax.encode()))
    body += item(0x50, item(0x51, (16384).to_bytes(4)) + more)
    return struct.pack(">BxI", 2, len(body)) + body


def says(*parts: bytes) -> Behaviour:
    """To the request, and to whatever comes after."""

    async def how(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            await asked(reader)
            writer.write(part)

    return how


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asked(reader)
    writer.transport.abort()


@pytest.mark.parametrize(
    ("how", "error"),
    [
        (says(), NoAssociation),
        (says(b""), NoAssociation),
        (says(accepting()[:30]), NoAssociation),
        (hangs_up, NoAssociation),
        (says(b"\7\0\0\0\0\4\0\0\0\0"), NoAssociation),
        (says(b"\3\0\0\0\0\4\0\1\3\1"), NoAssociation),
        (says(b"\3\0\0\0\0\0"), Broken),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), NoAssociation),
        (says(b"\2\0\0\0\0\0"), Broken),
        (says(accepting(context=3)), Broken),
        (says(accepting(syntax="1.2.3")), Broken),
        (says(accepting(more=b"\x54\0\0\1x")), Broken),
        (says(accepting()), Silent),
        (says(accepting(), b"\7\0\0\0\0\4\0\0\0\0"), Aborted),
        (says(accepting(), b"\5\0\0\0\0\4\0\0\0\0"), Released),
        (says(accepting(), b"\4\0\0\0\0\1\0"), Broken),
        (says(accepting(), b"\4\0\xff\xff\xff\xff"), Broken),
        (says(accepting(), b"\4\0\0\0\0\x10\0\0\0\x0c\1\3"), Silent),
    ],
)
async def test_whatever_a_peer_does_the_association_ends_with_an_error_that_has_a_name(
    how: Behaviour, error: type[Exception]
) -> None:
    patience = {NoAssociation: OPENING_SOON, Silent: ANSWERING_SOON}.get(error, PATIENT)
    async with behaving(how) as port, asyncio.timeout(PATIENCE):
        with pytest.raises(error):
            async with associated(peer(port), [IMAGES], patience) as requestor:
                await store(requestor, image())


async def test_a_peer_that_takes_nothing_does_not_hold_a_data_set_for_ever() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(accepting())
        reader.feed_data(b"x" * (1 << 20))  # so that no more is read

    async def zeros() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)

    async def send(port: int) -> None:
        async with associated(peer(port), [IMAGES], ANSWERING_SOON) as requestor:
            context = requestor.context(CT)
            assert context is not None
            await requestor.send(context, commands.request(C_STORE, 1, CT, has_data_set=True), zeros())

    async with behaving(deaf) as port, asyncio.timeout(PATIENCE):
        with pytest.raises((Silent, Gone)):
            await send(port)


def test_what_is_proposed_is_read_by_pynetdicom() -> None:
    proposed = [ECHO, Proposed(CT, (EXPLICIT,), scp=True), Proposed(CT, (IMPLICIT,), scp=True)]
    read = A_ASSOCIATE_RQ()
    read.decode(proposing.request("ARCHIVE", TITLE, proposed, 1 << 17))
    assert (read.called_ae_title, read.calling_ae_title) == ("ARCHIVE", TITLE)
    assert [(one.context_id, one.abstract_syntax) for one in read.presentation_context] == [
        (1, VERIFICATION),
        (3, CT),
        (5, CT),
    ]
    (roles,) = read.user_information.role_selection.values()
    assert (roles.sop_class_uid, roles.scu_role, roles.scp_role) == (CT, 0, 1)


def test_a_role_that_the_peer_does_not_agree_to_leaves_no_context() -> None:
    proposed = [Proposed(CT, (EXPLICIT,), scp=True)]
    item = struct.pack(">BxHH", 0x54, len(CT) + 4, len(CT)) + CT.encode()
    for more, agreed in ((b"", False), (item + b"\0\0", False), (item + b"\0\1", True)):
        found = proposing.parse_accept(accepting(more=more)[6:], proposed)
        assert bool(found.contexts) == agreed


def test_a_request_says_what_it_is_told_to() -> None:
    asked = commands.request(0x21, 5, CT, has_data_set=True, more={commands.DESTINATION: TITLE})
    tags = [one.tag for one in walk(asked, 0, len(asked), IMPLICIT_LITTLE)]
    assert tags == [0x0, 0x2, 0x100, 0x110, 0x600, 0x800]
    assert commands.parse(asked) == commands.Command(0x21, 5, CT, "", True, destination=TITLE)


@pytest.mark.parametrize(
    ("says", "tls", "why", "cause"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, "does not speak DICOM", ""),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", True, "does not speak TLS", "without TLS"),
        (b"", True, "ends the connection", "without TLS"),
    ],
)
async def test_a_port_that_speaks_something_else_is_told_as_that(
    says: bytes, tls: bool, why: str, cause: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(says)
        if not says:
            writer.transport.abort()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    context = ssl.create_default_context() if tls else None
    async with listening:
        with pytest.raises(NoAssociation, match=why) as told:
            async with associated(CalledPeer("127.0.0.1", port, TITLE, DEVICE, context), [IMAGES], PATIENT):
                pass
    assert cause in told.value.cause
