"""Whether another server may be connected to, asked before each connection: its name, and the address it has now."""

import asyncio
import socket
from dataclasses import dataclass

from mdm_async.errors import Forbidden, NotSupported, PeerFailed
from mdm_async.settings import CopySettings
from mdm_async.web.copying.addresses import may_be_reached
from mdm_async.web.copying.back_ends import BackEnds, Lookup
from mdm_async.web.copying.other_side import OtherSide


async def looked_up(host: str, port: int) -> list[str]:
    """The addresses that a host has now. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Guard:
    settings: CopySettings
    back_ends: BackEnds
    lookup: Lookup = looked_up

    def demand_listed(self, side: OtherSide) -> None:
        """Raises NotSupported where there are no copies at all, Forbidden where there are none with that server."""
        if not self.settings.hosts:
            raise NotSupported(
                "files are not copied to or from other servers here",
                remedy="let the client copy it, or the administrator list the server in copy.hosts",
            )
        if side.origin not in self.settings.hosts:
            raise Forbidden(
                "files may not be copied to or from that server",
                remedy="ask the administrator to list it, with its port, in copy.hosts",
            )

    async def addresses(self, side: OtherSide) -> list[str]:
        """Where the server is to be connected to, looked up once. Raises as `demand_listed`, Forbidden, PeerFailed."""
        self.demand_listed(side)
        try:
            async with asyncio.timeout(self.settings.stall_seconds):
                found = await self.lookup(side.host, side.port)
                allowed = [
                    address
                    for address in found
                    if may_be_reached(address, self.settings.networks)
                    and not await self.back_ends.are_at(address, side.port, self.lookup)
                ]
        except TimeoutError:
            raise PeerFailed("the other server's name was not found in time") from None
        except (OSError, UnicodeError):
            raise PeerFailed("the other server's name is not known") from None
        if not allowed:
            raise Forbidden(
                "the other server's address is one that files may not be copied to or from",
                remedy="where it is meant to be inside of the site, list its network in copy.networks",
            )
        return allowed
