"""What a decoder or hook that was taken over tries: each attempt by name, with what it got. The standard library only.

Nothing is `NOTHING`; anything else is a break-in.
"""

import ctypes
import errno
import fcntl
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

NOTHING = "nothing"
libc = ctypes.CDLL(None, use_errno=True)


def numbered(number: int, *arguments: object) -> int:
    """A system call by its number (x86-64 and aarch64 share those from 424 on)."""
    found = libc.syscall(ctypes.c_long(number), *arguments)
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(found)


def read(path: str) -> object:
    with open(path, "rb") as file:
        return file.read(64) or None


def connected(family: int, address: object) -> object:
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(2)
        one.connect(address)
        return "connected"


def sent(address: object) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        return one.sendto(b"x", address)


def written(path: str) -> object:
    with open(path, "w") as file:
        file.write("x")
    return "written"


def memory(pid: int) -> object:
    with open(f"/proc/{pid}/mem", "rb"):
        return "open"


def read_across(pid: int) -> object:
    """process_vm_readv(2): EFAULT, for an address that is none, means that it was allowed."""
    into = ctypes.create_string_buffer(8)
    here = (ctypes.c_void_p * 2)(ctypes.addressof(into), 8)
    there = (ctypes.c_void_p * 2)(8, 8)
    found = libc.process_vm_readv(pid, here, 1, there, 1, 0)
    if found < 0 and ctypes.get_errno() != errno.EFAULT:
        raise OSError(ctypes.get_errno(), "")
    return "allowed"


def traced(pid: int) -> object:
    """PTRACE_SEIZE, which does not stop it: so nothing has to be waited for, and the end of this process lets go."""
    if libc.ptrace(0x4206, pid, None, None) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "attached"


def unshared(flags: int) -> object:
    if libc.unshare(flags) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "a namespace"


def shared_memory() -> object:
    found = libc.shmget(ctypes.c_int(4711), ctypes.c_size_t(4096), 0o1666)
    if found < 0:
        raise OSError(ctypes.get_errno(), "")
    return found


def mounted(folder: str) -> object:
    if libc.mount(b"none", folder.encode(), b"tmpfs", 0, None) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "mounted"


def slowed(pid: int) -> object:
    """Another's limits."""
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)


def attempts(aim: dict) -> dict[str, Callable[[], object]]:
    server = aim["server"]
    tried: dict[str, Callable[[], object]] = {
        f"read {path}": (lambda path=path: read(path)) for path in aim["files"]
    }
    tried |= {f"list {path}": (lambda path=path: list(os.scandir(path))) for path in aim["folders"]}
    tried |= {
        f"connect {path}": (lambda path=path: connected(socket.AF_UNIX, path)) for path in aim["sockets"]
    }
    tried |= {
        f"/proc of the server: {name}": (lambda name=name: read(f"/proc/{server}/{name}"))
        for name in ("environ", "maps", "auxv", "cmdline", "root/etc/passwd")
    }
    return tried | {
        "memory of the server": lambda: memory(server),
        "its descriptors": lambda: list(os.scandir(f"/proc/{server}/fd")),
        "read across": lambda: read_across(server),
        "trace the server": lambda: traced(server),
        "kill the server": lambda: os.kill(server, 0) or "would have",
        "its limits": lambda: slowed(server),
        "a descriptor of the server": lambda: numbered(438, numbered(434, server, 0), 0, 0),
        "TCP": lambda: connected(socket.AF_INET, ("127.0.0.1", aim["port"])),
        "UDP": lambda: sent(("127.0.0.1", aim["port"])),
        "an abstract socket": lambda: connected(socket.AF_UNIX, aim["abstract"]),
        "listen": lambda: socket.socket().listen() or "listening",
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) and "a socket",
        "write elsewhere": lambda: written(f"{aim['open']}/left"),
        "make a folder": lambda: Path(f"{aim['open']}/made").mkdir() or "made",
        "a namespace": lambda: unshared(0x10000000 | 0x00020000),
        "mount": lambda: mounted(aim["open"]),
        "shared memory": shared_memory,
        "io_uring": lambda: numbered(425, 8, ctypes.create_string_buffer(256)),
        "environment": lambda: (set(os.environ) - {"LC_CTYPE"}) or None,
        "other descriptors": lambda: strange_descriptors(aim["own"]) or None,
        "core dumps": lambda: resource.getrlimit(resource.RLIMIT_CORE)[1] or None,
        "new privileges": lambda: "may" if libc.prctl(39, 0, 0, 0, 0) == 0 else None,
    }


def strange_descriptors(own: int) -> list[int]:
    """Beyond the first three, and as many sockets of its own."""
    found = []
    for number in range(3, 1024):
        try:
            fcntl.fcntl(number, fcntl.F_GETFD)
        except OSError:
            continue
        found.append(number)
    return found[own:]


def tried(aim: dict) -> dict[str, str]:
    signal.signal(signal.SIGSYS, signal.SIG_IGN)
    told = {}
    for name, attempt in attempts(aim).items():
        try:
            got = attempt()
            told[name] = NOTHING if got is None else str(got)[:40]
        except OSError:
            told[name] = NOTHING
    return told


if __name__ == "__main__":
    frames = sys.stdin.buffer.read()
    answer = json.dumps({name: got for name, got in tried(json.loads(sys.argv[1])).items() if got != NOTHING})
    sys.stdout.write(answer[: len(frames)].ljust(len(frames)))
