"""Where the URLs point that are handed out: never where a request says."""

from urllib.parse import urlsplit

import orjson
import pytest

from mdm_async.web.turls.address import known_name
from tests.conftest import Server
from tests.web.raw import connected


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "localhost@evil.example",
        "127.0.0.1.evil.example",
        "[::1]:1",
        "",
        "[",
    ],
)
@pytest.mark.parametrize(
    "line", ["POST /srm/v2/prepareToPut", "POST http://evil.example/srm/v2/prepareToPut"]
)
async def test_a_host_that_a_request_names_is_not_told_again(server: Server, host: str, line: str) -> None:
    body = orjson.dumps({"files": [{"surl": f"{await server.directory()}/a.dcm"}]})
    async with connected(server) as connection:
        await connection.send(
            f"{line} HTTP/1.1\nHost: {host}\nX-Forwarded-Host: evil.example\nContent-Length: {len(body)}\n"
            f"Authorization: Bearer {server.admin_token}",
            body,
        )
        _, headers, told = await connection.answer()
    assert b"evil" not in told
    assert "evil" not in str(headers)
    for file in orjson.loads(told).get("files", []):
        if "transferURL" in file:
            assert urlsplit(file["transferURL"]).netloc == f"127.0.0.1:{server.house.port}"


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "LOCALHOST"])
async def test_localhost_is_a_name_of_the_loopback_and_the_port_is_the_listeners(
    server: Server, host: str
) -> None:
    files = [{"surl": f"{await server.directory()}/a.dcm"}]
    answer = await server.call(
        "POST",
        "/srm/v2/prepareToPut",
        token=server.admin_token,
        headers={"Host": host},
        json={"files": files},
    )
    assert urlsplit(answer.tree["files"][0]["transferURL"]).netloc == f"localhost:{server.house.port}"


def test_a_name_counts_where_the_certificate_or_the_loopback_gives_it() -> None:
    certified = ("mdm.example.org", "192.0.2.7")
    for asked, address, names, expected in (
        ("mdm.example.org", "192.0.2.9", certified, "mdm.example.org"),
        ("192.0.2.7", "192.0.2.9", certified, "192.0.2.7"),
        ("evil.example", "192.0.2.9", certified, "mdm.example.org"),
        ("evil.example", "192.0.2.7", certified, "192.0.2.7"),
        ("evil.example", "127.0.0.1", certified, "127.0.0.1"),
        ("evil.example", "192.0.2.9", (), "192.0.2.9"),
        ("localhost", "192.0.2.9", (), "192.0.2.9"),
        ("localhost", "::1", (), "localhost"),
        ("", "2001:db8::1", (), "2001:db8::1"),
    ):
        assert known_name(asked, address, names) == expected
