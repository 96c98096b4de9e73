"""Who may associate: devices by title and address, each with the directory and the rights that it pushes under."""

import ipaddress
from dataclasses import dataclass
from typing import Self

from mdm_async.errors import BadRequest, UnsafeSettings
from mdm_async.images.names.path_template import PathTemplate
from mdm_async.loopback import is_loopback
from mdm_async.names import ANYONE, AUTHENTICATED, Ability, Caller, Lfn, Right, Scope, parse_lfn
from mdm_async.rules import parse_principal
from mdm_async.settings import CallingSettings, PacsSettings


@dataclass(frozen=True, slots=True)
class Peer:
    """One device, as `[[pacs.calling]]` has it."""

    settings: CallingSettings
    directory: Lfn
    template: PathTemplate

    @classmethod
    def of(cls, settings: CallingSettings) -> Self:
        """Raises UnsafeSettings."""
        try:
            directory = parse_lfn(settings.directory)
            if settings.principal is not None:
                parse_principal(settings.principal)
            return cls(settings, directory, PathTemplate(settings.template))
        except BadRequest as why:
            raise UnsafeSettings(
                f"pacs.calling of {settings.ae}: {why.detail}", remedy=why.remedy or "correct it"
            ) from None

    def caller(self, source: str) -> Caller:
        """As whom it pushes: its principal, or itself, by a right to this directory that the settings give."""
        own = self.settings.principal
        if own is not None:
            return Caller(own, frozenset({own, AUTHENTICATED, ANYONE}), source=source)
        name = f"ae:{self.settings.ae}"
        writes = Scope(self.directory, frozenset({Right.WRITE}), also=frozenset({Ability.DIRECTORIES}))
        return Caller(name, frozenset({name, ANYONE}), (writes,), source=source)

    def calls_from(self, source: str) -> bool:
        try:
            address = ipaddress.ip_address(source)
        except ValueError:
            return False
        return any(address in one for one in self.settings.networks)

    @property
    def sends_plain_far(self) -> bool:
        """Whether unencrypted images cross a network."""
        return any(not is_loopback(str(one.network_address)) for one in self.settings.networks)


@dataclass(frozen=True, slots=True)
class Peers:
    known: tuple[Peer, ...]

    @classmethod
    def of(cls, settings: PacsSettings) -> Self:
        """Raises UnsafeSettings."""
        return cls(tuple(map(Peer.of, settings.calling)))

    def find(self, title: str, source: str) -> Peer | None:
        """The one of this title that calls from this address."""
        return next((one for one in self.known if one.settings.ae == title and one.calls_from(source)), None)


def address_of(peername: object) -> str:
    """Of a connection's other end; an IPv4 address in IPv6's form is written as what it is."""
    if not isinstance(peername, tuple) or not peername:
        return ""
    try:
        mapped = ipaddress.IPv6Address(peername[0]).ipv4_mapped
    except ValueError:
        return str(peername[0])
    return str(mapped) if mapped is not None else str(peername[0])
