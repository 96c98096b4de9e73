"""Who made a macaroon: what is kept of the credential that was shown, and whom it speaks for now.

What is kept is no credential: of the admin's token its hash, of a local token its row, of a certificate the chain that
everybody is shown, of a JWT what its issuer signed without the signature. All that can end a credential is asked again
each time: expiry, revocation, authorities and their lists, an issuer's keys and terms.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from mdm_async.errors import Forbidden, Unauthenticated
from mdm_async.identity.certificates import Trust
from mdm_async.identity.tokens import Issuers
from mdm_async.names import Caller, Credential

_MOST_KEPT = 32 << 10
"""Bytes. It is a row's, read each time that the macaroon is shown; chains with VOMS attributes have a few thousand."""
_CERTIFICATES = (Credential.CERTIFICATE, Credential.PROXY, Credential.VOMS)


@dataclass(frozen=True, slots=True, repr=False)
class Makers:
    """Of this server's credentials, but for macaroons, which make no others: narrowing one takes no server."""

    administrator: Caller
    admin_token: str
    row: Callable[[int], Awaitable[Caller | None]]
    """The local token of this row, while it is valid."""
    issuers: Issuers
    trust: Trust | None

    def kept(self, caller: Caller, authorization: str | None, chain: Sequence[bytes] | None) -> bytes:
        """What to keep of the credential that a request showed. Raises Forbidden."""
        kept = orjson.dumps(self._kept(caller, authorization, chain))
        if len(kept) > _MOST_KEPT:
            raise Forbidden(
                f"no macaroon is made by a credential of more than {_MOST_KEPT} bytes",
                remedy="show a shorter chain of certificates",
            )
        return kept

    def _kept(
        self, caller: Caller, authorization: str | None, chain: Sequence[bytes] | None
    ) -> dict[str, Any]:
        if caller.credential in (Credential.ADMIN_TOKEN, Credential.SOCKET):
            return {"admin": self._admin()}
        if caller.credential is Credential.LOCAL_TOKEN:
            return {"token": caller.token}
        if caller.credential is Credential.ISSUED_TOKEN and authorization is not None:
            return {"jwt": authorization.split()[-1].rpartition(".")[0]}
        if caller.credential in _CERTIFICATES and chain:
            return {"chain": [base64.b64encode(one).decode() for one in chain]}
        raise Forbidden(
            f"no macaroon is made by a {caller.credential}",
            remedy="narrow the macaroon that you have by caveats of your own, or show the credential that made it",
        )

    async def caller(self, kept: bytes) -> Caller:
        """Whom it speaks for now. Raises Unauthenticated, Unavailable."""
        match orjson.loads(kept):
            case {"admin": digest} if digest == self._admin():
                return self.administrator
            case {"token": int(row)}:
                found = await self.row(row)
                if found is not None:
                    return found
            case {"jwt": str(signed)}:
                return await self.issuers.caller_again(signed)
            case {"chain": list(chain)} if self.trust is not None:
                return self.trust.caller([base64.b64decode(one) for one in chain])
        raise Unauthenticated(
            "what made the macaroon is expired, revoked or not known any more", remedy="ask for a new one"
        )

    def _admin(self) -> str:
        return hashlib.sha256(self.admin_token.encode()).hexdigest()
