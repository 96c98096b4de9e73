"""A server on this machine, reached by the socket in its data directory.

Only the server's user and root can put a socket there, so what listens on it is the server: it has proved itself
before anything is sent, and by the same token whoever may connect is its administrator. A port proves nothing:
anybody can listen on one while the server is down.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from yarl import URL

from mdm_async.errors import InsecureChannel, Unreachable

SOCKET: Final = "admin.sock"
BASE: Final = URL("http://localhost")
"""What requests over the socket are addressed to; the server's transfer URLs for them begin with it too."""
_DEFAULT: Final = "mdm-data"
_LEFT_THERE: Final = (".mdm.lock", "secrets")
"""By a server, in its directory; its secrets may lie elsewhere."""
_OF_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class LocalServer:
    """The server of a data directory. `was_named`: then root takes it from any owner."""

    directory: Path
    was_named: bool

    @contextmanager
    def socket(self) -> Iterator[str]:
        """The socket's path, while the directory is held open: nobody can put another one in its place, and the path
        is short however long the directory's is (sun_path holds 107 bytes).

        Raises InsecureChannel where others could have made the socket, Unreachable without a directory.
        """
        try:
            descriptor = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as why:
            raise Unreachable(f"the directory {self.directory} cannot be entered: {why.strerror}") from None
        try:
            if not self.is_safe(os.fstat(descriptor)):
                raise InsecureChannel(
                    f"others than you could have put a socket into {self.directory}",
                    remedy="make it the server's own (mode 0700), or name the server with --url",
                )
            yield f"/proc/self/fd/{descriptor}/{SOCKET}"
        finally:
            os.close(descriptor)

    def is_safe(self, facts: os.stat_result) -> bool:
        trusted = {0, os.geteuid()}
        is_ours = facts.st_uid in trusted or (self.was_named and os.geteuid() == 0)
        return is_ours and not facts.st_mode & _OF_OTHERS


def find_local(environ: Mapping[str, str] = os.environ) -> LocalServer | None:
    """That of MDM_DATA or ./mdm-data, if a server of ours has ever been there, whether or not it runs now: when it
    does not, whoever listens on its port is not it."""
    named = environ.get("MDM_DATA")
    local = LocalServer(Path(named or _DEFAULT), bool(named))
    try:
        is_ours = local.is_safe(local.directory.stat()) and any(
            (local.directory / left).exists() for left in _LEFT_THERE
        )
    except OSError:
        return None
    return local if is_ours else None
