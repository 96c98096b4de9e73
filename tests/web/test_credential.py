"""Credential, channel and body are three things: who asks is known by a request's head alone."""

from pathlib import Path

import pytest

from mdm_async.errors import Unauthenticated
from mdm_async.identity.authenticator import ADMIN, AdminToken, Authenticator, Circumstances
from mdm_async.names import Caller
from tests.conftest import Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.raw import connected

ENDLESS = "Host: localhost\nTransfer-Encoding: chunked"
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /srm/v2/ls HTTP/1.1\nAuthorization: Bearer wrong", 401),
        ("POST /admin/v1/profiles HTTP/1.1\nAuthorization: Bearer wrong", 401),
        ("POST /admin/v1/profiles HTTP/1.1", 401),
        ("POST /srm/v2/ls HTTP/1.1\nAuthorization: Bearer ADMIN\nX-Forwarded-For: 192.0.2.1", 403),
        ("GET /admin/v1/tokens HTTP/1.1\nAuthorization: Bearer ADMIN", 200),
        ("POST /srm/v2/noSuchOperation HTTP/1.1\nAuthorization: Bearer ADMIN", 501),
    ],
)
async def test_who_needs_no_body_is_answered_before_it_comes(server: Server, head: str, status: int) -> None:
    async with connected(server) as line:
        await line.send(f"{head.replace('ADMIN', server.admin_token)}\n{ENDLESS}")
        assert (await line.answer())[0] == status


async def test_a_client_that_goes_on_sending_reads_why_it_was_refused(server: Server) -> None:
    """Nothing of what it sends is waited for or kept, and its connection is not reset before it has read."""
    async with connected(server) as line:
        await line.send(f"POST /srm/v2/ls HTTP/1.1\nAuthorization: Bearer wrong\n{ENDLESS}")
        for _ in range(200):  # more than any buffer on the way holds
            line.writer.write(CHUNK)
            await line.writer.drain()
        status, headers, body = await line.answer()
        assert status == 401
        assert headers["www-authenticate"]
        assert b"urn:mdm:error:unauthenticated" in body


class LimitedTokens:
    """A kind of the tests' own, `limited:<method>:<path>:<source>`: an administrator's, for such requests alone."""

    async def caller(self, token: str, circumstances: Circumstances) -> Caller | None:
        kind, _, limits = token.partition(":")
        if kind != "limited":
            return None
        method, path, source = limits.split(":")
        below = circumstances.path == path or circumstances.path.startswith(path + "/")
        if (circumstances.method, circumstances.source, below) != (method, source, True):
            raise Unauthenticated("the token is not for such a request", remedy="ask for one that is")
        return ADMIN


def taking_limited_tokens(server: Server) -> Server:
    kinds = (LimitedTokens(), AdminToken(server.admin_token))
    server.house.authenticator = Authenticator(kinds, None, server.house.mapping)
    return server


@pytest.fixture
async def limited(own_server: Server) -> Server:
    """A server that takes one more kind of tokens."""
    return taking_limited_tokens(own_server)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("limited:GET:/admin/v1/tokens:127.0.0.1", 200),
        ("limited:GET:/admin/v1:127.0.0.1", 200),
        ("limited:POST:/admin/v1:127.0.0.1", 401),
        ("limited:GET:/admin/v1/token:127.0.0.1", 401),
        ("limited:GET:/admin/v1/tokens/x:127.0.0.1", 401),
        ("limited:GET:/admin/v1:192.0.2.1", 401),
        ("unlimited:GET:/admin/v1:127.0.0.1", 401),
    ],
)
async def test_a_credential_may_be_limited_to_method_path_and_source(
    limited: Server, token: str, expected: int
) -> None:
    assert (await limited.call("GET", "/admin/v1/tokens", token=token)).status == expected


async def test_a_kind_more_leaves_the_others_as_they_were(limited: Server) -> None:
    assert (await limited.call("GET", "/admin/v1/tokens", token=limited.admin_token)).status == 200
    assert (await limited.call("GET", "/admin/v1/tokens", token="unknown")).status == 401


async def test_a_limit_is_of_the_address_that_a_listed_proxy_tells(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    behind = {"trusted_proxies": ["127.0.0.1"], "public_url": "https://mdm.example.org"}
    async with running_server(tmp_path / "data", dsn, server=behind) as server:
        limited = taking_limited_tokens(server)
        headers = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
        for source, expected in (("198.51.100.7", 200), ("127.0.0.1", 401)):
            token = f"limited:GET:/admin/v1:{source}"
            answer = await limited.call("GET", "/admin/v1/tokens", token=token, headers=headers)
            assert answer.status == expected
