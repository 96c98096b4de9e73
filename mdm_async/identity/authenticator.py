"""Credentials in, callers out: bearer tokens of several kinds, client certificates, or none.

A request's token decides alone: who shows one beside a certificate gets what the token gives and no more. Beside a
macaroon it shows that its maker asks in person, so that the files that come are theirs, whichever macaroon it was.
"""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mdm_async.errors import Unauthenticated
from mdm_async.identity.certificates import Trust
from mdm_async.identity.mapping import Mapping
from mdm_async.identity.tokens import Issuers
from mdm_async.names import ANONYMOUS, ANYONE, AUTHENTICATED, ROOT, Caller, Credential, Right, Scope

ADMIN = Caller(
    "user:admin",
    frozenset({"user:admin", AUTHENTICATED, ANYONE}),
    (Scope(ROOT, frozenset(Right) - {Right.IDENTITY}, frozenset({"*"})),),
    credential=Credential.ADMIN_TOKEN,
)
"""Every right but `i`, on everything: identities must be granted, and the grant is audited."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a credential may be limited to, of the request that shows it; never the request's body.

    `path` is that of the URL, percent-decoded but for '/' and '%'. Where names stand in the body, as in SRM, it
    names an operation: what limits a credential to names is the scopes of its caller, which every verb asks.
    """

    method: str
    path: str
    source: str
    """The address that the request came from."""


class TokenKind(Protocol):
    """One kind of bearer token."""

    async def caller(self, token: str, circumstances: Circumstances) -> Caller | None:
        """Whom the token speaks for; None when it is none of this kind.

        Raises Unauthenticated when it is, but is not valid, or not valid under these circumstances.
        """
        ...


class AdminToken:
    """The one in the server's own directory."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def caller(self, token: str, circumstances: Circumstances) -> Caller | None:
        return ADMIN if token.isascii() and hmac.compare_digest(token.encode(), self._token) else None


class IssuedTokens:
    """WLCG's and OIDC's, which are JWTs."""

    def __init__(self, issuers: Issuers) -> None:
        self._issuers = issuers

    async def caller(self, token: str, circumstances: Circumstances) -> Caller | None:
        return await self._issuers.caller(token) if token.count(".") == 2 else None


class LocalTokens:
    """Those that the catalog knows."""

    def __init__(self, lookup: Callable[[str], Awaitable[Caller | None]]) -> None:
        self._lookup = lookup

    async def caller(self, token: str, circumstances: Circumstances) -> Caller | None:
        return await self._lookup(token) if token.isascii() else None


class Authenticator:
    """Turns what a request shows into its caller."""

    def __init__(self, kinds: Sequence[TokenKind], trust: Trust | None, mapping: Mapping) -> None:
        """`kinds` are asked in this order."""
        self._kinds = kinds
        self._trust = trust
        self._mapping = mapping

    async def caller(
        self, authorization: str | None, chain: Sequence[bytes] | None, circumstances: Circumstances
    ) -> Caller:
        """`chain`: the client's certificate and those that signed it, DER, as TLS verified them.

        Raises Unauthenticated when what is shown is not valid; who shows nothing is anonymous.
        """
        caller = ANONYMOUS
        if authorization is not None:
            caller = self._mapping.apply(await self._bearer(authorization, circumstances))
            if caller.credential is Credential.MACAROON and chain and self._trust is not None:
                caller = _in_person(caller, chain, self._trust)
        elif chain and self._trust is not None:
            caller = self._mapping.apply(self._trust.caller(chain))
        return replace(caller, source=circumstances.source)

    def known(self, caller: Caller, source: str) -> Caller:
        """As `caller`, by a local token that is known to be this one's."""
        return replace(self._mapping.apply(caller), source=source)

    def administrator(self, source: str) -> Caller:
        """Whoever the operating system says may administer the server: by the socket in its directory."""
        return self._mapping.apply(replace(ADMIN, credential=Credential.SOCKET, source=source))

    async def _bearer(self, authorization: str, circumstances: Circumstances) -> Caller:
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(
                "the Authorization header is not a bearer token's",
                remedy="send 'Authorization: Bearer <token>' (mdm token create makes one)",
            )
        for kind in self._kinds:
            caller = await kind.caller(token, circumstances)
            if caller is not None:
                return caller
        raise Unauthenticated("the token is unknown, expired or revoked", remedy="ask for a new one")


def _in_person(caller: Caller, chain: Sequence[bytes], trust: Trust) -> Caller:
    """A macaroon's caller, and whether the certificate beside it is its maker's and as strong."""
    try:
        shown = trust.caller(chain)
    except Unauthenticated:
        return caller
    person = replace(caller, in_person=True)
    return person if person.writer == shown.owner else caller
