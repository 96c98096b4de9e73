"""How long a request's body may be: by who sends it, before it is read, and before anything is made of it."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from mdm_async.images.budget import Budget
from mdm_async.web.application import application
from mdm_async.web.http import body as bodies
from mdm_async.web.srm.operations import OPERATIONS
from tests.conftest import Server
from tests.patience import PATIENCE
from tests.web.raw import connected

_KIB, _MIB = 1 << 10, 1 << 20
_XML = {"/srm/managerv2"}
"""Routes that take XML."""


def post(path: str, *headers: str, token: str | None = None) -> str:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers]
    return "\n".join(lines + ([f"Authorization: Bearer {token}"] if token is not None else []))


@pytest.mark.parametrize("path", ["/srm/v2/ls", "/admin/v1/whoami", "/catalog/v1/replicas/list"])
async def test_a_body_that_is_too_long_is_refused_before_a_byte_of_it_came(server: Server, path: str) -> None:
    for token, size, status in (
        (None, 64 * _KIB + 1, 413),
        (server.admin_token, 16 * _MIB + 1, 413),
        ("wrong", 10, 401),
    ):
        async with connected(server) as line:
            await line.send(post(path, f"Content-Length: {size}", token=token))
            got, headers, _ = await line.answer()
            assert got == status
            assert headers["x-request-id"]


async def test_who_sends_all_of_it_before_reading_is_told_all_the_same(server: Server) -> None:
    """As simple clients do; a connection that is closed at once would be reset, and the answer with it."""
    for _ in range(5):
        async with connected(server) as line:
            size = 12 * _MIB
            await line.send(post("/srm/v2/ls", f"Content-Length: {size}"), bytes(size))
            assert (await line.answer())[0] == 413
            await line.send("GET /health/live HTTP/1.1\nHost: localhost")
            assert (await line.answer())[0] == 200


async def test_a_body_of_unknown_length_is_read_up_to_what_its_sender_may_send(server: Server) -> None:
    for token, size, status in ((None, 64 * _KIB, 413), (server.admin_token, 65 * _KIB, 400)):
        async with connected(server) as line:
            await line.send(
                post("/srm/v2/ls", "Transfer-Encoding: chunked", token=token),
                b"%x\r\n%b\r\n1\r\n \r\n0\r\n\r\n" % (size, b" " * size),
            )
            assert (await line.answer())[0] == status


def routes_with_bodies(server: Server) -> list[tuple[str, str]]:
    """Method and path of each route of JSON, and each operation."""
    found = []
    for route in application(server.house).router.routes():
        path = route.resource.canonical if route.resource is not None else ""
        if route.method in ("POST", "PUT") and not path.startswith(("/t/", "/dav", "/dicom-web")):
            path = path.replace("{slash}", "").replace("{id}", "00000000-0000-0000-0000-000000000000")
            path = path.replace("{operation}", "ls").replace("{name}", "basic").replace("{project}", "p")
            found.append((route.method, path))
    return [*found, *(("POST", f"/srm/v2/{operation}") for operation in OPERATIONS)]


async def test_wherever_a_body_is_read_the_credential_and_its_bounds_come_before_it(server: Server) -> None:
    for method, path in routes_with_bodies(server):
        other = "application/json" if path in _XML else "text/xml"
        # What only the socket in the server's own directory may ask for is refused before anything is read.
        refused = {403} if path == "/admin/v1/keys/unseal" else set()
        if path.startswith("/mirror/v1/"):  # An administrator has no mirror's credential.
            refused = {401}
        for headers, token, statuses in (
            ("Content-Length: 10", "wrong", {401}),
            ("Transfer-Encoding: chunked", "wrong", {401}),
            ("Content-Length: 10\nExpect: 100-continue", "wrong", {401}),
            (f"Content-Length: {64 * _KIB + 1}\nExpect: 100-continue", None, {401, 413}),
            (f"Content-Length: {16 * _MIB + 1}", server.admin_token, refused | {413}),
            (f"Content-Length: 10\nContent-Type: {other}", server.admin_token, refused | {415}),
        ):
            async with connected(server) as line:
                await line.send(post(path, headers, token=token).replace("POST", method, 1))
                assert (await line.answer())[0] in statuses, (method, path, headers)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("application/vnd.mdm+json", 200),
        ("application/x-www-form-urlencoded", 200),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain", 415),
        ("application/xml", 415),
        ("application/dicom", 415),
    ],
)
async def test_what_says_that_it_is_not_json_is_not_taken_for_it(
    server: Server, kind: str, status: int
) -> None:
    answer = await server.call(
        "POST",
        "/srm/v2/ls",
        token=server.admin_token,
        data=b'{"surls":["/"]}',
        headers={"Content-Type": kind},
    )
    assert answer.status == status


async def test_who_shows_no_credential_may_send_64_kib(server: Server) -> None:
    body = orjson.dumps({"surls": ["/"], "filling": " " * (63 * _KIB)})
    answer = await server.call("POST", "/srm/v2/ls", data=body)
    # Nobody may list here who is not known; the body was looked at all the same.
    assert (answer.status, len(answer.tree["files"])) == (401, 1)


@pytest.mark.parametrize("head", ["Expect: 100-continue", "Expect: 100-Continue"])
async def test_no_body_is_asked_for_that_will_not_be_read(server: Server, head: str) -> None:
    """Neither of whom it is not known that they may send it, nor where nothing is that takes it."""
    for path, token, size, status in (
        ("/srm/v2/ls", "wrong", 10, 401),
        ("/srm/v2/ls", None, 64 * _KIB + 1, 413),
        ("/srm/v2/none-such", server.admin_token, 10, 501),
        ("/nowhere", server.admin_token, 10, 404),
        ("/health/live", None, 10, 405),
        ("/admin/v1/tokens", None, 10, 401),
    ):
        async with connected(server) as line:
            await line.send(post(path, f"Content-Length: {size}", head, token=token))
            got, headers, _ = await line.answer()
            assert got == status, path
            assert headers["connection"] == "close"
    async with connected(server) as line:
        await line.send(post("/srm/v2/ls", "Content-Length: 15", head, token=server.admin_token))
        assert (await line.head())[0] == 100
        line.writer.write(b'{"surls":["/"]}')
        assert (await line.answer())[0] == 200
        await line.send("GET /health/live HTTP/1.1\nHost: localhost")
        assert (await line.answer())[0] == 200


async def test_http_1_0_is_told_nothing_but_the_answer(server: Server) -> None:
    async with connected(server) as line:
        head = post("/srm/v2/ls", "Content-Length: 15", "Expect: 100-continue", token=server.admin_token)
        await line.send(head.replace("HTTP/1.1", "HTTP/1.0"))
        # The body comes when the server waits for it, or nothing would be asked for anyway.
        async with asyncio.timeout(PATIENCE):
            while not next(iter(server.house.budget.near())).used:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        line.writer.write(b'{"surls":["/"]}')
        assert (await line.answer())[0] == 200
        assert await line.rest() == b""


async def test_an_expectation_that_nobody_knows_fails(server: Server) -> None:
    for path in ("/srm/v2/ls", "/nowhere"):
        async with connected(server) as line:
            await line.send(post(path, "Content-Length: 15", "Expect: the-best", token=server.admin_token))
            status, headers, body = await line.answer()
            assert (status, headers["content-type"]) == (417, "application/problem+json")
            assert b"the-best" not in body
            assert headers["x-request-id"]


def deep(size: int) -> bytes:
    return b'{"surls":["/"],"x":[' + b"{}," * size + b"1]}"


async def test_json_of_very_many_values_is_not_parsed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    counting = SimpleNamespace(JSONDecodeError=orjson.JSONDecodeError)
    counting.loads = lambda text: seen.append(len(text)) or orjson.loads(text)
    monkeypatch.setattr(bodies, "orjson", counting)
    for body, status in ((deep(1000), 200), (deep(1 << 18), 413), (b"[" * (1 << 19), 413)):
        answer = await server.call("POST", "/srm/v2/ls", token=server.admin_token, data=body)
        assert answer.status == status
    assert len(seen) == 1


async def test_what_stands_in_texts_counts_for_nothing(server: Server) -> None:
    """Escaped quotes and backslashes end no text."""
    for text, status in (
        ("P1,S1\n" * 150_000, 200),
        ('\\"[,' * 150_000, 200),
        ("\\\\,{" * 150_000, 200),
        ('"' * 600_000, 200),
    ):
        body = {"surls": ["/"], "x": text}
        answer = await server.call("POST", "/srm/v2/ls", token=server.admin_token, data=orjson.dumps(body))
        assert answer.status == status
    many = orjson.dumps({"surls": ["/"], "x": '\\"', "y": [{}] * (1 << 18)})
    assert (await server.call("POST", "/srm/v2/ls", token=server.admin_token, data=many)).status == 413


async def test_long_bodies_are_parsed_beside_the_loop(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: list[str] = []
    parse: Any = bodies._parse
    monkeypatch.setattr(
        bodies, "_parse", lambda *given: where.append(threading.current_thread().name) or parse(*given)
    )
    for filling in (10, 60 * _KIB):
        await server.srm("ls", surls=["/"], filling=" " * filling)
    assert where[0] == threading.current_thread().name
    assert where[1].startswith("parse")


async def test_bodies_in_memory_are_held_against_the_budget_while_they_are_there(server: Server) -> None:
    held = server.house.budget.near
    async with connected(server) as line:
        await line.send(
            post("/srm/v2/ls", f"Content-Length: {9 * _MIB}", token=server.admin_token), b" " * 1000
        )
        async with asyncio.timeout(PATIENCE):
            while next(iter(held())).used < 9 * _MIB:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    async with asyncio.timeout(PATIENCE):
        while next(iter(held())).used:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_caller_for_whose_bodies_no_room_is_left_is_told_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One caller may have half of the memory, one of their workers half of that."""
    house, body = server.house, orjson.dumps({"surls": ["/"]})
    others, payers = await server.token("l"), []
    holding: Any = Budget.holding
    monkeypatch.setattr(
        Budget, "holding", lambda self, payer, size=0: payers.append(payer) or holding(self, payer, size)
    )
    await server.srm("ls", surls=["/"])
    with house.budget.holding(payers[0]) as held:
        held.grow_to(house.budget.most // 4 - 10)
        answer = await server.call("POST", "/srm/v2/ls", token=server.admin_token, data=body)
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
        # Nor where its length is not told: it is held as it comes.
        chunked = post("/srm/v2/ls", "Transfer-Encoding: chunked", token=server.admin_token)
        async with connected(server) as line:
            await line.send(chunked, b"5\r\n{    \r\n")
            line.writer.write(b"8\r\n        \r\n")
            assert (await line.answer())[0] == 429
        # Others have their own.
        other = await server.call("POST", "/srm/v2/ls", token=others, data=body)
        assert other.status == 200
