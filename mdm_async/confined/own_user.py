"""The user that foreign bytes are handled as, where root runs the server: one that owns nothing."""

import ctypes
import os
import platform
import pwd
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from mdm_async.confined import kernel, landlock

_NAME: Final = "nobody"
_KERNELS: Final = 65534
"""The kernel's own word for nobody (overflowuid)."""
_READ, _EXECUTE = 0o004, 0o001
_KEEP_CAPABILITIES: Final = 8
"""prctl(2)."""
_CHOWN, _DAC_READ_SEARCH, _SETGID, _SETUID = 0, 2, 6, 7
_VERSION_3: Final = 0x20080522
"""capabilities(7), capset(2)."""
_CAPSET: Final = {"x86_64": 126, "aarch64": 91}


def nobody() -> tuple[int, int] | None:
    """Their uid and gid; None when this server is not root's, or has not its capabilities (as in a container that drops
    them), and so cannot become anybody else."""
    if os.geteuid() != 0 or _lacks(_CHOWN, _SETGID, _SETUID):
        return None
    with suppress(KeyError):
        account = pwd.getpwnam(_NAME)
        if account.pw_uid:
            return account.pw_uid, account.pw_gid
    return _KERNELS, _KERNELS


def _lacks(*capabilities: int) -> bool:
    told = Path("/proc/thread-self/status").read_text()
    effective = int(told.partition("CapEff:")[2].split()[0], 16)
    return any(not effective >> each & 1 for each in capabilities)


def can_be_reached(path: Path) -> bool:
    """Whether any user may walk to this place and read it."""
    found = path.resolve()
    return all(folder.stat().st_mode & _EXECUTE for folder in found.parents) and bool(
        found.stat().st_mode & _READ
    )


def become(uid: int, gid: int, *, reading: bool) -> bool:
    """For ever, with no other group and no capability; False where this container does not have that user.

    `reading`: with one capability, to read what modes forbid, if Landlock is there to say where; without it: False.
    """
    if reading and not (landlock.abi() and platform.machine() in _CAPSET):
        return False
    try:
        kernel.prctl(_KEEP_CAPABILITIES, kernel.number(int(reading)))
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        if reading:
            _keep_only(_DAC_READ_SEARCH)
    except OSError:
        return False
    return True


def _keep_only(capability: int) -> None:
    header = struct.pack("Ii", _VERSION_3, 0)
    kept = struct.pack("6I", 1 << capability, 1 << capability, 0, 0, 0, 0)
    kernel.call(_CAPSET[platform.machine()], ctypes.c_char_p(header), ctypes.c_char_p(kept))
