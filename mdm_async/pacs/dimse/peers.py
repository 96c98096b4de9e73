"""Who may associate: devices by title, address and certificate, and where and as whom each of them pushes."""

import ipaddress
from dataclasses import dataclass
from typing import Self

from mdm_async.errors import BadRequest, UnsafeSettings
from mdm_async.images.transfers.filing import Landing
from mdm_async.loopback import is_loopback
from mdm_async.names import ANYONE, AUTHENTICATED, Ability, Caller, Right, Scope, View, parse_view
from mdm_async.pacs.dimse.tls import certificate
from mdm_async.rules import parse_principal
from mdm_async.settings import CallingSettings, PacsSettings, PacsSourceSettings


@dataclass(frozen=True, slots=True)
class OtherEnd:
    """Of a connection: its address, whether TLS secures it, and the certificate (DER) that was shown."""

    address: str
    secured: bool = False
    certificate: bytes | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """One device, as `[[pacs.calling]]` has it; or an archive of `[[pacs.sources]]` that moves images here: of which
    nothing lands that is not awaited."""

    settings: CallingSettings | PacsSourceSettings
    landing: Landing | None
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    certificate: bytes | None
    """That it has to show (DER)."""
    view: View | None
    """In which it searches and retrieves, as its principal may; without one it does neither."""

    @classmethod
    def of(cls, settings: CallingSettings) -> Self:
        """Raises UnsafeSettings."""
        try:
            if settings.principal is not None:
                parse_principal(settings.principal)
            shown = certificate(settings.certificate) if settings.certificate is not None else None
            landing = Landing.of(settings.directory, settings.template, settings.issuer)
            view = parse_view(settings.view) if settings.view is not None else None
            return cls(settings, landing, tuple(settings.networks), shown, view)
        except BadRequest as why:
            raise UnsafeSettings(
                f"pacs.calling of {settings.ae}: {why.detail}", remedy=why.remedy or "correct it"
            ) from None

    @classmethod
    def of_archive(cls, settings: PacsSourceSettings) -> Self:
        """Raises UnsafeSettings."""
        shown = certificate(settings.certificate) if settings.certificate is not None else None
        return cls(settings, None, tuple(settings.networks), shown, None)

    @property
    def title(self) -> str:
        return self.settings.ae or ""

    def caller(self, source: str) -> Caller:
        """As whom it asks: its principal, or itself, by a right to this directory that the settings give."""
        name = f"ae:{self.title}"
        if self.landing is None:
            return Caller(name, frozenset({name, ANYONE}), source=source)
        own = self.settings.principal if isinstance(self.settings, CallingSettings) else None
        if own is not None:
            return Caller(own, frozenset({own, AUTHENTICATED, ANYONE}), source=source)
        writes = Scope(
            self.landing.directory, frozenset({Right.WRITE}), also=frozenset({Ability.DIRECTORIES})
        )
        return Caller(name, frozenset({name, ANYONE}), (writes,), source=source)

    def calls_from(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in one for one in self.networks)

    def is_at(self, end: OtherEnd) -> bool:
        """Whether this may be the device at the other end of a connection."""
        if not self.calls_from(end.address):
            return False
        if not end.secured and (
            self.settings.secured or not (self.settings.plain or is_loopback(end.address))
        ):
            return False
        return self.certificate in (None, end.certificate)

    @property
    def sends_plain_far(self) -> bool:
        """Whether unencrypted images may cross a network."""
        far = any(not is_loopback(str(one.network_address)) for one in self.networks)
        return far and self.settings.plain and not self.settings.secured


@dataclass(frozen=True, slots=True)
class Peers:
    known: tuple[Peer, ...]

    @classmethod
    def of(cls, settings: PacsSettings) -> Self:
        """Raises UnsafeSettings."""
        moving = [one for one in settings.sources if one.retrieve == "C-MOVE"]
        # Who is both is found as the device: what it pushes unasked has a directory.
        return cls((*map(Peer.of, settings.calling), *map(Peer.of_archive, moving)))

    @property
    def certificates(self) -> list[bytes]:
        return [one.certificate for one in self.known if one.certificate is not None]

    def expect(self, address: str) -> bool:
        """Whether some device calls from there."""
        return any(one.calls_from(address) for one in self.known)

    def find(self, title: str, end: OtherEnd) -> Peer | None:
        """The one of this title at the other end of a connection."""
        return next((one for one in self.known if one.title == title and one.is_at(end)), None)

    def why_not(self, title: str, end: OtherEnd) -> str:
        """What keeps whoever calls from being one of these: for those who run this server, never for the caller."""
        named = [one for one in self.known if one.title == title]
        if not named:
            return "no [[pacs.calling]] has this ae; case counts"
        here = [one for one in named if one.calls_from(end.address)]
        if not here:
            return "its hosts have not this address"
        if end.secured:
            return "it shows another certificate than the settings have, or none"
        return (
            "it must come by TLS" if here[0].settings.secured else "it must come by TLS, or have plain = true"
        )


def address_of(peername: object) -> str:
    """Of a connection's other end; an IPv4 address in IPv6's form is written as what it is."""
    if not isinstance(peername, tuple) or not peername:
        return ""
    try:
        mapped = ipaddress.IPv6Address(peername[0]).ipv4_mapped
    except ValueError:
        return str(peername[0])
    return str(mapped) if mapped is not None else str(peername[0])
