"""What a user of the same machine sees of a server that was given its secrets in the environment."""

import base64
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from tests.anybody import python_for_anybody
from tests.faults.serving import serving

KEK = base64.b64encode(bytes(range(32))).decode()
AS_A_USER = """
import ctypes, os, sys
sys.path[:0] = {path!r}
from mdm_async.own_process import close_to_others
libc = ctypes.CDLL(None)
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    libc.prctl(4, 1)  # as a process is that this user started
print("open", flush=True)
sys.stdin.readline()
close_to_others(["MDM_KEYS__KEK"])
os.environ["LATER"] = "1"
libc.getenv.restype = ctypes.c_char_p
print(libc.getenv(b"ANOTHER").decode(), os.environ["ANOTHER"], "MDM_KEYS__KEK" in os.environ, flush=True)
sys.stdin.readline()
"""
READ = "import sys; sys.stdout.buffer.write(open(f'/proc/{sys.argv[1]}/' + sys.argv[2], 'rb').read())"


def seen(pid: int, name: str = "environ") -> bytes:
    """As an unprivileged user of the same name sees it."""
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    found = subprocess.run(
        [python_for_anybody(), "-I", "-c", READ, str(pid), name], capture_output=True, **user
    )
    return found.stdout


def test_its_user_reads_no_secret_of_it_and_it_still_has_its_environment() -> None:
    program = AS_A_USER.format(path=sys.path)
    with psutil.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"MDM_KEYS__KEK": KEK, "ANOTHER": "value"},
    ) as process:
        assert process.stdout.readline() == "open\n"
        assert KEK.encode() in seen(process.pid)
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "value value False\n"
        for name in ("environ", "maps", "auxv"):
            assert seen(process.pid, name) == b"", name
        if os.geteuid() == 0:
            assert not Path(f"/proc/{process.pid}/environ").read_bytes().strip(b"\0")
        process.stdin.close()
    assert process.returncode == 0


async def test_neither_a_server_nor_what_it_starts_shows_its_key_and_none_dumps_core() -> None:
    with tempfile.TemporaryDirectory(prefix="mdm-test-") as folder:
        async with serving(Path(folder).resolve() / "data", keys__kek=KEK) as server:
            family = [psutil.Process(server.process.pid)]
            family += family[0].children(recursive=True)
            assert len(family) > 2
            for process in family:
                try:
                    shown = Path(f"/proc/{process.pid}/environ").read_bytes()
                    limits = Path(f"/proc/{process.pid}/limits").read_text()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                assert KEK.encode() not in shown, process.cmdline()
                assert "Max core file size        0                    0" in limits, process.cmdline()
            assert await server.stop() in (0, -signal.SIGTERM)


@pytest.fixture(autouse=True)
def _no_key_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MDM_KEYS__KEK", raising=False)
