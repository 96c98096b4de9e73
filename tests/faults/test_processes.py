"""One server of several processes: killed one by one, killed altogether, drained; and told apart in its metrics."""

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from tests.faults.conditions import until
from tests.faults.serving import AWAY, Caller, Serve, serving
from tests.postgres.for_tests import postgres_folder

SETTINGS = {
    "blobs__reserve_free": "0",
    "limits__anonymous_rate": "0",
    "log__level": "error",
    "server__processes": "2",
    "server__drain_seconds": "5",
}


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Serve]:
    with postgres_folder() as folder:
        async with serving(folder / "mdm", **SETTINGS) as running:
            yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Each request by a connection of its own, to whichever process takes it."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield session


def _processes(server: Serve) -> dict[int, int]:
    """Their pids, by number, as far as they live."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            words = (stat.parent / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == server.process.pid and b"mdm_async.processes.seated" in words and state != "Z":
            found[len(found) + 1] = int(stat.parent.name)
    return found


async def _stored(caller: Caller, http: aiohttp.ClientSession, surl: str, image: bytes) -> bool:
    """Whether it was acknowledged."""
    try:
        prepared = await caller.srm("prepareToPut", files=[{"surl": surl}])
        async with http.put(prepared["files"][0]["transferURL"], data=BytesIO(image)) as answer:
            if answer.status != 201:
                return False
        done = await caller.srm("putDone", requestToken=prepared["requestToken"], surls=[surl])
    except (*AWAY, KeyError):
        return False
    return bool(done["returnStatus"]["statusCode"] == "SRM_SUCCESS")


async def _answered(http: aiohttp.ClientSession, server: Serve) -> Counter[str]:
    """Requests, by process."""
    async with http.get(f"{server.url}/metrics") as answer:
        text = await answer.text()
    counted: Counter[str] = Counter()
    for process, count in re.findall(r'^mdm_requests_total\{process="(\w+)".*\} ([0-9.e+]+)$', text, re.M):
        counted[process] += int(float(count))
    return counted


async def test_all_of_them_serve_and_are_told_apart(
    server: Serve, http: aiohttp.ClientSession, ct: bytes
) -> None:
    caller = Caller(http, server.url, server.admin_token)
    assert await _stored(caller, http, "/shared.dcm", ct)

    async def both() -> bool:
        await asyncio.gather(*(caller.read("/shared.dcm", "basic") for _ in range(8)))
        answered = await _answered(http, server)
        return answered["1"] > 0 and answered["2"] > 0

    await until(both)


async def test_a_token_that_is_revoked_at_one_is_refused_by_all(
    server: Serve, http: aiohttp.ClientSession
) -> None:
    admin = Caller(http, server.url, server.admin_token)
    made = await admin.post("/admin/v1/tokens", name="worker", rights="rlx")
    worker = {"Authorization": f"Bearer {made['token']}"}

    async def statuses() -> set[int]:
        async def status() -> int:
            async with http.post(f"{server.url}/srm/v2/ls", json={"surls": ["/"]}, headers=worker) as answer:
                return answer.status

        return set(await asyncio.gather(*(status() for _ in range(16))))

    assert await statuses() == {200}
    async with http.delete(
        f"{server.url}/admin/v1/tokens/worker", headers={"Authorization": f"Bearer {server.admin_token}"}
    ) as answer:
        assert answer.status in (200, 204), await answer.text()

    async def refused() -> bool:
        return await statuses() == {401}

    await until(refused)


async def test_one_that_is_killed_is_replaced_and_nothing_is_lost(
    server: Serve, http: aiohttp.ClientSession, ct: bytes
) -> None:
    caller = Caller(http, server.url, server.admin_token)
    stored: list[str] = []

    async def store(worker: int) -> None:
        for number in range(6):
            surl = f"/killed-{worker}-{number}.dcm"
            if await _stored(caller, http, surl, ct):
                stored.append(surl)

    load = asyncio.gather(*(store(worker) for worker in range(4)))
    for victim in (0, 1):
        before = sorted(_processes(server).values())
        assert len(before) == 2
        await asyncio.sleep(0.2)
        os.kill(before[victim], signal.SIGKILL)

        async def replaced(gone: int = before[victim]) -> bool:
            now = _processes(server).values()
            return len(now) == 2 and gone not in now

        await until(replaced)
        await until(lambda: _ready(http, server))
    await load

    async def there() -> bool:
        try:
            for surl in stored:
                await caller.read(surl, "basic")
        except AWAY:
            return False
        return True

    await until(there)
    assert stored
    async with http.get(f"{server.url}/metrics") as answer:
        assert 'mdm_processes_replaced_total{process="supervisor"} 2.0' in await answer.text()


async def _ready(http: aiohttp.ClientSession, server: Serve) -> bool:
    try:
        async with http.get(f"{server.url}/health/ready") as answer:
            return answer.status == 200
    except AWAY:
        return False


async def test_metrics_are_told_while_whoever_keeps_them_stands_still(
    server: Serve, http: aiohttp.ClientSession
) -> None:
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        async with http.get(f"{server.url}/metrics") as answer:
            text = await answer.text()
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert re.search(r'^mdm_requests_total\{process="[12]"', text, re.M)
    assert 'process="supervisor"' not in text


async def test_no_other_server_has_the_directory(server: Serve, tmp_path: Path) -> None:
    other = Serve(server.data, **SETTINGS)
    process = await other.spawn(stderr=subprocess.PIPE)
    _, told = await process.communicate()
    assert process.returncode
    assert b"in use by another mdm server" in told
    assert b"Traceback" not in told


async def test_they_end_with_whoever_keeps_them_and_leave_the_directory(
    server: Serve, http: aiohttp.ClientSession
) -> None:
    caller = Caller(http, server.url, server.admin_token)
    left = _processes(server).values()
    os.kill(hangs := max(left), signal.SIGSTOP)
    server.process.kill()
    await until(lambda: sum(Path(f"/proc/{pid}/cmdline").exists() for pid in left) == 1)
    refused = await Serve(server.data, **SETTINGS).spawn(stderr=subprocess.PIPE)
    assert b"as root tells which of its processes are left" in (await refused.communicate())[1]
    os.kill(hangs, signal.SIGCONT)
    await server.process.wait()
    await until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in left))
    await server.start()
    assert len(await caller.read("/shared.dcm", "basic")) > 0


async def test_a_term_ends_all(server: Serve) -> None:
    """The last: the server is stopped."""
    left = list(_processes(server).values())
    assert await server.stop() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in left)
    assert not (server.data / "admin.sock").exists()


async def test_one_that_does_not_start_ends_the_server(server: Serve) -> None:
    (server.data / "blobs" / "store.id").rename(server.data / "blobs" / "elsewhere")
    process = await Serve(server.data, **SETTINGS).spawn(stderr=subprocess.PIPE)
    _, told = await process.communicate()
    assert process.returncode == 1
    assert b"has no id file" in told
    assert b"process 1 of the server did not start" in told
    assert b"Traceback" not in told
    (server.data / "blobs" / "elsewhere").rename(server.data / "blobs" / "store.id")


async def test_a_port_that_is_taken_is_told(server: Serve) -> None:
    other = Serve(server.data, **SETTINGS)
    with socket.create_server(("127.0.0.1", other.port)):
        process = await other.spawn(stderr=subprocess.PIPE)
        _, told = await process.communicate()
    assert process.returncode
    assert b"cannot listen on" in told
