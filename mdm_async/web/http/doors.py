"""The ports of a server, taken once, all of them or none."""

import socket
from dataclasses import dataclass
from typing import Self

from mdm_async.errors import UnsafeSettings
from mdm_async.settings import ServerSettings
from mdm_async.web.http.accepting import listeners

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Doors:
    """Listening sockets, open as long as the context; a site closes those that it is given, too."""

    plain: list[socket.socket]
    tls: list[socket.socket]

    @classmethod
    async def open(cls, settings: ServerSettings, *, tls: bool) -> Self:
        """Raises UnsafeSettings when a port cannot be had."""
        plain = await _taken(settings.host, settings.port)
        try:
            return cls(plain, await _taken(settings.host, settings.tls_port) if tls else [])
        except BaseException:
            _close(plain)
            raise

    @property
    def port(self) -> int:
        return int(self.plain[-1].getsockname()[1])

    @property
    def tls_port(self) -> int | None:
        return int(self.tls[-1].getsockname()[1]) if self.tls else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()

    def close(self) -> None:
        _close([*self.plain, *self.tls])


def _close(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


async def _taken(host: str, port: int) -> list[socket.socket]:
    try:
        return await listeners(host, port, BACKLOG)
    except OSError as why:
        raise cannot_listen(host, port, why) from why


def cannot_listen(host: str, port: int, why: OSError) -> UnsafeSettings:
    return UnsafeSettings(f"cannot listen on {host}:{port}: {why.strerror}", remedy="choose another --port")
