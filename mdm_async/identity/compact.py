"""A signed token, taken apart before anything in it is believed (RFC 7515 §3.1, RFC 7519, RFC 8725).

Everything that can be refused without a key is refused here: what is no token, an algorithm other than RS256 and
ES256 (so that no public key is ever taken for an HMAC secret), headers that bring their own key, duplicate names.
"""

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from mdm_async.errors import Unauthenticated

MAX_TOKEN_BYTES = 8192
ALGORITHMS = ("RS256", "ES256")

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+\Z")
_BRINGS_A_KEY = frozenset({"jku", "jwk", "x5u", "x5c"})
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_MAX_KID = 255
_ANOTHER = "ask its issuer for another one"


@dataclass(frozen=True, slots=True)
class CompactToken:
    """A token whose signature nobody has looked at: none of its claims is to be believed."""

    text: str
    algorithm: str
    kid: str
    issuer: str
    claims: dict[str, Any]


def parse_compact(text: str) -> CompactToken:
    """Raises Unauthenticated with a reason that holds no part of the token."""
    if len(text) > MAX_TOKEN_BYTES:
        raise Unauthenticated(f"the token is longer than {MAX_TOKEN_BYTES} bytes", remedy=_ANOTHER)
    parts = text.split(".")
    if len(parts) != 3:
        raise _malformed("it is not three parts with dots between them")
    header = _tree(parts[0], "header")
    algorithm, kid = _algorithm(header), _kid(header)
    claims = _tree(parts[1], "payload")
    _bytes(parts[2], "signature")
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise Unauthenticated("the token does not say who issued it (iss)", remedy=_ANOTHER)
    return CompactToken(text, algorithm, kid, issuer, claims)


def _algorithm(header: dict[str, Any]) -> str:
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS or not isinstance(algorithm, str):
        kind = algorithm.lower() if isinstance(algorithm, str) else ""
        if kind == "none":
            raise Unauthenticated("the token is not signed (alg none)", remedy=_ANOTHER)
        if kind.startswith("hs"):
            raise Unauthenticated("the token is signed with a shared secret (HMAC)", remedy=_ANOTHER)
        raise Unauthenticated("the token's algorithm is neither RS256 nor ES256", remedy=_ANOTHER)
    if not _BRINGS_A_KEY.isdisjoint(header):
        raise Unauthenticated("the token's header names a key of its own", remedy=_ANOTHER)
    if "crit" in header or "b64" in header:
        raise Unauthenticated("the token demands an extension that is not supported (crit)", remedy=_ANOTHER)
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise Unauthenticated("the token is made for another purpose (typ)", remedy="send an access token")
    return algorithm


def _kid(header: dict[str, Any]) -> str:
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID:
        raise Unauthenticated("the token does not name the key that signed it (kid)", remedy=_ANOTHER)
    return kid


def _tree(part: str, name: str) -> dict[str, Any]:
    try:
        tree = json.loads(
            _bytes(part, name).decode(),
            object_pairs_hook=_once_each,
            parse_constant=_no_number,
            parse_float=_finite,
        )
    except (ValueError, RecursionError):
        raise _malformed(f"its {name} is not JSON that every reader takes for the same") from None
    if not isinstance(tree, dict):
        raise _malformed(f"its {name} is not a JSON object")
    return tree


def _bytes(part: str, name: str) -> bytes:
    """Base64url without padding, in the one spelling that these bytes have."""
    try:
        if not _BASE64URL.match(part):
            raise ValueError
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        if base64.urlsafe_b64encode(content).rstrip(b"=") != part.encode():
            raise ValueError
    except (ValueError, binascii.Error):
        raise _malformed(f"its {name} is not base64url") from None
    return content


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError
    return tree


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _no_number(_: str) -> NoReturn:
    raise ValueError


def _malformed(why: str) -> Unauthenticated:
    return Unauthenticated(f"the token is malformed: {why}", remedy="send the whole token as it was issued")
