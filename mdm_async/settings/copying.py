"""The section `[copy]`: which other servers files may be copied from and to, and at what cost."""

import ipaddress
import re

from pydantic import Field, field_validator

from mdm_async.settings.sections import Section

_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\]):(\d{1,5})\Z")


class CopySettings(Section):
    """Third-party copies: files that this server itself gets from another one, or sends there."""

    hosts: tuple[str, ...] = Field(
        (),
        description="servers that files may be copied from and to, as host:port; none: there are no copies",
    )
    networks: tuple[str, ...] = Field(
        (), description="networks of loopback, private or link-local addresses in which such servers may be"
    )
    running: int = Field(64, ge=1, description="copies at once; more are answered 429")
    seconds: float = Field(86_400, gt=0, description="seconds that one copy may take")
    stall_seconds: float = Field(
        120, gt=0, description="seconds in which the other server must answer, and take or give 64 KiB"
    )
    marker_seconds: float = Field(
        5, gt=0, le=60, description="seconds between two lines that tell a client how far its copy is"
    )
    kept: int = Field(
        1000, ge=1, description="copies asked for by SRM of which is known, on this node, what became of them"
    )

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        hosts = tuple(host.lower() for host in given)
        for host in hosts:
            match = _HOST.match(host)
            if match is None or not 0 < int(match[2]) < 65536:
                raise ValueError(f"{host!r} is not host:port, as se.example.org:443")
        return hosts

    @field_validator("networks")
    @classmethod
    def _are_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(network)) for network in given)
