"""Listens on the socket in the data directory."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from mdm_async.errors import UnsafeSettings
from mdm_async.web.http.accepting import Accepting
from mdm_async.web.http.connections import Connections

_NAME = "admin.sock"


class LocalSite(web.BaseSite):
    """Serves the runner's application on DIR/admin.sock; the caller holds the lock of DIR."""

    def __init__(
        self, runner: web.BaseRunner, directory: Path, connections: Connections, *, backlog: int = 128
    ) -> None:
        super().__init__(runner, backlog=backlog)
        self._path = directory / _NAME
        self._connections = connections
        self._accepting: Accepting | None = None

    @property
    def name(self) -> str:
        return f"unix:{self._path}"

    async def start(self) -> None:
        """What a killed server left there is replaced. Raises UnsafeSettings."""
        await super().start()
        self._remove()
        listener = _bound(self._path)
        listener.listen(self._backlog)
        self._accepting = Accepting([listener], self._connections)
        self._server = self._accepting.server

    async def accept_forever(self) -> None:
        """As that of TcpSite."""
        assert self._accepting is not None
        await self._accepting.forever()

    async def stop(self) -> None:
        is_ours = self._accepting is not None
        if self._accepting is not None:
            await self._accepting.stop()
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
