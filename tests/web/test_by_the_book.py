"""HTTP as RFC 9110 and 9112 have it, where a client library would not go: methods, odd heads, ids, metrics."""

import asyncio
import logging

import orjson
import pytest

from mdm_async.web.http import discarding
from mdm_async.web.http.metrics import REQUESTS, UNREADABLE
from tests.conftest import Reply, Server
from tests.faults.wire import begun
from tests.patience import PATIENCE
from tests.web.made_images import made
from tests.web.raw import connected

SECRET = "DOE^JANE"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/health/live", {"GET", "HEAD"}),
        ("GET", "/srm/v2/ls", {"POST"}),
        ("HEAD", "/srm/v2/ls", {"POST"}),
        ("TRACE", "/srm/v2/ls", {"POST"}),
        ("PATCH", "/t/unknown/image.dcm", {"COPY", "DELETE", "GET", "HEAD", "PUT"}),
        ("PROPFIND", "/t/unknown/image.dcm", {"COPY", "DELETE", "GET", "HEAD", "PUT"}),
        ("PUT", "/admin/v1/tokens", {"GET", "HEAD", "POST"}),
    ],
)
async def test_what_takes_other_methods_tells_them(
    server: Server, method: str, path: str, allowed: set[str]
) -> None:
    answer = await server.call(method, path)
    assert answer.status == 405
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) == allowed
    if method != "HEAD":
        assert answer.tree["type"] == "urn:mdm:error:method-not-allowed"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/srm/v2/ls", "OPTIONS, POST"),
        ("/t/unknown/image.dcm", "COPY, DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/admin/v1/tokens", "GET, HEAD, OPTIONS, POST"),
    ],
)
async def test_options_tells_what_a_path_takes(server: Server, path: str, allowed: str) -> None:
    answer = await server.call("OPTIONS", path)
    assert (answer.status, answer.headers["Allow"], answer.body) == (204, allowed, b"")
    assert (await server.call("OPTIONS", "/nowhere")).status == 404


UNREADABLE_HEADS = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03DOE^JANE", 400),
    (b"DOE^JANE\r\n\r\n", 400),
    (b"GET / DOE^JANE/1.1\r\n\r\n", 400),
    (b"GET / HTTP/DOE^JANE\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nDOE^JANE\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nDOE^JANE: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nDOE^ JANE: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: DOE^JANE\x00\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: DOE^JANE\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
    (b"GET /DOE^JANE" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"DOE-JANE /DOE^JANE HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: DOE^JANE" + b"x" * 33_000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: DOE^JANE\r\n" * 130 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"y" * 20_000 + b"\r\n") * 60, 431),
]


@pytest.mark.parametrize(
    ("head", "status"), UNREADABLE_HEADS, ids=[f"{number}" for number in range(len(UNREADABLE_HEADS))]
)
async def test_what_is_no_http_is_a_problem_counted_and_not_repeated(
    server: Server, head: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    before = UNREADABLE.labels(str(status))._value.get()
    with caplog.at_level(logging.DEBUG):
        async with connected(server) as line:
            line.writer.write(head)
            got, headers, body = await line.answer()
            rest = await line.rest()
    assert got == status, body
    assert headers["content-type"] == "application/problem+json"
    assert len(headers["x-request-id"]) == 16
    assert orjson.loads(body)["requestId"] == headers["x-request-id"]
    assert UNREADABLE.labels(str(status))._value.get() == before + 1
    assert SECRET not in body.decode() + rest.decode() + caplog.text
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


async def test_who_still_sends_when_it_is_refused_hears_why(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: the connection was closed while more came, and the reset took the answer with it."""
    monkeypatch.setattr(discarding, "_QUIET", PATIENCE)
    monkeypatch.setattr(discarding, "_BRIEFLY", PATIENCE)
    async with connected(server) as line:
        line.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(60):
            line.writer.write(b"X: " + b"y" * 20_000 + b"\r\n")
            await line.writer.drain()
            await asyncio.sleep(0.0005)  # The answer comes in the middle of it.
        assert (await line.answer())[0] == 431


async def test_who_sends_what_is_no_http_for_ever_is_cut(server: Server) -> None:
    async with begun("GET", f"{server.url}/", X="y" * 70_000) as client:

        async def more() -> None:
            for _ in range(1_000):
                await client.send(b"more")
                await asyncio.sleep(0.01)

        with pytest.raises(ConnectionError):
            await more()


async def test_after_what_is_no_http_nothing_is_looked_at(server: Server) -> None:
    async with connected(server) as line:
        await line.send("GET /health/live HTTP/1.1\nHost: localhost")
        assert (await line.answer())[0] == 200
        await line.send("GET /health/live HTTP/1.1\nHost: localhost\nDOE^ JANE: x")
        await line.send("GET /health/live HTTP/1.1\nHost: localhost")
        assert (await line.answer())[0] == 400
        assert await line.rest() == b""


async def test_heads_that_come_one_after_the_other_are_measured_one_by_one(server: Server) -> None:
    surl = f"{await server.directory()}/a.dcm"
    path = (await server.srm("prepareToPut", files=[{"surl": surl}]))["files"][0]["transferURL"]
    long = "GET /health/live HTTP/1.1\nHost: localhost\nX: " + "x" * 30_000
    async with connected(server) as line:
        await line.send("\n\n".join([long] * 4))
        for _ in range(4):
            assert (await line.answer())[0] == 200
        body = made(pixels=400_000)
        await line.send(
            f"PUT {path.removeprefix(server.url)} HTTP/1.1\nHost: localhost\nContent-Length: {len(body)}",
            body,
        )
        assert (await line.answer())[0] == 201
        await line.send(long)
        assert (await line.answer())[0] == 200


async def test_a_broken_body_is_no_failure_of_the_server(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/srm/v2/ls", "/nowhere", "/health/live"):
        async with connected(server) as line:
            await line.send(
                f"POST {path} HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n"
                f"Authorization: Bearer {server.admin_token}",
                b"3\r\nDOE\r\nDOE^JANE\r\n",
            )
            status, headers, body = await line.answer()
            assert status in (400, 404, 405)
            assert headers["x-request-id"]
            assert b"DOE" not in body
    assert "DOE" not in caplog.text


async def test_another_version_of_http_is_refused(server: Server) -> None:
    async with connected(server) as line:
        await line.send("GET /health/live HTTP/2.0\nHost: localhost")
        assert (await line.answer())[0] == 505


async def test_fields_of_32_kib_are_taken(server: Server) -> None:
    answer = await server.call("GET", "/health/live", headers={"X-Long": "x" * 32_000})
    assert answer.status == 200


async def test_every_answer_has_an_id_of_its_own(server: Server) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made())
    url = (await server.prepare(surl))["transferURL"]
    answers = [
        await server.call(method, path, token=token, headers=headers)
        for method, path, token, headers in (
            ("GET", "/metrics", None, {}),
            ("GET", "/health/live", None, {}),
            ("GET", "/nowhere", None, {}),
            ("PUT", "/health/live", None, {}),
            ("GET", "/admin/v1/tokens", None, {}),
            ("DELETE", "/admin/v1/tokens/none", server.admin_token, {}),
            ("GET", url, None, {}),
            ("HEAD", url, None, {}),
            ("GET", url, None, {"Range": "bytes=0-9"}),
            ("GET", url, None, {"Range": "bytes=99999999-"}),
            ("GET", url, None, {"If-None-Match": "*"}),
            ("GET", url, None, {"If-Match": '"other"'}),
            ("POST", "/srm/v2/ping", server.admin_token, {"Content-Encoding": "gzip"}),
        )
    ]
    assert [one.status for one in answers] == [
        200, 200, 404, 405, 401, 404, 200, 200, 206, 416, 304, 412, 415
    ]  # fmt: skip
    assert len({one.headers["X-Request-Id"] for one in answers}) == len(answers)


async def test_requests_are_counted_and_timed_by_operation(server: Server) -> None:
    def counted(operation: str, status: int) -> float:
        return float(REQUESTS.labels(operation, str(status))._value.get())

    before = [counted("ping", 200), counted("GET /t/{token}/{name}", 410), counted("none", 404)]
    await server.srm("ping")
    await server.call("GET", "/t/unknown/image.dcm")
    await server.call("GET", f"/{SECRET}")
    await server.call("POST", f"/srm/v2/{SECRET}", token=server.admin_token)
    after = [counted("ping", 200), counted("GET /t/{token}/{name}", 410), counted("none", 404)]
    assert [a - b for a, b in zip(after, before, strict=True)] == [1, 1, 1]
    told = (await server.call("GET", "/metrics")).body.decode()
    assert 'mdm_request_seconds_bucket{le="0.1",operation="ping"}' in told
    assert SECRET not in told


async def metrics(server: Server, **headers: str) -> Reply:
    return await server.call("GET", "/metrics", headers=headers)


async def test_metrics_are_for_this_machine_unless_set_otherwise(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await metrics(server)).status == 200
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
        assert (await metrics(server, **{header: "127.0.0.1"})).status == 403
    monkeypatch.setattr("mdm_async.web.admin.health.is_loopback", lambda address: False)
    answer = await metrics(server)
    assert (answer.status, answer.tree["type"]) == (403, "urn:mdm:error:forbidden")
    assert b"mdm_" not in answer.body.replace(b"server.metrics", b"")
    loose = server.house.settings.server.model_copy(update={"metrics": "all"})
    monkeypatch.setattr(server.house, "settings", server.house.settings.model_copy(update={"server": loose}))
    assert (await metrics(server, Via="1.1 proxy")).status == 200
