"""A server whose key-encryption key custodians hold: sealed until enough of them came."""

import asyncio
import base64
import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from mdm_async.client import Client
from mdm_async.errors import Conflict, MdmError, NotFound, Sealed, Unavailable, WrongContent
from mdm_async.keys.custody import CustodyShare, split_among
from tests.conftest import running_server
from tests.faults.conditions import until
from tests.faults.serving import Serve
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.soap import envelopes
from tests.web.starting_sealed import free_port, starting


def _shares(kek: bytes | None = None, threshold: int = 2) -> list[CustodyShare]:
    return split_among([kek or os.urandom(32)], "", threshold, 3)


async def test_a_sealed_server_tells_each_face_so_and_lives(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    async with (
        starting(tmp_path / "data", await postgres.fresh_database(migrated)) as sealed,
        aiohttp.ClientSession(sealed.url) as http,
    ):
        token = (sealed.data / "secrets" / "admin.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}

        async def told(method: str, path: str, **options: Any) -> tuple[int, str, str]:
            async with http.request(method, path, **({"headers": headers} | options)) as answer:
                return answer.status, answer.content_type, await answer.text()

        assert (await told("GET", "/health/live"))[0] == 200
        for method, path in (
            ("GET", "/health/ready"),
            ("GET", "/a.dcm"),
            ("PROPFIND", "/"),
            ("COPY", "/a.dcm"),
            ("GET", "/t/sometoken/a.dcm"),
            ("GET", "/admin/v1/status"),
            ("GET", "/admin/v1/keys/unseal"),
            ("POST", "/admin/v1/keys/unseal"),
            ("DELETE", "/admin/v1/keys/unseal"),
            ("GET", "/srm/managerv2"),
            ("OPTIONS", "/"),
        ):
            status, kind, text = await told(method, path)
            assert (status, kind) == (503, "application/problem+json"), (method, path)
            assert "urn:mdm:error:sealed" in text
            assert "mdm keys unseal" in text
        # Who watches over it is to tell it from one that is dead.
        status, _, text = await told("GET", "/metrics")
        assert (status, "\nmdm_sealed 1.0\n" in text) == (200, True)
        assert (await told("GET", "/metrics", headers={"X-Forwarded-For": "192.0.2.1"}))[0] == 503
        assert (await told("PUT", "/a.dcm", data=os.urandom(1 << 20)))[0] == 503
        status, _, text = await told("POST", "/srm/v2/ping", json={})
        assert (status, '"SRM_INTERNAL_ERROR"' in text, "sealed" in text) == (503, True, True)
        envelope = envelopes.call("srmPing")
        status, kind, text = await told("POST", "/srm/managerv2", data=envelope, headers=envelopes.HEADERS)
        assert (status, kind, "the server is sealed" in text) == (503, "text/xml", True)
        async with Client(sealed.url, token) as client:
            with pytest.raises(Sealed):
                await client.keys.unseal(_shares()[0].text())
        assert (await sealed.given())["given"] == []


async def test_enough_shares_unseal_it_and_nobody_is_refused_a_connection_meanwhile(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn, shares = await postgres.fresh_database(migrated), _shares()
    seen: list[int] = []
    async with starting(tmp_path / "data", dsn) as sealed, aiohttp.ClientSession(sealed.url) as http:

        async def ask(http: aiohttp.ClientSession, **headers: str) -> None:
            while not sealed.ready.done():
                async with http.get("/health/ready", headers=headers) as answer:
                    seen.append(answer.status)

        asking = [asyncio.create_task(ask(http, Connection="close")) for _ in range(3)]
        asking.append(asyncio.create_task(ask(http)))
        early = await asyncio.open_connection("127.0.0.1", sealed.port)
        await sealed.give(shares[2], shares[2])
        given = await sealed.given()
        assert (given["open"], given["given"], given["threshold"]) == (False, [3], 2)
        await sealed.give(shares[0])
        server = await sealed.ready
        await asyncio.gather(*asking)
        assert set(seen) <= {503, 200}
        # Who came while it was sealed, and asks only now, is answered on that connection.
        early[1].write(b"GET /health/ready HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert (await early[0].read()).startswith(b"HTTP/1.1 200 ")
        early[1].close()
        await server.put("/a.dcm", made())
        assert (await sealed.given())["open"] is True
        async with http.get("/metrics") as answer:
            assert "\nmdm_sealed 0.0\n" in await answer.text()
    async with starting(tmp_path / "data", dsn) as sealed:
        with pytest.raises(Unavailable, match="no key-encryption key given opens"):
            await sealed.give(*_shares()[:2])
        assert not sealed.ready.done()
        await sealed.give(*shares[1:])
        await (await sealed.ready).read("/a.dcm")


async def test_it_is_sealed_over_tls_too(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> None:
    host, authority = tmp_path / "host.pem", trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(host)
    host.chmod(0o600)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    server = {"tls_cert": host, "tls_key": host, "tls_port": free_port()}
    url, shares = f"https://localhost:{server['tls_port']}/health/ready", _shares()
    async with (
        starting(tmp_path / "data", await postgres.fresh_database(migrated), server) as sealed,
        aiohttp.ClientSession() as http,
    ):
        async with http.get(url, ssl=trusting) as answer:
            assert (answer.status, "the server is sealed" in await answer.text()) == (503, True)
        await sealed.give(*shares[:2])
        await sealed.ready
        async with http.get(url, ssl=trusting) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (lambda shares: _shares()[1].text(), Conflict),
        (lambda shares: replace(shares[1], value=_flipped(shares[1].value)).text(), WrongContent),
        (lambda shares: replace(shares[1], index=3).text(), WrongContent),
        (lambda shares: replace(shares[1], store="other").text(), NotFound),
        (lambda shares: "no share", WrongContent),
        (lambda shares: "x" * 100_000, MdmError),
    ],
    ids=["another split", "a flipped bit", "a wrong index", "another store", "no share", "too long"],
)
async def test_a_wrong_share_is_refused_and_the_right_ones_still_unseal(
    postgres: PostgresForTests,
    migrated: str,
    tmp_path: Path,
    wrong: Callable[[Sequence[CustodyShare]], str],
    kind: type[MdmError],
) -> None:
    shares = _shares()
    async with starting(tmp_path / "data", await postgres.fresh_database(migrated)) as sealed:
        await sealed.give(shares[0])
        with pytest.raises(kind):
            await sealed.give(wrong(shares))
        assert (await sealed.given())["given"] == [1]
        await sealed.give(shares[2])
        await sealed.ready


def _flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


async def test_a_server_is_moved_from_a_file_to_custodians(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn) as server:
        await server.put("/a.dcm", made())
        whole = await server.read("/a.dcm")
    file = tmp_path / "data" / "secrets" / "kek"
    shares = _shares(base64.b64decode(file.read_text()))
    file.unlink()
    async with starting(tmp_path / "data", dsn) as sealed:
        await sealed.give(*shares[:2])
        assert await (await sealed.ready).read("/a.dcm") == whole
    assert not file.exists()


async def test_custodians_give_a_new_key_while_it_serves_and_later_that_one_alone(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn, old, new = await postgres.fresh_database(migrated), os.urandom(32), os.urandom(32)
    async with starting(tmp_path / "data", dsn) as sealed:
        await sealed.give(*_shares(old)[:2])
        server = await sealed.ready
        await server.put("/a.dcm", made())
        whole = await server.read("/a.dcm")
        async with Client(data=sealed.data) as client:
            with pytest.raises(Conflict, match="mdm keys split --after"):
                await client.keys.rotate()
            await sealed.give(*split_among([new, old], "", 2, 3)[1:])
            await client.keys.rotate()

            async def is_done() -> bool:
                (store,) = (await client.keys.status())["stores"]
                return [epoch["number"] for epoch in store["epochs"] if epoch["rows"]] == [2]

            await until(is_done)
        assert await server.read("/a.dcm") == whole
    async with starting(tmp_path / "data", dsn) as sealed:
        await sealed.give(*_shares(new)[:2])
        assert await (await sealed.ready).read("/a.dcm") == whole


async def test_a_sealed_server_stops_when_it_is_told_to(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    server = Serve(tmp_path / "data", keys__kek_custodians="true", database__dsn=dsn)
    process = await server.spawn(stderr=None)
    assert process.stdout is not None
    assert await process.stdout.readline() == f"mdm: sealed at {server.url}\n".encode()
    process.terminate()
    assert await process.wait() == 0
