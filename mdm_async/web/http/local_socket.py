"""The socket in the data directory, by which commands on the same machine reach the server without a token.

Whoever may connect is the server's user or root, and so its administrator; nobody but those two could have put the
socket there, and so it proves the server to them.
"""

import asyncio
import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import cast

from aiohttp import web

from mdm_async.errors import Forbidden, UnsafeSettings

SOURCE = "socket"
"""Stands for an address in the audit."""
_NAME = "admin.sock"
_PEER = struct.Struct("3i")
"""struct ucred: pid, uid, gid (unix(7))."""


class LocalSite(web.BaseSite):
    """Serves the runner's application on DIR/admin.sock; the caller holds the lock of DIR."""

    def __init__(self, runner: web.BaseRunner, directory: Path, *, backlog: int = 128) -> None:
        super().__init__(runner, backlog=backlog)
        self._path = directory / _NAME

    @property
    def name(self) -> str:
        return f"unix:{self._path}"

    async def start(self) -> None:
        """What a killed server left there is replaced. Raises UnsafeSettings."""
        await super().start()
        self._remove()
        listener = _bound(self._path)
        server = self._runner.server
        assert server is not None
        self._server = await asyncio.get_running_loop().create_unix_server(
            server, sock=listener, backlog=self._backlog
        )

    async def stop(self) -> None:
        is_ours = self._server is not None
        await super().stop()
        if is_ours:
            self._remove()

    def _remove(self) -> None:
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise UnsafeSettings(f"{self._path} is not a socket", remedy="move it away")
            self._path.unlink()


def _bound(path: Path) -> socket.socket:
    """A socket of mode 0600 from its first moment. It is bound by a short way, for sun_path holds 107 bytes only."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), stat.S_IRUSR | stat.S_IWUSR)
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")
    except OSError as why:
        listener.close()
        raise UnsafeSettings(f"{path} cannot be made: {why.strerror}") from None
    finally:
        os.close(directory)
    listener.setblocking(False)
    return listener


def came_by_socket(request: web.Request) -> bool:
    # Whatever came by TCP has an address.
    return not request.remote and _socket_of(request) is not None


def demand_own_peer(request: web.Request) -> None:
    """Raises Forbidden for others than root and the server's own user, whom the socket's mode keeps away already."""
    connection = _socket_of(request)
    if connection is None or _uid_of_peer(connection) not in (0, os.geteuid()):
        raise Forbidden("the socket is for the server's own user and root")


def _uid_of_peer(connection: socket.socket) -> int:
    # A duplicate: uvloop's stand-in for a socket has no options.
    with socket.socket(fileno=os.dup(connection.fileno())) as own:
        _, uid, _ = _PEER.unpack(own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return cast("int", uid)


def _socket_of(request: web.Request) -> socket.socket | None:
    connection = request.transport.get_extra_info("socket") if request.transport is not None else None
    is_local = connection is not None and connection.family == socket.AF_UNIX
    return connection if is_local else None
