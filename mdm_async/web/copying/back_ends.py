"""What this server itself stands on, and this server: no copy may reach them, whatever the settings allow."""

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, urlsplit

from mdm_async.settings import Settings
from mdm_async.web.copying.addresses import meant

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host."""
_POSTGRES, _SYSLOG = 5432, 514


@dataclass(frozen=True, slots=True)
class BackEnds:
    """`ports`: those that this server listens on."""

    hosts: tuple[tuple[str, int], ...]
    ports: Callable[[], tuple[int, ...]]

    @classmethod
    def of(cls, settings: Settings, ports: Callable[[], tuple[int, ...]]) -> Self:
        dsn = settings.database.dsn.get_secret_value() if settings.database.dsn is not None else ""
        return cls((*_hosts_of(dsn), *_syslog(settings.audit.seals or ""), *_public(settings)), ports)

    async def are_at(self, address: str, port: int, lookup: Lookup) -> bool:
        """Whether one of them is reached there."""
        here = _is_here(address)
        if here and port in self.ports():
            return True
        for host, its_port in self.hosts:
            if its_port != port:
                continue
            theirs = await lookup(host, its_port)
            if meant(address) in map(meant, theirs) or (here and any(map(_is_here, theirs))):
                return True
        return False


def _hosts_of(dsn: str) -> Iterator[tuple[str, int]]:
    url = urlsplit(dsn)
    asked = parse_qs(url.query)
    named = url.netloc.rpartition("@")[2].split(",") if url.netloc else []
    named += [host for many in asked.get("host", []) for host in many.split(",")]
    ports = [int(port) for many in asked.get("port", []) for port in many.split(",") if port.isdigit()]
    for host in named:
        split = urlsplit(f"//{host}")
        if split.hostname and not host.startswith("/"):
            for port in (split.port,) if split.port else (*ports, _POSTGRES):
                yield split.hostname, port


def _syslog(seals: str) -> Iterator[tuple[str, int]]:
    if seals.startswith("syslog:"):
        url = urlsplit("//" + seals.removeprefix("syslog:"))
        if url.hostname:
            yield url.hostname, url.port or _SYSLOG


def _public(settings: Settings) -> Iterator[tuple[str, int]]:
    """This server, as a proxy before it shows it to others."""
    url = urlsplit(settings.server.public_url or "")
    if url.hostname:
        yield url.hostname, url.port or (443 if url.scheme == "https" else 80)


def _is_here(address: str) -> bool:
    """Whether it is an address of this machine: only to those can a socket be bound."""
    found = meant(address)
    if found is None:
        return False
    family = socket.AF_INET if found.version == 4 else socket.AF_INET6
    try:
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            probe.bind((str(found), 0))
    except OSError:
        return False
    return True
