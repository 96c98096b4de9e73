"""The channel rule: what is no sealed stream needs TLS or true loopback."""

import asyncio
import base64
import io
import ssl
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from mdm_async.crypt4gh.stream import Sealer
from mdm_async.errors import UnsafeSettings
from mdm_async.web.http import certificate
from tests.conftest import Reply, Server, running_server
from tests.identity.grid_pki import new_grid
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

RECIPIENT = "CUVoYNXJqUgy0IC1rSb3g1MsdzFkDa0MWv8k1cyyBGE="

INSECURE = [
    {"Host": "mdm.example.org"},
    {"Host": "127.0.0.1.example.org"},
    {"Host": "localhost.example.org:8085"},
    {"Host": "192.0.2.1"},
    {"Host": "[2001:db8::1]"},
    {"Host": "0.0.0.0"},
    {"Host": ""},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Host": "localhost"},
    {"Forwarded": "for=127.0.0.1;proto=https"},
    {"X-Real-IP": "127.0.0.1"},
    {"Via": "1.1 proxy"},
]
SECURE = [
    {},
    {"Host": "localhost"},
    {"Host": "localhost:1"},
    {"Host": "127.0.0.1:8085"},
    {"Host": "127.8.8.8"},
    {"Host": "[::1]"},
]


@dataclass
class Transfers:
    """Transfer URLs of one file, clear and sealed, down and up."""

    clear: str
    sealed: str
    upload: str
    recipient: bytes


async def transfers(server: Server) -> Transfers:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made())
    up = (await server.srm("prepareToPut", files=[{"surl": surl + ".new"}]))["files"][0]
    return Transfers(
        (await server.prepare(surl))["transferURL"],
        (await server.prepare(surl, recipient=RECIPIENT))["transferURL"],
        up["transferURL"],
        base64.b64decode(up["uploadRecipient"]),
    )


async def ping(server: Server, headers: dict[str, str]) -> Reply:
    return await server.call("POST", "/srm/v2/ping", token=server.admin_token, headers=headers, json={})


def is_refused(answer: Reply) -> bool:
    return answer.status == 403 and b"TLS or the loopback" in answer.body


@pytest.mark.parametrize("headers", INSECURE, ids=str)
async def test_only_sealed_streams_pass_an_insecure_channel(server: Server, headers: dict[str, str]) -> None:
    urls = await transfers(server)
    answer = await ping(server, headers)
    assert is_refused(answer)
    assert answer.tree["returnStatus"]["statusCode"] == "SRM_AUTHORIZATION_FAILURE"
    for method, path in (
        ("GET", "/admin/v1/tokens"),
        ("POST", "/admin/v1/tokens"),
        ("DELETE", "/admin/v1/tokens/x"),
        ("POST", "/admin/v1/fsck"),
    ):
        assert is_refused(await server.call(method, path, token=server.admin_token, headers=headers, json={}))
    for method in ("GET", "HEAD"):
        answer = await server.call(method, urls.clear, headers=headers)
        assert answer.status == 403
        assert not {"ETag", "Digest"} & answer.headers.keys()
    answer = await server.call("GET", urls.sealed, headers=headers)
    assert answer.status == 200
    assert answer.headers["Digest"] == f"adler32={zlib.adler32(answer.body):08x}"
    # A clear upload is refused however it is sent; a sealed one then still has its URL.
    for data in (made(), b"cr", b"crypt4g"):
        assert (await server.call("PUT", urls.upload, data=data, headers=headers)).status == 403
    sealer = Sealer(urls.recipient)
    stream = sealer.header() + b"".join([*sealer.feed(made()), *sealer.close()])
    assert (await server.call("PUT", urls.upload, data=stream, headers=headers)).status == 201


async def test_an_insecure_channel_is_refused_before_the_credential_is_looked_at(server: Server) -> None:
    for token in ("wrong", server.admin_token):
        answer = await server.call(
            "POST", "/srm/v2/ping", token=token, headers={"Host": "mdm.example.org"}, json={}
        )
        assert is_refused(answer)


@pytest.mark.parametrize("headers", SECURE, ids=str)
async def test_true_loopback_is_secure(server: Server, headers: dict[str, str]) -> None:
    assert (await ping(server, headers)).status == 200


async def test_health_and_metrics_tell_nothing_that_needs_a_channel(server: Server) -> None:
    for path in ("/health/live", "/health/ready", "/metrics"):
        answer = await server.call("GET", path, headers={"Host": "mdm.example.org"})
        assert answer.status == 200


async def test_a_listed_proxy_tells_whether_its_client_used_tls(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(
        tmp_path / "data",
        dsn,
        server={"trusted_proxies": ["127.0.0.1", "192.0.2.1"], "public_url": "https://mdm.example.org"},
    ) as server:
        told = {"Host": "mdm.example.org", "X-Forwarded-For": "198.51.100.1"}
        assert (await ping(server, told | {"X-Forwarded-Proto": "https"})).status == 200
        assert is_refused(await ping(server, told | {"X-Forwarded-Proto": "http"}))
        assert is_refused(await ping(server, told))
        assert is_refused(await ping(server, {}))
        # A proxy that appends to what its client said does not make that true.
        for two in (["https", "http"], ["http", "https"]):
            headers = [("Authorization", f"Bearer {server.admin_token}"), ("X-Forwarded-Proto", two[0])]
            headers += [("X-Forwarded-Proto", two[1])]
            async with server.http.post(f"{server.url}/srm/v2/ping", headers=headers) as answer:
                assert answer.status == 403
        # Transfer URLs are of the public URL, whatever the request or the proxy names.
        secure = told | {
            "X-Forwarded-Proto": "https",
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
        }
        await server.call(
            "POST", "/srm/v2/mkdir", token=server.admin_token, headers=secure, json={"surl": "/a"}
        )
        answer = await server.call(
            "POST",
            "/srm/v2/prepareToPut",
            token=server.admin_token,
            headers=secure,
            json={"files": [{"surl": "/a/b.dcm"}]},
        )
        assert answer.tree["files"][0]["transferURL"].startswith("https://mdm.example.org/t/")


async def test_what_a_proxy_shows_of_itself_is_not_its_clients(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    """One that speaks TLS to the server, with a certificate of its own."""
    grid = new_grid(tmp_path)
    host = grid.host.write(tmp_path / "host.pem")
    async with running_server(
        tmp_path / "data",
        await postgres.fresh_database(migrated),
        identity={"ca_directory": grid.authorities},
        server={
            "trusted_proxies": ["127.0.0.1"],
            "public_url": "https://localhost",
            "tls_cert": host,
            "tls_key": host,
        },
    ) as server:
        trusting = ssl.create_default_context(cadata=grid.authority.chain[0])
        trusting.load_cert_chain(grid.user.write(tmp_path / "proxy.pem"))

        async def mkdir(headers: dict[str, str]) -> int:
            url = f"https://localhost:{server.house.tls_port}/srm/v2/mkdir"
            async with server.http.post(url, headers=headers, json={"surl": "/a"}, ssl=trusting) as answer:
                return answer.status

        # Somebody known, who has no rights; nobody; nobody who may be answered.
        for told, status in (
            ({}, 404),
            ({"X-Forwarded-Proto": "https"}, 401),
            ({"X-Forwarded-For": "198.51.100.1"}, 401),
            ({"X-Forwarded-Proto": "http"}, 403),
        ):
            assert await mkdir(told) == status


async def test_behind_a_public_name_the_loopback_counts_for_nothing(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    """A proxy that nobody listed may stand there, and hide where requests come from."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(
        tmp_path / "data", dsn, server={"public_url": "https://mdm.example.org/"}
    ) as server:
        assert is_refused(await ping(server, {}))
        assert is_refused(await ping(server, {"Host": "localhost"}))


# TLS


@dataclass
class Secure:
    """A server with HTTPS beside plain HTTP, and the files its certificate comes from."""

    server: Server
    chain: Path
    key: Path
    authority: trustme.CA

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.house.tls_port}"

    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def issue(self, name: str) -> trustme.LeafCert:
        return self.authority.issue_cert("localhost", "127.0.0.1", common_name=name)

    def install(self, issued: trustme.LeafCert, *, key: bytes | None = None) -> None:
        self.chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        self.key.write_bytes(key if key is not None else issued.private_key_pem.bytes())

    async def srm(self, operation: str, **body: Any) -> dict[str, Any]:
        async with self.server.http.post(
            f"{self.url}/srm/v2/{operation}",
            json=body,
            headers={"Authorization": f"Bearer {self.server.admin_token}"},
            ssl=self.trusting(),
        ) as answer:
            assert answer.status in (200, 501), await answer.text()
            tree: dict[str, Any] = await answer.json()
            return tree

    async def served_name(self) -> str:
        """The common name in the certificate that a new connection gets."""
        _, writer = await asyncio.open_connection(
            "localhost", self.server.house.tls_port, ssl=self.trusting()
        )
        found = dict(pair[0] for pair in writer.get_extra_info("peercert")["subject"])["commonName"]
        writer.transport.abort()
        return str(found)


@pytest.fixture(scope="module")
async def secure(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Secure]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    chain, key = folder / "chain.pem", folder / "key.pem"
    issued = authority.issue_cert("localhost", "127.0.0.1", common_name="first")
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    key.chmod(0o600)
    dsn = await postgres.fresh_database(migrated)
    async with running_server(
        folder / "data", dsn, server={"tls_cert": str(chain), "tls_key": str(key)}
    ) as server:
        yield Secure(server, chain, key, authority)


async def test_https_is_served_beside_http(secure: Secure) -> None:
    assert await secure.served_name()
    tree = await secure.srm("getTransferProtocols")
    assert [p["transferProtocol"] for p in tree["protocolInfo"]] == ["https", "http"]
    assert (await ping(secure.server, {})).status == 200


async def test_over_tls_everything_passes(secure: Secure) -> None:
    server, trusting = secure.server, secure.trusting()
    directory = await server.directory()
    data = made(pixels=3_200_000)
    tree = await secure.srm("prepareToPut", files=[{"surl": f"{directory}/a.dcm"}])
    url = tree["files"][0]["transferURL"]
    assert url.startswith(f"{secure.url}/t/")
    async with server.http.put(url, data=io.BytesIO(data), ssl=trusting) as answer:
        assert answer.status == 201
    await secure.srm("putDone", requestToken=tree["requestToken"], surls=[f"{directory}/a.dcm"])
    served = {}
    for recipient in (None, RECIPIENT):
        tree = await secure.srm("prepareToGet", files=[{"surl": f"{directory}/a.dcm"}], recipient=recipient)
        (line,) = tree["files"]
        assert line["transferURL"].startswith(f"{secure.url}/t/")
        async with server.http.get(line["transferURL"], ssl=trusting) as answer:
            body = await answer.read()
            assert (answer.status, zlib.adler32(body)) == (200, int(line["checkSumValue"], 16))
        # What is sealed is the same over plain HTTP, by sendfile; so are its ranges.
        path = line["transferURL"].removeprefix(secure.url)
        async with server.http.get(server.url + path) as answer:
            assert await answer.read() == body
        for where in (server.url, secure.url):
            async with server.http.get(
                where + path, headers={"Range": "bytes=1000000-2999999"}, ssl=trusting
            ) as answer:
                assert await answer.read() == body[1_000_000:3_000_000]
            # What is small is answered at once by now.
            async with server.http.get(
                where + path, headers={"Range": "bytes=1000000-1499999"}, ssl=trusting
            ) as answer:
                assert await answer.read() == body[1_000_000:1_500_000]
        served[recipient] = body
    assert served[None] != served[RECIPIENT]


@pytest.mark.parametrize(
    ("protocols", "recipient", "expected"),
    [
        (None, None, "https"),
        (None, RECIPIENT, "https"),
        (["https"], None, "https"),
        (["http", "https"], None, "https"),
        (["http", "https"], RECIPIENT, "http"),
        (["gsiftp", "https"], None, "https"),
        (["http"], None, None),
        (["gsiftp"], RECIPIENT, None),
    ],
)
async def test_the_transfer_url_follows_the_protocols_asked_for(
    secure: Secure, protocols: list[str] | None, recipient: str | None, expected: str | None
) -> None:
    surl = f"{await secure.server.directory()}/a.dcm"
    await secure.server.put(surl, made())
    tree = await secure.srm(
        "prepareToGet", files=[{"surl": surl}], transferProtocols=protocols, recipient=recipient
    )
    if expected is None:
        assert tree["returnStatus"]["statusCode"] == "SRM_NOT_SUPPORTED"
        return
    (line,) = tree["files"]
    base = {"https": secure.url, "http": f"http://localhost:{secure.server.house.port}"}[expected]
    assert line["transferURL"].startswith(f"{base}/t/")
    async with secure.server.http.get(line["transferURL"], ssl=secure.trusting()) as answer:
        assert len(await answer.read()) == line["fileSize"]


async def test_a_plain_request_may_ask_for_https_urls(secure: Secure) -> None:
    surl = f"{await secure.server.directory()}/a.dcm"
    await secure.server.put(surl, made())
    line = await secure.server.prepare(surl, transferProtocols=["https"])
    assert line["transferURL"].startswith(f"https://127.0.0.1:{secure.server.house.tls_port}/t/")


async def test_a_changed_certificate_is_taken_up_and_a_broken_one_is_not(
    secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate, "INTERVAL", 0.02)

    async def until(name: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await secure.served_name() != name:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    secure.install(secure.issue("second"))
    await until("second")
    # Halves of two pairs, and no key at all: the old certificate stays in force.
    for key in (secure.issue("other").private_key_pem.bytes(), b"", b"no key"):
        secure.install(secure.issue("broken"), key=key)
        for _ in range(10):
            await asyncio.sleep(0.02)
            assert await secure.served_name() == "second"
    secure.key.unlink()
    await asyncio.sleep(0.1)
    assert await secure.served_name() == "second"
    secure.install(secure.issue("third"))
    await until("third")
    assert (await secure.srm("ping"))["versionInfo"]


async def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(secure: Secure, tmp_path: Path) -> None:
    issued = secure.issue("locked")
    private = load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(UnsafeSettings, match="certificate cannot be used"):
        certificate.Certificate(secure.chain, locked)
    with pytest.raises(UnsafeSettings, match="certificate cannot be used"):
        certificate.Certificate(secure.chain, tmp_path / "missing.pem")


async def test_plain_http_on_the_tls_port_is_nothing(secure: Secure) -> None:
    with pytest.raises(aiohttp.ClientError):
        await secure.server.call("GET", f"http://localhost:{secure.server.house.tls_port}/health/live")
    assert (await secure.srm("ping"))["versionInfo"]
