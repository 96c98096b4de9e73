"""Every kind of caller that an attacker can be, each with a real credential."""

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.conftest import Reply, Server
from tests.identity.grid_pki import Identity

if TYPE_CHECKING:
    from tests.attack.arena import Arena


@dataclass(frozen=True)
class Principal:
    """Who attacks. `name` is what the audit must call them; None: nobody, for the credential is none (any more)."""

    kind: str
    name: str | None
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    covered: tuple[str, ...] = ()
    """Directories where a scope of theirs counts, whatever the ACLs say."""

    def may_not_reach(self, lfn: str) -> bool:
        return not any(lfn == path or lfn.startswith(f"{path.rstrip('/')}/") for path in self.covered)

    async def call(self, server: Server, method: str, target: str, **options: Any) -> Reply:
        """One request with this credential."""
        headers = {**self.headers, **options.pop("headers", {})}
        if self.tls is not None and "://" not in target:
            target = f"https://localhost:{server.house.tls_port}{target}"
            options["ssl"] = self.tls
        return await server.call(method, target, headers=headers, **options)

    async def srm(self, server: Server, operation: str, **body: Any) -> Reply:
        return await self.call(server, "POST", f"/srm/v2/{operation}", json=body)


def bearer(kind: str, name: str | None, token: str, *covered: str) -> Principal:
    return Principal(kind, name, {"Authorization": f"Bearer {token}"}, covered=covered)


def holder(arena: "Arena", kind: str, identity: Identity, subject: str) -> Principal:
    """Who comes with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=arena.grid.authority.chain[0])
    context.load_cert_chain(identity.write(arena.grid.root / f"{kind}.pem"))
    return Principal(kind, f"dn:{subject}", tls=context)
