"""What passes on one connection: 100-continue, keep-alive after errors, broken transfers, odd requests."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import orjson
import pytest

from tests.conftest import Server
from tests.patience import PATIENCE
from tests.web.made_images import made
from tests.web.raw import connected


def put(path: str, size: int, *, expect: str = "100-continue") -> str:
    return f"PUT {path} HTTP/1.1\nHost: localhost\nContent-Length: {size}\nExpect: {expect}"


async def upload_path(server: Server, **options: object) -> tuple[str, str]:
    """The path of a write transfer URL, and its request token."""
    surl = f"{await server.directory()}/a.dcm"
    prepared = await server.srm("prepareToPut", files=[{"surl": surl, **options}])
    return prepared["files"][0]["transferURL"].removeprefix(server.url), prepared["requestToken"]


async def test_100_continue_comes_once_the_upload_is_admitted(server: Server, ct: bytes) -> None:
    path, _ = await upload_path(server)
    async with connected(server) as line:
        await line.send(put(path, len(ct)))
        assert (await line.head())[0] == 100
        line.writer.write(ct)
        status, headers, body = await line.answer()
        assert status == 201
        assert orjson.loads(body)["size"] == len(ct)
        # The connection goes on.
        await line.send("GET /health/live HTTP/1.1\nHost: localhost")
        assert (await line.answer())[0] == 200
        assert "x-request-id" in headers


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda text: text.replace("/t/", "/t/x"), 410),
        (lambda text: text.replace("Content-Length: 10", f"Content-Length: {1 << 50}"), 413),
        (lambda text: text + "\nContent-Range: bytes 0-9/100", 400),
        (lambda text: text.replace("100-continue", "200-ok"), 417),
    ],
    ids=["unknown URL", "too large", "in pieces", "another expectation"],
)
async def test_what_cannot_be_taken_is_refused_before_it_is_sent(
    server: Server, change: Callable[[str], str], status: int
) -> None:
    path, _ = await upload_path(server)
    async with connected(server) as line:
        await line.send(change(put(path, 10)))
        got, headers, _ = await line.answer()
        assert got == status
        # Whether a body follows is the client's choice, so the connection cannot be used any further.
        assert headers["connection"] == "close"


async def test_an_aborted_upload_gets_no_100(server: Server) -> None:
    path, request = await upload_path(server)
    await server.srm("abortRequest", requestToken=request)
    async with connected(server) as line:
        await line.send(put(path, 10))
        assert (await line.answer())[0] == 410


async def test_a_read_url_takes_no_upload(server: Server, ct: bytes) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, ct)
    line = await server.prepare(surl)
    assert (await server.call("PUT", line["transferURL"], data=ct)).status == 410


async def test_a_write_url_gives_nothing(server: Server) -> None:
    path, _ = await upload_path(server)
    assert (await server.call("GET", path)).status == 410


async def test_a_draining_server_takes_no_upload(own_server: Server) -> None:
    path, _ = await upload_path(own_server)
    own_server.house.draining = True
    async with connected(own_server) as line:
        await line.send(put(path, 10))
        status, headers, _ = await line.answer()
        assert status == 429
        assert headers["retry-after"]
    assert (await own_server.call("GET", "/health/ready")).status == 503
    assert (await own_server.call("GET", "/health/live")).status == 200


async def test_a_connection_survives_errors(server: Server) -> None:
    async with connected(server) as line:
        requests = [
            ("GET /t/unknown/image.dcm HTTP/1.1", b"", 410),
            ("HEAD /t/unknown/image.dcm HTTP/1.1", b"", 410),
            ("GET /nowhere HTTP/1.1", b"", 404),
            ("DELETE /health/live HTTP/1.1", b"", 405),
            ("POST /srm/v2/ls HTTP/1.1\nContent-Length: 3", b"xyz", 400),
            ("POST /srm/v2/ls HTTP/1.1\nAuthorization: Bearer wrong\nContent-Length: 2", b"{}", 401),
            (f"POST /srm/v2/ls HTTP/1.1\nAuthorization: Bearer {server.admin_token}\nContent-Length: 1", b"{", 400),
            ("PUT /t/unknown/image.dcm HTTP/1.1\nContent-Length: 5", b"12345", 410),
            ("GET /health/live HTTP/1.1", b"", 200),
        ]  # fmt: skip
        for text, body, expected in requests:
            await line.send(f"{text}\nHost: localhost", body)
            status, headers = await line.head()
            if not text.startswith("HEAD"):
                await line.reader.readexactly(int(headers["content-length"]))
            assert status == expected, text
            assert headers.get("connection") != "close"
            assert headers["x-request-id"]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("GET /metrics HTTP/1.1\nHost: [", 200),
        ("POST /srm/v2/ping HTTP/1.1\nHost: [\nAuthorization: Bearer x", 403),
        ("POST /srm/v2/ping HTTP/1.1\nHost: localhost:x:y\nAuthorization: Bearer x", 401),
        ("POST /srm/v2/ping HTTP/1.1\nHost: localhost\nAuthorization: Bearer \udcff\udcfe", 401),
        ("POST /srm/v2/ping HTTP/1.1\nHost: localhost\nAuthorization: Basic eA==", 401),
        ("POST /srm/v2/ping HTTP/1.1\nHost: localhost\nAuthorization: Bearer", 401),
        ("POST /srm/v2/ping HTTP/1.0\nAuthorization: Bearer x", 403),
        ("GET /t/%00/x HTTP/1.1\nHost: localhost", 410),
        ("GET /t/%ff/x HTTP/1.1\nHost: localhost", 410),
        ("GET /t/\udcff/x HTTP/1.1\nHost: localhost", 400),
        ("DELETE /admin/v1/tokens/%00 HTTP/1.1\nHost: localhost\nAuthorization: Bearer ADMIN", 404),
        ("DELETE /admin/v1/tokens/%ff HTTP/1.1\nHost: localhost\nAuthorization: Bearer ADMIN", 404),
    ],
)
async def test_odd_bytes_are_answered_like_any_other_mistake(
    server: Server, head: str, expected: int
) -> None:
    async with connected(server) as line:
        await line.send(head.replace("ADMIN", server.admin_token) + "\nContent-Length: 0")
        assert (await line.answer())[0] == expected


async def test_an_upload_in_a_content_encoding_is_not_taken_for_the_file(server: Server, ct: bytes) -> None:
    path, _ = await upload_path(server)
    headers = {"Content-Encoding": "gzip"}
    assert (await server.call("PUT", path, data=b"not gzip", headers=headers)).status == 415
    assert (await server.call("PUT", path, data=ct)).status == 201


async def test_a_damaged_blob_is_a_server_error_or_a_cut_never_wrong_bytes(own_server: Server) -> None:
    """What opens before the first damage may leave; what does not open never does."""
    data = made(pixels=3_200_000)
    surl = f"{await own_server.directory()}/a.dcm"
    await own_server.put(surl, data)
    line = await own_server.prepare(surl)
    whole = await own_server.get(line["transferURL"])
    largest = max(
        (path for path in (own_server.data / "blobs").rglob("*") if path.is_file()),
        key=lambda path: path.stat().st_size,
    )
    damaged = bytearray(largest.read_bytes())
    damaged[1_500_000] ^= 1
    largest.write_bytes(damaged)
    # The range begins in the damaged run: nothing has been sent yet.
    answer = await own_server.call("GET", line["transferURL"], headers={"Range": "bytes=1500000-1500009"})
    assert answer.status == 500
    assert "application/problem+json" in answer.headers["Content-Type"]
    # The whole begins well: the connection is cut where the damage begins.
    path = line["transferURL"].removeprefix(own_server.url)
    async with connected(own_server) as connection:
        await connection.send(f"GET {path} HTTP/1.1\nHost: localhost")
        status, headers = await connection.head()
        got = b""
        with suppress(ConnectionResetError):
            got = await connection.rest()
        assert status == 200
        assert len(got) < int(headers["content-length"])
        assert whole.startswith(got)
    assert (await own_server.call("GET", line["transferURL"], headers={"Range": "bytes=0-9"})).status == 206


async def test_a_client_that_goes_away_leaves_a_server_that_goes_on(server: Server) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made(pixels=8_000_000))
    for recipient in (None, "CUVoYNXJqUgy0IC1rSb3g1MsdzFkDa0MWv8k1cyyBGE="):
        line = await server.prepare(surl, recipient=recipient)
        path = line["transferURL"].removeprefix(server.url)
        for _ in range(3):
            async with connected(server) as connection:
                await connection.send(f"GET {path} HTTP/1.1\nHost: localhost")
                assert (await connection.head())[0] == 200
                await connection.reader.readexactly(1000)
        assert len(await server.get(line["transferURL"])) == line["fileSize"]
    async with asyncio.timeout(PATIENCE):
        while server.house.admission.running:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
