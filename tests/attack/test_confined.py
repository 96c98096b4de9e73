"""A decoder or hook that was taken over gets nothing: no file, no process, no network; as root's server or a user's."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mdm_async.confined import landlock
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.images.hooks.hooks import Hooks
from mdm_async.images.views.scrubbing import Scrubber
from mdm_async.settings import HookSettings, ScrubSettings
from tests.anybody import python_for_anybody
from tests.attack import burglar
from tests.attack.burglar import NOTHING, tried

LAYOUT = Layout(1, 1, 1, 1, 8, 8, 7, False, False, "MONOCHROME2")
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(landlock.abi() < 6, reason="this kernel has no Landlock that knows scopes")


@dataclass(frozen=True)
class Burgling:
    """A job that tries it. `alone`: as decoders do."""

    aim: dict[str, Any]
    alone: bool
    size: int = 1 << 20

    def run(self) -> str:
        return json.dumps(tried(self.aim))


@contextmanager
def house() -> Iterator[dict[str, Any]]:
    """Something of everything that a server has, in a folder whose modes keep nobody away."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mdm-house-")))
        folder.chmod(0o755)
        data = folder / "data"
        for name in ("secrets", "blobs", "postgres"):
            (data / name).mkdir(parents=True)
        for name in ("secrets/kek", "secrets/admin.token", "blobs/one", "postgres/PG_VERSION"):
            (data / name).write_text("secret")
        (folder / "open").mkdir()
        (folder / "open").chmod(0o777)
        sockets = [str(data / "admin.sock"), str(data / "database")]
        abstract = f"\0mdm-{os.urandom(6).hex()}"
        for address in (*sockets, abstract):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        for path in sockets:
            Path(path).chmod(0o777)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield {
            "server": os.getpid(),
            "files": [
                str(data / "secrets/kek"),
                str(data / "blobs/one"),
                "/etc/hostname",
                "/proc/self/environ",
            ],
            "folders": [str(data), str(data / "secrets"), "/proc", "/tmp", "/etc"],
            "sockets": sockets,
            "abstract": abstract,
            "port": listener.getsockname()[1],
            "open": str(folder / "open"),
            "own": 0,
        }


async def broken_into(aim: dict[str, Any]) -> dict[str, dict[str, str]]:
    """By whom, by which way, and what was got."""
    withheld = [Path(aim["folders"][0])]
    python = python_for_anybody()
    source = Path(burglar.__file__).read_text()
    command = (python, "-I", "-S", "-c", source, json.dumps(aim))
    hooks = Hooks({"burglar": HookSettings(command=command)}, withheld)
    found = json.loads(await hooks.run("burglar", bytes(1 << 16), LAYOUT))
    got = {"hook": found}
    with Scrubber(ScrubSettings(), withheld, ("tests.attack.test_confined",)) as scrubber:
        for who, alone in (("decoder", True), ("scrubber", False)):
            told = json.loads(await scrubber.run(Burgling(aim | {"own": 1}, alone)))
            got[who] = {way: what for way, what in told.items() if what != NOTHING}
    return got


async def test_a_decoder_a_scrubber_and_a_hook_that_were_taken_over_get_nothing() -> None:
    with house() as aim:
        assert await broken_into(aim) == {"hook": {}, "decoder": {}, "scrubber": {}}
        assert not list(Path(aim["open"]).iterdir())


def test_who_is_not_confined_gets_most_of_it() -> None:
    """That the attempts are real ones."""
    with house() as aim:
        program = f"import json; from tests.attack.burglar import tried; print(json.dumps(tried({aim!r})))"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        )
    got = {way for way, what in json.loads(done.stdout).items() if what != NOTHING}
    beyond = {
        "trace the server",
        "read across",
        "a descriptor of the server",
        "memory of the server",
        "io_uring",
    }
    beyond |= {"core dumps", "a namespace", "mount", "other descriptors"}  # as this machine allows them
    never = {way for way in json.loads(done.stdout) if way.endswith(("admin.sock", "database"))} - got
    assert not never
    assert set(json.loads(done.stdout)) - got <= beyond | {"/proc of the server: environ"}


AS_A_USER = """
import asyncio, sys
sys.path[:0] = {path!r}
from tests.attack.test_confined import broken_into, house
with house() as aim:
    print(asyncio.run(broken_into(aim)))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="then the other test does so")
async def test_nor_do_they_as_the_user_of_an_ordinary_users_server() -> None:
    """Whose they are too: nothing is kept from them by its owner."""
    python = python_for_anybody()
    path = [str(ROOT), sysconfig.get_path("purelib")]
    done = await asyncio.to_thread(
        subprocess.run,
        [python, "-W", "ignore", "-c", AS_A_USER.format(path=path)],
        capture_output=True,
        text=True,
        cwd="/",
        user=4711,
        group=4711,
        extra_groups=[],
    )
    assert done.stdout == "{'hook': {}, 'decoder': {}, 'scrubber': {}}\n", done.stderr[-3000:]
