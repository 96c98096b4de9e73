"""A process of its own that limits itself, leaves the network, and becomes a site's hook.

It is run as a file, by an interpreter that knows nothing of the server, and so imports nothing of it:
`launcher.py MEMORY SECONDS COMMAND...`, in an empty directory that is its own.
"""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import Final

_NEW_USER: Final = 0x10000000
_NEW_NETWORK: Final = 0x40000000
_DEATH_OF_PARENT: Final = 1
_FILES: Final = 256
"""Open at a time."""


def main(arguments: list[str]) -> None:
    memory, seconds, *command = arguments
    for limit, most in (
        (resource.RLIMIT_AS, int(memory)),
        (resource.RLIMIT_FSIZE, int(memory)),
        (resource.RLIMIT_CPU, int(seconds)),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    _leave_the_network()
    _end_with_the_server()
    os.execve(command[0], command, {})  # noqa: S606 - what the site's settings name


def _leave_the_network() -> None:
    """Into a network of its own that has no interfaces; where the kernel lets nobody do so, nothing changes."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_NEW_NETWORK):
            libc.unshare(_NEW_USER | _NEW_NETWORK)


def _end_with_the_server() -> None:
    """A server that is killed ends no hook by itself."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_OF_PARENT, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
