"""The public keys of one issuer: which of a published set are taken, and when the set is fetched again.

Keys are fresh for an hour. Older ones still serve while a fetch runs beside, and when it fails, for four days at the
most (the WLCG profile's limit), so that an issuer may be away for a weekend. A key that is not known causes a fetch, at
most once a minute. However many callers wait, one fetch runs, and nobody waits for two.
"""

import asyncio
import base64
import binascii
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from mdm_async.errors import Unauthenticated, Unavailable

_log = structlog.get_logger()

Key = RSAKey | ECKey
Keys = Mapping[tuple[str, str], Key]
"""By `kid` and algorithm."""

FRESH = 3600.0
KEPT = 4 * 86400.0
PAUSE = 60.0
"""Seconds between two fetches because of unknown keys."""
PAUSE_WITHOUT_KEYS = 5.0

_RSA_BITS = range(2048, 8193)
_MAX_KEYS = 1000
_MAX_EXPONENT = 1 << 33


class KeysUnavailable(Exception):
    """An issuer's keys could not be fetched; str(self) says why, for the log."""


class KeySet:
    """One issuer's keys. `fetch` gets them from the issuer, within a time limit, or raises KeysUnavailable."""

    def __init__(
        self, issuer: str, fetch: Callable[[], Awaitable[Keys]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._keys: Keys = {}
        self._fetched = self._tried = -KEPT
        self._answered = False
        """Whether the issuer answered when it was last asked."""
        self._fetching: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<KeySet of {self._issuer}, {len(self._keys)} keys>"

    async def key(self, kid: str, algorithm: str) -> Key:
        """Raises Unauthenticated when the issuer has no such key, Unavailable while that cannot be known."""
        now = self._clock()
        if now - self._fetched >= KEPT:
            self._keys = {}
        key = self._keys.get((kid, algorithm))
        if key is None:
            if (
                now - self._tried >= (PAUSE if self._keys else PAUSE_WITHOUT_KEYS)
                or self._fetching is not None
            ):
                # Shielded: others wait for it too, whatever becomes of this caller.
                await asyncio.shield(self._start())
            key = self._keys.get((kid, algorithm))
        elif now - self._fetched >= FRESH and now - self._tried >= PAUSE:
            self._start()
        if key is not None:
            return key
        if not self._answered:
            raise Unavailable(
                "the keys of the token's issuer cannot be fetched", remedy="try again", retry_after=5
            )
        raise Unauthenticated(
            "the token is signed with a key that its issuer does not publish",
            remedy="ask its issuer for a new one",
        )

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            with suppress(asyncio.CancelledError):
                await self._fetching

    def _start(self) -> asyncio.Task[None]:
        """The fetch that is running, or a new one."""
        if self._fetching is None:
            self._tried = self._clock()
            self._fetching = asyncio.create_task(self._renew())
        return self._fetching

    async def _renew(self) -> None:
        try:
            self._keys = await self._fetch()
            self._fetched = self._clock()
            self._answered = True
        except KeysUnavailable as why:
            self._answered = False
            _log.warning("the keys of an issuer cannot be fetched", issuer=self._issuer, reason=str(why))
        finally:
            self._fetching = None


def parse_keys(tree: object) -> Keys:
    """The keys of a JWK set (RFC 7517 §5) that may verify tokens: RSA of 2,048 bits or more, and P-256.

    Others are left out, as are keys without a `kid`, for other uses, and all of a name that two keys have. Raises
    KeysUnavailable when it is no key set.
    """
    found = tree.get("keys") if isinstance(tree, dict) else None
    if not isinstance(found, list) or len(found) > _MAX_KEYS:
        raise KeysUnavailable("the answer is not a JWK set")
    keys: dict[tuple[str, str], Key] = {}
    twice = set()
    for one in found:
        named = _named_key(one) if isinstance(one, dict) else None
        if named is not None:
            name, key = named
            if name in keys:
                twice.add(name)
            keys[name] = key
    return {name: key for name, key in keys.items() if name not in twice}


def _named_key(jwk: dict[str, Any]) -> tuple[tuple[str, str], Key] | None:
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    if not isinstance(kid, str) or not kid or jwk.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        if jwk.get("kty") == "RSA" and jwk.get("alg", "RS256") == "RS256" and _is_strong(jwk):
            return (kid, "RS256"), RSAKey.import_key({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})
        if jwk.get("kty") == "EC" and jwk.get("alg", "ES256") == "ES256" and jwk.get("crv") == "P-256":
            return (kid, "ES256"), ECKey.import_key(
                {"kty": "EC", "crv": "P-256", "x": jwk["x"], "y": jwk["y"]}
            )
    except (JoseError, ValueError, KeyError, TypeError):
        return None
    return None


def _is_strong(jwk: dict[str, Any]) -> bool:
    modulus, exponent = _integer(jwk["n"]), _integer(jwk["e"])
    return modulus.bit_length() in _RSA_BITS and 3 <= exponent < _MAX_EXPONENT


def _integer(text: object) -> int:
    if not isinstance(text, str):
        raise ValueError("not a number in base64url")
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
    except binascii.Error:
        raise ValueError("not a number in base64url") from None
