"""Credentials in, callers out: bearer tokens of three kinds, client certificates, or none.

A request's token decides alone: who shows one beside a certificate gets what the token gives and no more.
"""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

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

Lookup = Callable[[str], Awaitable[Caller | None]]


class Authenticator:
    """Turns what a request shows into its caller."""

    def __init__(
        self, admin_token: str, lookup: Lookup, issuers: Issuers, trust: Trust | None, mapping: Mapping
    ) -> None:
        self._admin = admin_token.encode()
        self._lookup = lookup
        self._issuers = issuers
        self._trust = trust
        self._mapping = mapping

    async def caller(self, authorization: str | None, chain: Sequence[bytes] | None) -> Caller:
        """`chain`: the client's certificate and those that signed it, DER, as TLS verified them.

        Raises Unauthenticated when what is shown is not valid; who shows nothing is anonymous.
        """
        if authorization is not None:
            return self._mapping.apply(await self._bearer(authorization))
        if chain and self._trust is not None:
            return self._mapping.apply(self._trust.caller(chain))
        return ANONYMOUS

    def administrator(self) -> Caller:
        """Whoever the operating system says may administer the server: by the socket in its directory."""
        return self._mapping.apply(replace(ADMIN, credential=Credential.SOCKET))

    async def _bearer(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(
                "the Authorization header is not a bearer token's",
                remedy="send 'Authorization: Bearer <token>' (mdm token create makes one)",
            )
        if token.isascii() and hmac.compare_digest(token.encode(), self._admin):
            return ADMIN
        if token.count(".") == 2:
            return await self._issuers.caller(token)
        found = await self._lookup(token) if token.isascii() else None
        if found is None:
            raise Unauthenticated("the token is unknown, expired or revoked", remedy="ask for a new one")
        return found
