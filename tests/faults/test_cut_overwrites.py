"""An overwrite that is cut, wherever, or whose server is killed: the old file is there, byte for byte."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Server
from tests.faults.conditions import stored, until
from tests.faults.serving import serving
from tests.faults.wire import begun
from tests.web.made_images import made

OLD, NEW = made(), made(pixels=700_000)
EDGES = [edge + beside for edge in (4096, 65_536, 262_144, 524_288) for beside in (-1, 0, 1)]
PLACES = sorted({0, 1, 128, 132, len(NEW) - 1, *EDGES, *range(20_000, len(NEW), len(NEW) // 33)})


async def _url(server: Server, face: str) -> str:
    if face == "dav":
        return f"{server.url}/dav/a.dcm"
    tree = await server.srm("prepareToPut", files=[{"surl": "/a.dcm"}], overwrite=True)
    return str(tree["files"][0]["transferURL"])


@pytest.mark.parametrize("face", ["dav", "transfer URL"])
async def test_the_old_file_stays_wherever_it_is_cut(own_server: Server, face: str) -> None:
    server = own_server
    assert len(PLACES) >= 50
    await server.put("/a.dcm", OLD)
    before = await server.call("GET", "/dav/a.dcm", token=server.admin_token)
    there = await stored(server)
    shown = {"Authorization": f"Bearer {server.admin_token}", "Content_Length": str(len(NEW))}
    for place in PLACES:
        url = await _url(server, face)
        async with begun("PUT", url, **shown) as client:
            await client.send(NEW[:place])
        got = await server.call("GET", "/dav/a.dcm", token=server.admin_token)
        assert (got.body, got.headers["ETag"]) == (before.body, before.headers["ETag"]), place
    await until(lambda: not server.house.admission.receiving)

    async def nothing_more() -> bool:
        return await stored(server) == there

    await until(nothing_more)
    answer = await server.call("PUT", "/dav/a.dcm", token=server.admin_token, data=NEW)
    assert answer.status == 204
    assert await server.read("/a.dcm") != before.body


async def test_the_old_file_stays_where_the_server_is_killed(tmp_path: Path) -> None:
    async with serving(tmp_path / "data", blobs__reserve_free="0", server__tls_port="0") as server:
        shown = {"Authorization": f"Bearer {server.admin_token}"}
        url = f"{server.url}/dav/a.dcm"

        async def read() -> tuple[bytes, str]:
            async with aiohttp.ClientSession() as http, http.get(url, headers=shown) as answer:
                assert answer.status == 200
                return await answer.read(), answer.headers["ETag"]

        async with aiohttp.ClientSession() as http, http.put(url, data=OLD, headers=shown) as answer:
            assert answer.status == 201, await answer.text()
        before = await read()
        for place in (600_000,):
            async with begun("PUT", url, Content_Length=str(len(NEW)), **shown) as client:
                await client.send(NEW[:place])
                await server.kill()
            await server.start()
            assert await read() == before
        async with aiohttp.ClientSession() as http, http.put(url, data=NEW, headers=shown) as answer:
            assert answer.status == 204
        assert await read() != before


async def _in_chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


async def test_empty_and_chunked_uploads_are_answered_and_stored_as_they_were_sent(
    own_server: Server,
) -> None:
    server = own_server
    for face in ("dav", "transfer URL"):
        url = await _url(server, face)
        empty = await server.call("PUT", url, token=server.admin_token, data=b"")
        assert (empty.status, empty.tree["type"]) == (422, "urn:mdm:error:not-dicom")
        assert (await server.call("GET", "/dav/a.dcm", token=server.admin_token)).status == 404
    async with server.http.put(
        f"{server.url}/dav/a.dcm",
        data=_in_chunks(NEW),
        headers={"Authorization": f"Bearer {server.admin_token}"},
    ) as answer:
        assert answer.status == 201
    tree = await server.srm("ls", surls=["/a.dcm"])
    assert tree["files"][0]["size"] == len(NEW)
