"""Bearer credentials: the local admin token, and local tokens looked up in the catalog."""

import hmac
from collections.abc import Awaitable, Callable

from mdm_async.errors import Unauthenticated
from mdm_async.names import ROOT, Caller, Right, Scope

ADMIN = Caller(
    "user:admin",
    frozenset({"user:admin", "any:authenticated"}),
    (Scope(ROOT, frozenset(Right) - {Right.IDENTITY}, frozenset({"*"})),),
)
"""Every right but `i`, on everything: identities must be granted, and the grant is audited."""

Lookup = Callable[[str], Awaitable[Caller | None]]


class Bearer:
    """Turns an Authorization header into a caller."""

    def __init__(self, admin_token: str, lookup: Lookup) -> None:
        self._admin = admin_token.encode()
        self._lookup = lookup

    async def caller(self, authorization: str | None) -> Caller:
        """Raises Unauthenticated when there is no bearer token or it is not valid."""
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(remedy="send 'Authorization: Bearer <token>' (mdm token create makes one)")
        if token.isascii() and hmac.compare_digest(token.encode(), self._admin):
            return ADMIN
        found = await self._lookup(token) if token.isascii() else None
        if found is None:
            raise Unauthenticated("the token is unknown, expired or revoked", remedy="ask for a new one")
        return found
