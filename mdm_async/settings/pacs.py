"""The section `[pacs]`: the hospital's devices and archives, and how this server speaks with them."""

import ipaddress
from collections import Counter
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from mdm_async.loopback import is_loopback
from mdm_async.settings.ae_titles import AeTitle
from mdm_async.settings.networks import network_of
from mdm_async.settings.pacs_sources import Issuer, PacsSourceSettings
from mdm_async.settings.sections import Section


class CallingSettings(Section):
    """A device, archive or tool that may push images, and search for them: `[[pacs.calling]]`."""

    ae: AeTitle = Field(description="its AE title")
    hosts: tuple[str, ...] = Field(
        min_length=1,
        description="addresses, or networks of them, that it calls from; names are not looked up",
    )
    directory: str = Field(description="directory under which what it sends lands")
    template: str = Field(
        "{patient}/{study}/{series}/{instance}.dcm",
        description="path below the directory, in the language of `mdm link`",
    )
    principal: str | None = Field(
        None, description="whose rights decide; default, of 'w' alone: what stands here is the permission"
    )
    view: str | None = Field(
        None,
        description="what it searches and retrieves in, as its principal may; without it, it does neither",
    )
    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="its own port, with the one address in hosts: for C-MOVE to it, and reports of storage commitment",
    )
    issuer: Issuer | None = Field(
        None,
        description="who issues the Patient IDs in what it sends; equal IDs of others are other patients",
    )
    tls: bool = Field(False, description="it must come by TLS")
    certificate: Path | None = Field(
        None, description="certificate (PEM) that it must show, by TLS; whoever issued it"
    )
    plain: bool = Field(
        False, description="it may send unencrypted, and is believed by title and address, off the loopback"
    )
    associations: int | None = Field(
        None, ge=1, description="its associations at once; default: three quarters of all"
    )

    @field_validator("hosts")
    @classmethod
    def _are_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        networks = [network_of(host) for host in given]
        if not all(one.prefixlen for one in networks):
            raise ValueError(
                "every address there is may be anybody's; name the addresses or networks of the device"
            )
        return tuple(map(str, networks))

    @property
    def networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        return [ipaddress.ip_network(host) for host in self.hosts]

    @property
    def secured(self) -> bool:
        """Whether it has to come by TLS."""
        return self.tls or self.certificate is not None

    @model_validator(mode="after")
    def _is_at_one_address(self) -> "CallingSettings":
        one = len(self.networks) == 1 and self.networks[0].num_addresses == 1
        if self.port is not None and not one:
            raise ValueError(f"{self.ae} has a port and more than one address in hosts: which is called?")
        return self

    @model_validator(mode="after")
    def _is_somebody(self) -> "CallingSettings":
        if self.view is None:
            return self
        if self.principal is None:
            raise ValueError(
                f"{self.ae} has a view and no principal: nothing is shown to nobody. Set principal"
            )
        if self.view == "identified" and self.certificate is None:
            raise ValueError(
                f"{self.ae} would see identities by its title and address, which prove nothing. Set certificate, or "
                "another view"
            )
        return self

    @model_validator(mode="after")
    def _is_safe(self) -> "CallingSettings":
        if self.secured:
            return self
        far = [host for host in self.networks if not is_loopback(str(host.network_address))]
        if far and not self.plain:
            raise ValueError(
                f"{self.ae} would send patients' images unencrypted over the network, and whoever takes its title and "
                "address is believed to be it. Set tls = true, or plain = true if that network is the hospital's own "
                "and closed"
            )
        return self


class PacsSettings(Section):
    """The hospital's side."""

    ae_title: AeTitle = Field("MDM", description="AE title of this server")
    host: str | None = Field(None, description="address to listen on; default: server.host")
    port: int | None = Field(
        None, ge=0, le=65535, description="port on which devices may push images (11112 is usual); none: they may not"
    )  # fmt: skip
    calling: tuple[CallingSettings, ...] = Field((), description="who may push images; nobody by default")
    sources: tuple[PacsSourceSettings, ...] = Field(
        (), description="archives that images are registered at and fetched from"
    )
    associations: int = Field(64, ge=1, le=4096, description="associations at once, of all callers")
    head_seconds: float = Field(
        10, gt=0, description="seconds from a connection to the end of its A-ASSOCIATE-RQ"
    )
    idle_seconds: float = Field(60, gt=0, description="seconds that an association may be silent")
    commitment_hours: float = Field(
        72,
        gt=0,
        description="hours for which a report of storage commitment is kept until its device takes it",
    )

    @field_validator("sources")
    @classmethod
    def _have_names(cls, given: tuple[PacsSourceSettings, ...]) -> tuple[PacsSourceSettings, ...]:
        for name, count in Counter(one.name for one in given).items():
            if count > 1:
                raise ValueError(f"{count} archives have the name {name!r}; give each its own")
        return given

    @model_validator(mode="after")
    def _listens_to_callers(self) -> "PacsSettings":
        if self.calling and self.port is None:
            raise ValueError(
                "calling names devices, and no port listens to them; set pacs.port (11112 is usual)"
            )
        return self

    @model_validator(mode="after")
    def _listens_to_archives(self) -> "PacsSettings":
        for one in self.sources:
            if one.retrieve == "C-MOVE" and self.port is None:
                raise ValueError(
                    f"{one.name} would move images to this server, and no port listens to it; set pacs.port (11112 is "
                    "usual)"
                )
        return self

    @model_validator(mode="after")
    def _tells_callers_apart(self) -> "PacsSettings":
        for number, one in enumerate(self.calling):
            for other in self.calling[:number]:
                shared = [a for a in one.networks for b in other.networks if _overlap(a, b)]
                if one.ae == other.ae and shared:
                    raise ValueError(f"calling: {one.ae} at {shared[0]} stands there twice; name it once")
                if one.ae == other.ae and one.port is not None and other.port is not None:
                    raise ValueError(
                        f"calling: two devices that are called {one.ae} have a port: to which of them are images moved?"
                    )
        return self


def _overlap(
    one: ipaddress.IPv4Network | ipaddress.IPv6Network, other: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.overlaps(other)
    return isinstance(other, ipaddress.IPv6Network) and one.overlaps(other)
