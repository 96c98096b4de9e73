"""A real issuer of tokens: HTTPS on loopback, metadata, a JWK set, keys that rotate, and ways of failing."""

import asyncio
import json
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web
from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.util import urlsafe_b64encode

from mdm_async.identity.tokens import Issuers
from mdm_async.settings import IssuerSettings

AUDIENCE = "https://mdm.example"


class TokenIssuer:
    """One issuer. `key` signs, `published` is what its JWK set shows; `asked` counts requests by path.

    While it is not `open` it takes requests and does not answer; while `down` it answers 503.
    """

    def __init__(self, path: str = "") -> None:
        self.path = path
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.down = False
        self.was_asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.metadata: dict[str, Any] = {}
        self.jwks_answer: web.Response | None = None
        self.key: Key
        self.published: list[dict[str, Any]] = []
        self.rotate(keep=False)

    def rotate(self, key: Key | None = None, *, keep: bool = True, **named: Any) -> None:
        """Sign with a new key (P-256 unless one is given) and publish it, besides the old ones or instead."""
        self.key = key or ECKey.generate_key("P-256", parameters={"kid": f"key-{time.monotonic_ns()}"})
        jwk = {**self.key.as_dict(private=False), **named}
        self.published = [*(self.published if keep else []), jwk]

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Those of a good WLCG token; None takes one away."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url, "sub": "ada", "aud": AUDIENCE, "wlcg.ver": "1.0",
            "iat": now, "nbf": now, "exp": now + 600,
        }  # fmt: skip
        return {name: value for name, value in (claims | changed).items() if value is not None}

    def token(self, header: dict[str, Any] | None = None, key: Key | None = None, **claims: Any) -> str:
        """A token with these claims, signed by `key` or the current one; None takes a claim or header away."""
        return self.signed(json.dumps(self.claims(**claims)), header, key)

    def signed(
        self, payload: str | bytes, header: dict[str, Any] | None = None, key: Key | None = None
    ) -> str:
        key = key or self.key
        algorithm = {"RSA": "RS256", "EC": "ES256", "oct": "HS256"}[key.key_type]
        merged = {"alg": algorithm, "typ": "JWT", "kid": self.key.kid} | (header or {})
        merged = {name: value for name, value in merged.items() if value is not None}
        return sign(json.dumps(merged), payload, key, algorithm)

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        await self._before(request)
        return web.json_response(
            {"issuer": self.url, "jwks_uri": f"{self.url.rstrip('/')}/jwks"} | self.metadata
        )

    async def _jwks(self, request: web.Request) -> web.StreamResponse:
        await self._before(request)
        return self.jwks_answer or web.json_response({"keys": self.published})

    async def _moved(self, request: web.Request) -> web.StreamResponse:
        """The keys at another place, good ones: whoever follows a redirect gets them."""
        await self._before(request)
        return web.json_response({"keys": self.published})

    async def _before(self, request: web.Request) -> None:
        self.asked[request.path.rpartition("/")[2]] += 1
        self.was_asked.set()
        await self.open.wait()
        if self.down:
            raise web.HTTPServiceUnavailable

    @asynccontextmanager
    async def running(self, authority: trustme.CA) -> AsyncIterator["TokenIssuer"]:
        app = web.Application()
        app.router.add_get(self.path + "/.well-known/openid-configuration", self._metadata)
        app.router.add_get(self.path + "/jwks", self._jwks)
        app.router.add_get(self.path + "/moved", self._moved)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.url = f"https://localhost:{runner.addresses[0][1]}{self.path}"
        try:
            yield self
        finally:
            self.open.set()
            await runner.cleanup()


def sign(header: str | bytes, payload: str | bytes, key: Key, algorithm: str) -> str:
    """A compact JWS of exactly these texts, whatever they are."""
    encoded = [
        urlsafe_b64encode(part.encode() if isinstance(part, str) else part) for part in (header, payload)
    ]
    signer = jws.JWSRegistry.algorithms[algorithm]
    signature = signer.sign(b".".join(encoded), key)
    return b".".join([*encoded, urlsafe_b64encode(signature)]).decode()


def rsa_key(bits: int = 2048, kid: str = "rsa") -> RSAKey:
    return RSAKey.generate_key(bits, parameters={"kid": kid})


def install_authority(authority: trustme.CA, directory: Path) -> Path:
    """The authority as grid sites have them: <hash>.0 in a directory."""
    directory.mkdir(exist_ok=True)
    pem = directory / "authority.pem"
    authority.cert_pem.write_to_path(pem)
    found = subprocess.run(
        ["openssl", "x509", "-subject_hash", "-noout", "-in", pem], check=True, capture_output=True, text=True
    )
    pem.rename(directory / f"{found.stdout.strip()}.0")
    return directory


@asynccontextmanager
async def trusted_issuer(
    directory: Path, *, path: str = "", base: str = "/"
) -> AsyncIterator[tuple[TokenIssuer, Issuers]]:
    """A running issuer and a server's view of it: trusted, with its paths below `base`."""
    authority = trustme.CA()
    trusted = install_authority(authority, directory / "authorities")
    async with TokenIssuer(path).running(authority) as issuer:
        settings = IssuerSettings(url=issuer.url, path=base)
        async with Issuers([settings], [AUDIENCE], trusted) as issuers:
            yield issuer, issuers
