"""The byte that grid clients send between TLS and HTTP, and what it may begin."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mdm_async.web.http import httpg
from mdm_async.web.http.connections import CUT
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.raw import Line

ASK = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
DELETE = b"DELETE /admin/v1/tokens/none HTTP/1.1\r\nHost: localhost\r\n\r\n"
VERSION_3, VERSION_8 = bytes.fromhex("a003020102"), bytes.fromhex("a003020107")
RSA, NO_ALGORITHM = bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a864886f70d010155")
Connect = Callable[[], AbstractAsyncContextManager[Line]]


@pytest.fixture(scope="module")
async def server(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("httpg")
    host = folder / "host.pem"
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(host)
    host.chmod(0o600)
    dsn = await postgres.fresh_database(migrated)
    sections = {"server": {"tls_cert": host, "tls_key": host}}
    async with running_server(folder / "data", dsn, **sections) as running:
        yield running


@pytest.fixture
def connect(server: Server) -> Connect:
    @asynccontextmanager
    async def connected() -> AsyncIterator[Line]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", server.house.tls_port, ssl=context)
        try:
            yield Line(reader, writer)
        finally:
            writer.transport.abort()

    return connected


def signed(request: bytes, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """A proxy for the key of a request, or for another one."""
    own = ec.generate_private_key(ec.SECP256R1())
    asked = x509.load_der_x509_csr(request)
    assert asked.is_signature_valid
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ada")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(hours=1))
    proxy = builder.public_key(key.public_key() if key else asked.public_key()).sign(own, SHA256())
    return proxy.public_bytes(Encoding.DER)


async def request_of(line: Line) -> bytes:
    """The certificate request that the server sends."""
    line.writer.write(b"D")
    async with asyncio.timeout(PATIENCE):
        head = await line.reader.readexactly(4)
        return head + await line.reader.readexactly(int.from_bytes(head[2:]))


async def answered(line: Line) -> int:
    return (await line.answer())[0]


@pytest.mark.parametrize("begun", [(b"0" + ASK,), (b"0", ASK), (ASK,), (ASK[:1], ASK[1:])], ids=str)
async def test_no_delegation_and_no_httpg_at_all_come_to_http(
    connect: Connect, begun: tuple[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpg, "_ALONE", PATIENCE)
    async with connect() as line:
        for piece in begun:
            line.writer.write(piece)
            await asyncio.sleep(0.01)
        assert await answered(line) == 200
        line.writer.write(ASK)
        assert await answered(line) == 200


@pytest.mark.parametrize("begun", [(DELETE,), (b"D", DELETE[1:]), (b"0", DELETE)], ids=str)
async def test_a_request_that_begins_with_d_is_no_delegation(
    connect: Connect, begun: tuple[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpg, "_ALONE", PATIENCE)
    async with connect() as line:
        for piece in begun:
            line.writer.write(piece)
            await asyncio.sleep(0.01)
        assert await answered(line) == 401


async def test_a_delegated_proxy_is_taken_and_the_request_after_it_answered(connect: Connect) -> None:
    for cut in (0, 1, 2, 3, 500, None):
        async with connect() as line:
            whole = signed(await request_of(line)) + ASK
            line.writer.write(whole[:cut])
            await asyncio.sleep(0.01)
            line.writer.write(whole[cut or 0 :] if cut is not None else b"")
            assert await answered(line) == 200


@pytest.mark.parametrize(
    "proxy",
    [
        lambda request: ASK,
        lambda request: b"\x30\x82\xff\xff",
        lambda request: b"\x30\x84\x7f\xff\xff\xff",
        lambda request: b"\x30\x80" + bytes(100),
        lambda request: b"\x30\x03abc",
        lambda request: request,
        lambda request: signed(request, ec.generate_private_key(ec.SECP256R1())),
        lambda request: signed(request).replace(VERSION_3, VERSION_8),
        lambda request: signed(request).replace(RSA, NO_ALGORITHM),
    ],
    ids=[
        *("http", "large", "huge", "endless", "no certificate", "our request", "another key"),
        *("another version", "an unknown algorithm"),
    ],
)
async def test_what_is_no_proxy_for_our_key_ends_the_connection(
    connect: Connect, proxy: Callable[[bytes], bytes]
) -> None:
    before = CUT.labels("delegation")._value.get()
    async with connect() as line:
        line.writer.write(proxy(await request_of(line)) + ASK)
        with suppress(ConnectionError):
            assert await line.rest() == b""
    assert CUT.labels("delegation")._value.get() == before + 1


@pytest.mark.parametrize("first", [b"1", b"00", b"d\r\n\r\n", b"\0", b"\x16\x03\x01", b"\xff\r\n\r\n"])
async def test_a_wrong_first_byte_is_answered_as_wrong_http(connect: Connect, first: bytes) -> None:
    async with connect() as line:
        line.writer.write(first + ASK)
        assert await answered(line) == 400
        assert await line.rest() == b""


async def test_plain_http_knows_no_such_byte(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.house.port)
    writer.write(b"0" + ASK)
    assert await answered(Line(reader, writer)) == 400
    writer.transport.abort()


async def test_garbage_instead_of_tls_ends_and_is_counted_as_one_refusal_a_minute(server: Server) -> None:
    for garbage in (b"\0" * 1000, b"\xff" * 5, b"\x16\x03\x01\xff\xff" + b"a" * 70_000, b"D", b"0" + ASK):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.house.tls_port)
        writer.write(garbage)
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                await reader.read()
        writer.transport.abort()
    await until(lambda: len(server.house.refusals._counts) > 0)
    assert len([act for act in server.house.refusals._counts if "handshake" in str(act)]) == 1


async def test_a_client_that_goes_away_while_it_delegates_leaves_nothing(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpg, "_ALONE", 0.05)
    async with connect() as line:
        line.writer.write(b"D")
    await asyncio.sleep(0.1)
    async with connect() as line:
        await request_of(line)
    async with connect() as line:
        line.writer.write(b"0" + ASK)
        assert await answered(line) == 200


async def test_one_key_is_made_however_many_delegate_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = [], rsa.generate_private_key

    def counted(*of: int) -> rsa.RSAPrivateKey:
        made.append(of)
        return real(*of)

    monkeypatch.setattr(rsa, "generate_private_key", counted)
    httpg._request.cache_clear()
    sent: list[bytes] = []
    for one in [httpg.Httpg(sent.append, lambda: None) for _ in range(8)]:
        assert one.received(b"D") == b""
    await until(lambda: len(sent) == 8)
    assert (len(made), len(set(sent))) == (1, 1)
