"""The socket in the data directory: who may use it, what it is for, and how it comes and goes."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from mdm_async.client import Client
from mdm_async.errors import Unavailable, UnsafeSettings
from tests.conftest import Server, running_server
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

_AS_ANOTHER = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
line.sendall(b"POST /srm/v2/ls HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\nContent-Length: 15\\r\\n\\r\\n"
    b'{"surls":["/"]}')
answer = b""
while chunk := line.recv(65536):
    answer += chunk
sys.stdout.buffer.write(answer)
"""


class Line:
    """Requests over the socket."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        url = f"http://localhost{path}"
        async with self._session.request(method, url, json=body, headers=headers) as answer:
            return answer.status, await answer.json()


async def line_to(data: Path) -> AsyncIterator[Line]:
    descriptor = os.open(data, os.O_PATH)
    try:
        connector = aiohttp.UnixConnector(f"/proc/self/fd/{descriptor}/admin.sock")
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Line(session)
    finally:
        os.close(descriptor)


@pytest.fixture
async def line(server: Server) -> AsyncIterator[Line]:
    async for line in line_to(server.data):
        yield line


@pytest.fixture
def passable_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mdm-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def test_only_the_servers_user_may_use_it(server: Server) -> None:
    facts = (server.data / "admin.sock").stat()
    assert stat.S_ISSOCK(facts.st_mode)
    assert stat.S_IMODE(facts.st_mode) == 0o600
    assert facts.st_uid == os.geteuid()


async def test_whoever_connects_is_the_administrator_and_the_audit_says_by_which_way(
    server: Server, line: Line
) -> None:
    path = await server.directory()
    status, _ = await line.call("POST", "/srm/v2/mkdir", {"surl": f"{path}/below"})
    assert status == 200
    _, told = await line.call("POST", "/admin/v1/audit/show", {"last": 20, "act": "mkdir"})
    row = told["rows"][-1]
    assert (row["caller"], row["source"], row["lfn"]) == ("user:admin", "socket", f"{path}/below")


async def test_who_shows_a_token_gets_what_the_token_gives_and_no_more(server: Server, line: Line) -> None:
    bearer = f"Bearer {await server.token('l', '/')}"
    assert (await line.call("GET", "/admin/v1/tokens", Authorization=bearer))[0] == 403
    assert (await line.call("GET", "/admin/v1/tokens", Authorization="Bearer none"))[0] == 401


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_refused_even_if_the_mode_lets_him_in(
    postgres: PostgresForTests, migrated: str, passable_folder: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    data = passable_folder / "data"
    async with running_server(data, dsn):
        (data / "admin.sock").chmod(0o666)
        data.chmod(0o711)
        asked = [sys.executable, "-c", _AS_ANOTHER, str(data / "admin.sock")]

        def run(user: int) -> bytes:
            return subprocess.run(
                [*asked, str(user)], capture_output=True, check=True, timeout=PATIENCE
            ).stdout

        assert b"HTTP/1.1 403" in await asyncio.to_thread(run, 65534)
        assert b"HTTP/1.1 200" in await asyncio.to_thread(run, 0)


async def test_it_counts_as_secure_whatever_the_public_url_says(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    public = {"public_url": "https://mdm.example.org", "port": 0, "tls_port": 0}
    async with running_server(tmp_path / "data", dsn, server=public) as server:
        async for line in line_to(server.data):
            body = {"surls": ["/"]}
            assert (await line.call("POST", "/srm/v2/ls", body))[0] == 200
            bearer = {"Authorization": f"Bearer {server.admin_token}"}
            assert (await line.call("POST", "/srm/v2/ls", body, **bearer))[0] == 200
            _, told = await line.call("POST", "/srm/v2/prepareToPut", {"files": [{"surl": "/a.dcm"}]})
            assert told["files"][0]["transferURL"].startswith("http://localhost/t/")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_what_a_proxy_passes_on_to_it_came_by_no_secure_channel(
    server: Server, line: Line, header: str
) -> None:
    forwarded = {header: "203.0.113.9"}
    bearer = {"Authorization": f"Bearer {server.admin_token}"}
    for credential in ({}, bearer):
        status, told = await line.call("POST", "/srm/v2/ls", {"surls": ["/"]}, **forwarded, **credential)
        assert status == 403
        assert "passed on to the socket" in told["returnStatus"]["explanation"]
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made())
    prepared = await server.srm("prepareToGet", files=[{"surl": surl}])
    path = urlsplit(prepared["files"][0]["transferURL"]).path
    status, told = await line.call("GET", path, **forwarded)
    assert (status, told["type"]) == (403, "urn:mdm:error:insecure-channel")


async def test_what_a_killed_server_left_is_replaced_and_nothing_is_left_at_the_end(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = await postgres.fresh_database(migrated)
    data = tmp_path / ("long" * 30) / "data"
    data.mkdir(parents=True, mode=0o700)
    monkeypatch.chdir(data)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("admin.sock")
    async with running_server(data, dsn):
        async for line in line_to(data):
            assert (await line.call("GET", "/health/ready"))[0] == 200
    assert not (data / "admin.sock").exists()


async def test_what_is_no_socket_is_left_alone(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    (tmp_path / "admin.sock").write_text("precious")
    with pytest.raises(UnsafeSettings, match="not a socket"):
        async with running_server(tmp_path, dsn):
            pass
    assert (tmp_path / "admin.sock").read_text() == "precious"


async def test_a_second_server_leaves_the_firsts_alone(server: Server, line: Line) -> None:
    with pytest.raises(Unavailable, match="in use by another"):
        async with running_server(server.data, server.dsn):
            pass
    assert (await line.call("GET", "/health/ready"))[0] == 200


async def test_it_is_told_as_the_credential(line: Line) -> None:
    _, told = await line.call("POST", "/admin/v1/whoami", {"surl": "/"})
    assert (told["name"], told["credential"], told["until"]) == ("user:admin", "socket", None)


async def test_clients_with_much_to_do_side_by_side_are_all_let_in(server: Server) -> None:
    path = await server.directory()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(data=server.data)) for _ in range(3)]
        await asyncio.gather(*(clients[n % 3].mkdir(f"{path}/{n}") for n in range(200)))
        assert len([entry async for entry in clients[0].ls(path)]) == 200
