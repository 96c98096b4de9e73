"""Nothing is decompressed: neither a content coding nor a transfer coding of a request is taken."""

import gzip
import zlib

import pytest

from mdm_async.web.http import problem
from tests.conftest import Server
from tests.web.raw import connected
from tests.web.test_connections import upload_path

_PLAIN = b'{"surls": ["/"]}'
_ZSTD = b"\x28\xb5\x2f\xfd\x20\x10\x81\x00\x00" + _PLAIN
_BODIES = {
    "gzip": gzip.compress(_PLAIN),
    "x-gzip": gzip.compress(_PLAIN),
    "deflate": zlib.compress(_PLAIN),
    "br": b"\x8b\x07\x80" + _PLAIN + b"\x03",
    "zstd": _ZSTD,
    "GZIP": gzip.compress(_PLAIN),
    "gzip, gzip": gzip.compress(gzip.compress(_PLAIN)),
    "identity, gzip": gzip.compress(_PLAIN),
    "none-such": _PLAIN,
}


@pytest.mark.parametrize("coding", _BODIES)
@pytest.mark.parametrize("path", ["/srm/v2/ls", "/admin/v1/whoami", "/nowhere"])
async def test_a_body_in_a_content_coding_is_refused_as_it_is(server: Server, coding: str, path: str) -> None:
    headers = {"Content-Encoding": coding}
    answer = await server.call("POST", path, token=server.admin_token, data=_BODIES[coding], headers=headers)
    assert (answer.status, answer.tree["type"]) == (415, "urn:mdm:error:unsupported-media-type")
    assert answer.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_nothing_is_unpacked_even_where_nobody_looks_at_the_header(
    server: Server, coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problem, "demand_plain", lambda request: None)
    headers = {"Content-Encoding": coding}
    for data, status in ((_BODIES[coding], 400), (_PLAIN, 200)):
        answer = await server.call("POST", "/srm/v2/ls", token=server.admin_token, data=data, headers=headers)
        assert answer.status == status


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate, chunked", "gzip,chunked", "identity, chunked"])
@pytest.mark.parametrize("path", ["/srm/v2/ls", "/t/unknown/image.dcm"])
async def test_a_transfer_coding_beside_chunked_is_refused(server: Server, coding: str, path: str) -> None:
    method = "PUT" if path.startswith("/t/") else "POST"
    body = gzip.compress(_PLAIN)
    async with connected(server) as line:
        await line.send(
            f"{method} {path} HTTP/1.1\nHost: localhost\nTransfer-Encoding: {coding}",
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        )
        status, headers, told = await line.answer()
        assert status == 501, told
        assert headers["content-type"] == "application/problem+json"


async def test_a_transfer_coding_in_http_1_0_is_a_mistake(server: Server) -> None:
    async with connected(server) as line:
        await line.send(
            "POST /srm/v2/ls HTTP/1.0\nHost: localhost\nTransfer-Encoding: chunked\nConnection: keep-alive",
            b"f\r\n" + _PLAIN[:15] + b"\r\n0\r\n\r\n",
        )
        status, headers, _ = await line.answer()
        assert (status, headers["content-type"]) == (400, "application/problem+json")
        assert await line.rest() == b""


async def test_an_upload_in_a_content_coding_is_refused_before_it_is_sent(server: Server, ct: bytes) -> None:
    path, _ = await upload_path(server)
    async with connected(server) as line:
        await line.send(
            f"PUT {path} HTTP/1.1\nHost: localhost\nContent-Length: 10\nContent-Encoding: gzip\n"
            "Expect: 100-continue"
        )
        assert (await line.answer())[0] == 415
    assert (await server.call("PUT", path, data=ct, headers={"Content-Encoding": "identity"})).status == 201
