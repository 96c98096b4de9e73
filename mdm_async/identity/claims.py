"""What a token with a good signature says of its bearer (WLCG profile 1.x §2.1, §4.3; OpenID Connect Core §2).

A token with `wlcg.ver` may carry capabilities and `wlcg.groups`. Capabilities are a restriction: with any of them
present neither groups nor what ACLs give the subject counts. A plain OIDC token, without `wlcg.ver`, says who the
bearer is: its subject, and its `groups` where they are written as paths. Capabilities or `wlcg.groups` without
`wlcg.ver` are refused, not ignored: they would become more than their issuer meant.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mdm_async.errors import Unauthenticated
from mdm_async.identity.capabilities import BadCapability, has_capabilities, scopes_of
from mdm_async.names import ANYONE, AUTHENTICATED, Caller, Credential, Lfn

ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
SKEW = 60
"""Seconds that clocks may differ by."""

_VERSION = re.compile(r"([0-9]+)\.[0-9]+\Z")
_SUBJECT = re.compile(r"[ -~]{1,255}\Z")
_GROUP = re.compile(r"(?:/[^/]+)+\Z")
_MAX_GROUP = 255
_END_OF_TIME = 253_402_300_799
"""The last second that a date can name."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What tokens of one issuer must be made for, and where their paths begin."""

    issuer: str
    audiences: frozenset[str]
    base: Lfn


def caller_of(claims: dict[str, Any], terms: Terms, now: float) -> Caller:
    """Who the bearer is, and what they may do by the token itself. Raises Unauthenticated, naming the subject."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _SUBJECT.match(subject):
        raise Unauthenticated(
            "the token does not say whom it was issued to (sub: 1 to 255 ASCII characters)",
            remedy="ask its issuer for one that does",
        )
    name = f"sub:{terms.issuer}#{subject}"

    def refused(why: str, remedy: str = "ask its issuer for a new one") -> Unauthenticated:
        return Unauthenticated(f"the token of {name} {why}", remedy=remedy)

    until = _until(claims, now, refused)
    _check_audience(claims.get("aud"), terms.audiences, refused)
    wlcg = _is_wlcg(claims, refused)
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise refused("has a scope that is not a string")
    if has_capabilities(scope):
        if not wlcg:
            raise refused("has capabilities but no wlcg.ver")
        try:
            scopes = scopes_of(scope, terms.base)
        except BadCapability as why:
            raise refused(f"has {why}") from None
        return Caller(name, frozenset({ANYONE}), scopes, until=until, credential=Credential.ISSUED_TOKEN)
    groups = _groups(claims, wlcg, refused)
    own = {f"group:{terms.issuer}#{group}" for group in groups}
    principals = frozenset({name, AUTHENTICATED, ANYONE} | own)
    return Caller(name, principals, until=until, credential=Credential.ISSUED_TOKEN)


_Refused = Callable[..., Unauthenticated]


def _until(claims: dict[str, Any], now: float, refused: _Refused) -> float:
    for claim in ("exp", "nbf", "iat"):
        value = claims.get(claim, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refused(f"has a time that is not a number ({claim})")
    if "exp" not in claims:
        raise refused("never expires (exp)")
    if claims["exp"] + SKEW <= now:
        raise refused("has expired")
    if claims.get("nbf", now) - SKEW > now:
        raise refused("is not yet valid (nbf)", "wait, or set the clock")
    if claims.get("iat", now) - SKEW > now:
        raise refused("was issued in the future (iat)", "wait, or set the clock")
    return float(min(claims["exp"], _END_OF_TIME))


def _check_audience(audience: object, ours: frozenset[str], refused: _Refused) -> None:
    named = audience if isinstance(audience, list) else [audience]
    if not named or not all(isinstance(one, str) for one in named):
        raise refused("does not say whom it is made for (aud)")
    if ours.isdisjoint(named) and ANY_AUDIENCE not in named:
        raise refused("is made for another service (aud)", "ask its issuer for one made for this server")


def _is_wlcg(claims: dict[str, Any], refused: _Refused) -> bool:
    """Whether it follows the WLCG profile; minor versions add only what may be ignored."""
    if "wlcg.ver" not in claims:
        if "wlcg.groups" in claims:
            raise refused("has wlcg.groups but no wlcg.ver")
        return False
    version = claims["wlcg.ver"]
    found = _VERSION.match(version) if isinstance(version, str) else None
    if found is None:
        raise refused("has a malformed wlcg.ver")
    if found[1].lstrip("0") != "1":
        raise refused("follows a version of the WLCG profile that is not known here (wlcg.ver)")
    return True


def _groups(claims: dict[str, Any], wlcg: bool, refused: _Refused) -> list[str]:
    if not wlcg:
        # Other issuers use this claim for what they like; only lists of paths are understood.
        groups = claims.get("groups", [])
        return groups if _are_groups(groups) else []
    groups = claims.get("wlcg.groups", [])
    if not _are_groups(groups):
        raise refused("has malformed wlcg.groups")
    return list(groups)


def _are_groups(groups: object) -> bool:
    return isinstance(groups, list) and all(
        isinstance(one, str) and len(one) <= _MAX_GROUP and one.isprintable() and _GROUP.match(one)
        for one in groups
    )
