"""Client certificates over real TLS: who comes through the handshake, who does not, and what is told of it."""

import asyncio
import io
import socket
import ssl
import subprocess
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web

from mdm_async.errors import Unauthenticated
from mdm_async.identity import peer_chain as peer_chains
from mdm_async.identity.certificates import Trust
from mdm_async.identity.peer_chain import peer_chain
from mdm_async.settings import LimitSettings
from mdm_async.web.http import certificate
from mdm_async.web.http.accepting import TcpSite
from mdm_async.web.http.connection import Connection
from mdm_async.web.http.connections import Connections
from tests.identity.grid_pki import HOUR, VO, dn, name, new_grid
from tests.patience import PATIENCE, PATIENT

ADA = f"dn:{dn('Ada User')}"


class Site:
    """A server that answers with its caller, and what it refused."""

    def __init__(self, grid):
        self.grid, self.refused = grid, asyncio.Queue()
        self.trust = Trust(grid.authorities, grid.vos)
        host = grid.host.write(grid.root / "host.pem")
        self.certificate = certificate.Certificate(host, host, self.trust)
        self.port = 0

    async def answer(self, request):
        try:
            chain = peer_chain(request.transport.get_extra_info("ssl_object"))
            found = self.trust.caller(chain) if chain else None
        except Unauthenticated as why:
            return web.Response(status=401, text=str(why))
        body = await request.read()
        return web.json_response(
            {
                "caller": found and found.name,
                "principals": sorted(found.principals) if found else [],
                "bytes": len(body),
                "tls": request.transport.get_extra_info("sslcontext") is not None,
                "from": request.remote,
                "reused": request.transport.get_extra_info("ssl_object").session_reused,
            }
        )

    def client(self, identity=None, version=None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.grid.authority.chain[0])
        if identity is not None:
            context.load_cert_chain(identity.write(self.grid.root / "client.pem"))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    async def ask(self, identity=None, **options):
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"https://localhost:{self.port}/", ssl=self.client(identity), **options) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def answer_to(self, identity) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"https://localhost:{self.port}/", ssl=self.client(identity)) as answer,
        ):
            return answer.status, await answer.text()

    async def refusal(self, identity) -> str:
        """What the server says of a client that does not get through the handshake."""
        with pytest.raises((aiohttp.ClientError, OSError)):
            await self.ask(identity)
        source, reason = await asyncio.wait_for(self.refused.get(), PATIENCE)
        assert source == "127.0.0.1"
        return reason


@asynccontextmanager
async def running(grid, limits=LimitSettings(**PATIENT["limits"])):  # noqa: B008 - frozen
    site = Site(grid)
    site.limits = limits
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/", site.answer)
    runner = web.AppRunner(app, access_log=None, max_head=1 << 16)
    await runner.setup()
    connections = Connections(
        site.limits,
        most=100,
        slowest=1000,
        make=lambda keeper, source: Connection(
            keeper, source, runner.server, access_log=None, max_head=1 << 16
        ),
    )
    watching = asyncio.create_task(connections.watch())
    listening = TcpSite(
        runner,
        "127.0.0.1",
        0,
        connections,
        context=lambda: site.certificate.context,
        refused=lambda *refused: site.refused.put_nowait(refused),
    )
    await listening.start()
    site.port = runner.addresses[0][1]
    site.listening, site.connections = listening, connections
    try:
        yield site
    finally:
        watching.cancel()
        await runner.cleanup()
        await connections.end()


@pytest.fixture
def grid(tmp_path):
    return new_grid(tmp_path)


@pytest.fixture
async def site(grid):
    async with running(grid) as site:
        yield site


async def test_who_shows_no_certificate_is_nobody(site):
    assert (await site.ask())["caller"] is None


async def test_a_user_and_a_voms_proxy_are_called_by_name(site, grid):
    found = await site.ask(grid.user)
    assert (found["caller"], found["tls"], found["from"]) == (ADA, True, "127.0.0.1")
    proxy = grid.voms_proxy(fqans=[f"/{VO}/study/Role=reader"])
    assert f"fqan:/{VO}/study/Role=reader" in (await site.ask(proxy))["principals"]
    assert (await site.ask(proxy.proxy("3", key_number=8)))["caller"] == ADA


async def test_large_bodies_come_through(site, grid):
    assert (await site.ask(grid.user, data=io.BytesIO(bytes(32 << 20))))["bytes"] == 32 << 20


async def test_a_connection_serves_many_requests(site, grid):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
        context = site.client(grid.user)
        for _ in range(5):
            async with http.post(f"https://localhost:{site.port}/", ssl=context) as answer:
                assert (await answer.json())["caller"] == ADA


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda grid: grid.authority.issue(name("Old"), start=-2 * HOUR, end=-HOUR), "has expired"),
        (lambda grid: grid.authority.issue(name("New"), start=HOUR), "not yet valid"),
        (lambda grid: grid.user.proxy(start=-2 * HOUR, end=-HOUR), "has expired"),
        (lambda grid: grid.new_authority("Other", key_number=5).issue(name("Ada User")), "unknown authority"),
        (lambda grid: grid.user.proxy("1", path_length=0).proxy("2", key_number=8), "may not sign proxies"),
        (lambda grid: grid.proxy_of_the_tools("-old"), "no authority"),
        (lambda grid: grid.new_authority("Test CA", key_number=5).issue(name("Ada User")), "bad signature"),
    ],
    ids=["expired", "coming", "expired proxy", "unknown", "path length", "legacy", "false authority"],
)
async def test_what_the_handshake_refuses_is_told_with_its_reason(site, grid, make, reason):
    assert reason in await site.refusal(make(grid))
    assert (await site.ask(grid.user))["caller"] == ADA


async def test_no_tls_at_all_is_told_and_a_client_that_leaves_is_not(site):
    _, leaver = await asyncio.open_connection("127.0.0.1", site.port)
    leaver.close()
    await leaver.wait_closed()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await reader.read()
    writer.close()
    assert await asyncio.wait_for(site.refused.get(), PATIENCE) == ("127.0.0.1", "the TLS handshake failed")
    assert site.refused.empty()


def _resuming(site, version, identity):
    """Two connections of one client, the second in the first one's session; the answers, and if it was resumed."""
    context, session, seen = site.client(identity, version), None, []
    for _ in range(2):
        with (
            socket.create_connection(("127.0.0.1", site.port), timeout=PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as secure,
        ):
            secure.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := secure.recv(65536):
                answer += part
            session = secure.session
            seen.append((answer, secure.session_reused))
            # A session whose connection just ends is not resumed.
            secure.unwrap().close()
    return seen


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_session_has_the_chain_that_it_began_with(site, grid, version):
    (_, _), (answer, resumed) = await asyncio.to_thread(_resuming, site, version, grid.user)
    assert resumed
    assert ADA.encode() in answer


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_resumed_without_its_chain_is_refused(site, grid, version, monkeypatch):
    monkeypatch.setattr(peer_chains, "_REMEMBERED_BYTES", 0)
    (_, _), (answer, resumed) = await asyncio.to_thread(_resuming, site, version, grid.user)
    assert resumed
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"resumed without its certificate chain; connect anew" in answer


async def test_what_is_remembered_of_chains_is_bounded_in_bytes(site, grid, monkeypatch):
    room = 3 * sum(map(len, grid.user.proxy().chain))
    monkeypatch.setattr(peer_chains, "_REMEMBERED_BYTES", room)
    for number in range(8):
        assert (await site.ask(grid.user.proxy(str(number))))["caller"] == ADA
    assert 0 < peer_chains._seen[site.certificate.context].size <= room


async def test_no_session_is_handed_out_for_the_client_to_keep(site, grid, monkeypatch):
    """What TLS 1.3 calls a ticket is here only a number, known to this server's memory and gone with its context."""
    begun = await asyncio.to_thread(_resuming, site, ssl.TLSVersion.TLSv1_3, grid.user)
    assert [resumed for _, resumed in begun] == [False, True]
    context = site.certificate.context
    assert context.options & ssl.OP_NO_TICKET
    assert context.num_tickets == 1
    fresh = iter([context, site.certificate._fresh()])
    site.listening._accepting._context = lambda: next(fresh)
    begun = await asyncio.to_thread(_resuming, site, ssl.TLSVersion.TLSv1_3, grid.user)
    assert [resumed for _, resumed in begun] == [False, False]
    assert ADA.encode() in begun[1][0]


async def test_rotation_needs_no_restart(site, grid, monkeypatch):
    monkeypatch.setattr(certificate, "INTERVAL", 0.02)
    monkeypatch.setattr("mdm_async.identity.certificates._LOOKED_AT_EVERY", 0.02)
    other = grid.new_authority("Other CA", key_number=5)
    bob = other.issue(name("Bob User"), 6)
    assert "unknown authority" in await site.refusal(bob)
    async with asyncio.TaskGroup() as group:
        watches = [group.create_task(site.trust.watch()), group.create_task(site.certificate.watch())]

        async def taken_up(change: Callable[[], object]) -> None:
            before, context = site.trust.generation, site.certificate.context
            change()
            while site.trust.generation == before or site.certificate.context is context:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        await taken_up(lambda: other.trust(dn("Bob*")))
        # The certificate may be seen before its signing policy.
        while (await site.answer_to(bob))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await taken_up(lambda: other.revoke([bob]))
        assert "revoked" in (await site.answer_to(bob))[1]
        await taken_up(lambda: grid.lsc(dn("other"), dn("Test CA")))
        assert "LSC" in (await site.answer_to(grid.voms_proxy()))[1]
        await taken_up(lambda: (grid.authorities / f"{other.hash}.0").unlink())
        assert "unknown authority" in await site.refusal(bob)
        for watch in watches:
            watch.cancel()


async def test_stopping_drops_those_who_shake_hands_and_leaves_nothing(grid):
    async with running(grid) as site:
        idle = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(20)]
        assert (await site.ask(grid.user))["caller"] == ADA
        assert len(site.listening._accepting._opening) == 20
    assert not site.listening._accepting._opening
    assert not site.connections._all
    for reader, writer in idle:
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


async def test_who_only_connects_keeps_nobody_out(site, grid):
    """Connections are bounded in number; the oldest that has not come to a request gives way."""
    site.connections.most = 4
    idle = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(10)]
    assert (await site.ask(grid.user))["caller"] == ADA
    assert len(site.connections._all) <= 4
    with suppress(ConnectionError):
        assert await idle[0][0].read() == b""
    for _, writer in idle:
        writer.close()


async def test_a_handshake_has_its_time_and_no_more(grid):
    async with running(grid, LimitSettings(head_seconds=0.2)) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


async def test_a_burst_of_clients_is_served(site, grid):
    found = await asyncio.gather(*(site.ask(grid.user) for _ in range(30)))
    assert {one["caller"] for one in found} == {ADA}


async def test_curl_comes_through_with_a_proxy(site, grid):
    proxy = grid.proxy_of_the_tools().write(grid.root / "curl.pem")
    authority = grid.authority.write(grid.root / "authority.pem")
    url = f"https://localhost:{site.port}/"
    command = [
        "curl",
        "-sS",
        "--cacert",
        authority,
        "--cert",
        proxy,
        "-d",
        "",
        "-H",
        "Connection: close",
        url,
        url,
    ]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True, timeout=60)
    assert done.stdout.count(ADA.encode()) == 4, done.stdout
