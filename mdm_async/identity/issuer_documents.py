"""What an issuer publishes: its metadata and its keys, over verified HTTPS (OpenID Connect Discovery §4).

Answers are limited in size and time, and redirects are not followed: the issuer's URL is what the administrator
trusts, and the document that it leads to names where the keys are.
"""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import orjson

from mdm_async.errors import UnsafeSettings
from mdm_async.identity.key_sets import Keys, KeysUnavailable, parse_keys
from mdm_async.identity.system_authorities import trusting

MAX_BYTES = 1 << 20
SECONDS = 5.0


def open_session(ca_directory: Path | None) -> aiohttp.ClientSession:
    """A session that trusts the system's authorities and those of `ca_directory` (<hash>.0)."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusting(ca_directory), limit_per_host=2),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=SECONDS),
        # A compressed answer could be far longer than what was read of it.
        auto_decompress=False,
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )


def checked_issuer(url: str) -> str:
    """The URL, letter by letter as `iss` has it. Raises UnsafeSettings."""
    if not _is_https(url) or urlsplit(url).query or not url.isprintable() or " " in url:
        raise UnsafeSettings(
            f"identity.issuers: {url!r} cannot be an issuer", remedy="give its https URL, without '?' and '#'"
        )
    return url


async def fetch_keys(session: aiohttp.ClientSession, issuer: str) -> Keys:
    """The keys that the issuer publishes now. Raises KeysUnavailable."""
    try:
        async with asyncio.timeout(SECONDS):
            metadata = await _document(session, issuer.rstrip("/") + "/.well-known/openid-configuration")
            if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
                raise KeysUnavailable("its metadata is of another issuer")
            address = metadata.get("jwks_uri")
            if not isinstance(address, str) or not _is_https(address):
                raise KeysUnavailable("its metadata names no https address of its keys")
            return parse_keys(await _document(session, address))
    except TimeoutError:
        raise KeysUnavailable(f"no answer within {SECONDS:.0f} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as why:
        raise KeysUnavailable(type(why).__name__) from None


async def _document(session: aiohttp.ClientSession, url: str) -> object:
    async with session.get(url, allow_redirects=False) as answer:
        if answer.status != 200:
            raise KeysUnavailable(f"the answer was {answer.status}")
        content = bytearray()
        async for chunk in answer.content.iter_any():
            content += chunk
            if len(content) > MAX_BYTES:
                raise KeysUnavailable(f"the answer is longer than {MAX_BYTES} bytes")
    tree: object = orjson.loads(content)
    return tree


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme == "https"
            and bool(parts.hostname)
            and parts.username is None
            and parts.password is None
            and "#" not in url
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        return False
