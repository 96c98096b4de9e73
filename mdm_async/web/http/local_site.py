"""Listens on the socket in the data directory."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Self

from aiohttp import web

from mdm_async.errors import UnsafeSettings
from mdm_async.web.http.accepting import Accepting
from mdm_async.web.http.connections import Connections

_NAME = "admin.sock"


class LocalDoor:
    """A socket that listens on DIR/admin.sock, which goes when it is closed; or one that is another process's, too, who
    sees to that."""

    def __init__(self, listener: socket.socket, path: Path | None = None) -> None:
        self.listener = listener
        self._path = path

    @classmethod
    def open(cls, directory: Path, backlog: int) -> Self:
        """The caller holds the lock of DIR. What a killed server left there is replaced. Raises UnsafeSettings."""
        path = directory / _NAME
        _remove(path)
        listener = _bound(path)
        listener.listen(backlog)
        return cls(listener, path)

    def close(self) -> None:
        """Once more does nothing."""
        self.listener.close()
        if self._path is not None:
            _remove(self._path)
            self._path = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()


class LocalSite(web.BaseSite):
    """Serves the runner's application there."""

    def __init__(self, runner: web.BaseRunner, door: LocalDoor, connections: Connections) -> None:
        super().__init__(runner)
        self._door, self._connections = door, connections
        self._accepting: Accepting | None = None

    @property
    def name(self) -> str:
        return f"unix:{_NAME}"

    async def start(self) -> None:
        await super().start()
        self._accepting = Accepting([self._door.listener], self._connections)
        self._server = self._accepting.server

    async def accept_forever(self) -> None:
        """As that of TcpSite."""
        assert self._accepting is not None
        await self._accepting.forever()

    async def stop(self) -> None:
        if self._accepting is not None:
            await self._accepting.stop()
        await super().stop()
        self._door.close()


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise UnsafeSettings(f"{path} is not a socket", remedy="move it away")
        path.unlink()


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
