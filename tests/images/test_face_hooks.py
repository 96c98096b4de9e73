"""A site's own defacer, declared in the server's settings: given the frames of heads, and held to its limits."""

import asyncio
import errno
import io
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from mdm_async.dicom.pixels.layout import Layout
from mdm_async.errors import ScrubRefused, Unavailable, UnsafeSettings
from mdm_async.images.hooks import hooks as hooks_module
from mdm_async.images.hooks.hooks import Hooks
from mdm_async.premises import premises
from mdm_async.settings import HookSettings, load
from tests.anybody import python_for_anybody
from tests.conftest import Server, running_server
from tests.dicom.test_burned_in import picture
from tests.faults.conditions import until
from tests.patience import PATIENCE
from tests.pipeline import read
from tests.postgres.for_tests import PostgresForTests
from tests.web.test_profiles import add, applied, explained

INVERT = "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(bytes(255 - b for b in d))"
PROGRAMS = {
    "invert": INVERT,
    "short": "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d[1:])",
    "endless": "import sys\nwhile True: sys.stdout.buffer.write(bytes(1 << 20))",
    "silent": "import time; time.sleep(600)",
    "failing": "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()); sys.exit(3)",
    "greedy": "import sys; d = sys.stdin.buffer.read(); x = bytes(1 << 31); sys.stdout.buffer.write(d)",
}
REASONS = {
    "short": "fewer bytes",
    "endless": "more bytes",
    "silent": "longer than 2 seconds",
    "failing": "failed",
    "greedy": "failed",
}


def hook(program: str, *arguments: str) -> dict[str, object]:
    command = (python_for_anybody(), "-I", "-S", "-c", program, *arguments)
    return {"command": command, "seconds": 2 if "sleep" in program else 300, "memory": 1 << 30}


def profile(name: str) -> str:
    return f'name = "{name}"\nfaces = {{ hook = "{name}" }}\n'


def head(number: int, *, compressed: bool = False) -> bytes:
    data = picture(BodyPartExamined="HEAD", SOPInstanceUID=f"1.2.8.{number}")
    if not compressed:
        return data
    image, written = dcmread(io.BytesIO(data)), io.BytesIO()
    image.compress(RLELossless)
    image.save_as(written)
    return written.getvalue()


@pytest.fixture
async def hooked(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Server]:
    dsn = await postgres.fresh_database(migrated)
    hooks = {name: hook(program) for name, program in PROGRAMS.items()}
    async with running_server(tmp_path / "data", dsn, hooks=hooks) as running:
        yield running


async def test_heads_are_given_to_the_hook_and_nothing_else_is(hooked: Server) -> None:
    await hooked.put("/before.dcm", head(1))
    await add(hooked, profile("invert"))
    await applied(hooked, "invert", "/")
    await hooked.put("/after.dcm", head(2))
    await hooked.put("/compressed.dcm", head(3, compressed=True))
    await hooked.put("/chest.dcm", picture(SOPInstanceUID="1.2.9"))
    for surl in ("/before.dcm", "/after.dcm", "/compressed.dcm"):
        view = read(await hooked.read(surl, view="invert"))
        assert view.PixelData == b"\xfe\xfd\xfc\xfb"
        assert view.RecognizableVisualFeatures == "NO"
    assert read(await hooked.read("/chest.dcm", view="invert")).PixelData == b"\1\2\3\4"
    assert read(await hooked.read("/before.dcm")).PixelData == b"\1\2\3\4"
    fsck = await hooked.call("POST", "/admin/v1/fsck", token=hooked.admin_token, json={})
    assert fsck.tree["findings"] == []


async def test_a_hook_that_does_not_as_it_should_refuses_the_view(hooked: Server) -> None:
    await hooked.put("/head.dcm", head(4))
    for name, reason in REASONS.items():
        await add(hooked, profile(name))
        await applied(hooked, name, "/")
        assert reason in (await explained(hooked, "/head.dcm", name))["explanation"], name


async def test_a_profile_that_names_no_hook_of_this_server_is_refused(hooked: Server) -> None:
    refused = await add(hooked, profile("nobody"), expect=400)
    assert "has no hook 'nobody'" in str(refused)


async def test_a_hook_that_has_gone_refuses_the_view(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, hooks={"invert": hook(INVERT)}) as server:
        await add(server, profile("invert"))
        await applied(server, "invert", "/")
        await server.put("/made.dcm", head(5))
        assert await server.read("/made.dcm", view="invert")
    async with running_server(tmp_path / "data", dsn) as server:
        await server.put("/late.dcm", head(6))
        assert "has no hook" in (await explained(server, "/late.dcm", "invert"))["explanation"]


LOOK = """
import os, resource, socket, sys
sys.stdin.buffer.read()
told = [str(set(os.environ) <= {"LC_CTYPE"}), str(os.listdir(".") == [])]
told += [str(resource.getrlimit(resource.RLIMIT_CORE) == (0, 0))]
try:
    told += [",".join(name for _, name in socket.if_nameindex() if name != "lo")]
except PermissionError:
    told += [""]
told += sys.argv[1:]
sys.stdout.write(";".join(told)[:64].ljust(64))
"""


async def test_a_hook_sees_no_environment_no_files_and_the_pictures_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MDM_SECRET", "x")
    settings = HookSettings.model_validate(hook(LOOK, "{rows}x{columns}", "{bits}"))
    layout = Layout(4, 8, 1, 1, 16, 12, 11, False, False, "MONOCHROME2")
    told = (await Hooks({"look": settings}).run("look", bytes(64), layout)).decode().strip().split(";")
    assert told[:4] == ["True"] * 3 + [""]
    assert told[4:] == ["4x8", "16"]


@pytest.mark.parametrize("command", [[], ["deface"]])
def test_a_hook_is_declared_by_its_whole_path(command: list[str]) -> None:
    with pytest.raises(ValueError, match="command"):
        HookSettings.model_validate({"command": command})


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("import sys\nwhile True: sys.stdout.buffer.write(bytes(1 << 20))", "more bytes"),
        (
            "import os, time\nif not os.fork():\n os.setsid()\n time.sleep(600)",
            "fewer bytes",  # of what it has left, nothing holds its output open
        ),
    ],
    ids=["writes without end", "leaves a child with its pipes"],
)
async def test_what_a_hook_leaves_in_its_pipes_holds_nobody_up(
    command: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mdm_async.images.hooks.hooks._DRAINED", 0.2)
    hooks = Hooks({"h": HookSettings(command=(python_for_anybody(), "-c", command), seconds=300)})
    layout = Layout(
        rows=1,
        columns=1,
        frames=1,
        samples=1,
        bits=8,
        stored=8,
        high=7,
        signed=False,
        planar=False,
        photometric="MONOCHROME2",
    )
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ScrubRefused, match=why):
            await hooks.run("h", bytes(1 << 20), layout)


LEAVING = """
import os, sys, time
if not os.fork():
    os.setsid()
    if not os.fork():
        time.sleep(600)
    os._exit(0)
sys.stdin.buffer.read()
{then}
"""
"""Leaves a process that has a session of its own and no parent."""
LAYOUT = Layout(1, 1, 1, 1, 8, 8, 7, False, False, "MONOCHROME2")


def running(mark: str) -> int:
    """Hooks, and what they have started, with this among their arguments; their launchers too."""
    count = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            count += any(mark in word for word in process.cmdline())
    return count


@pytest.mark.parametrize("apart", [True, False], ids=["with", "without"])
@pytest.mark.parametrize(
    ("then", "seconds"),
    [("sys.stdout.buffer.write(b'xy')", 60), ("time.sleep(600)", 1)],
    ids=["ends", "hangs"],
)
async def test_nothing_of_a_hook_is_left_not_even_what_left_its_session(
    tmp_path: Path, then: str, seconds: int, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a process namespace, and where the kernel gives none."""
    if not apart:
        text = "mdm_async.images.hooks.launcher import main; main()"
        without = text.replace("; main", "; import mdm_async.confined.kernel as k; k.unshare = k.call; main")
        monkeypatch.setattr(hooks_module, "_LAUNCH", hooks_module._LAUNCH.replace(text, without))
    mark = f"hook-{os.urandom(8).hex()}"
    command = (python_for_anybody(), "-I", "-S", "-c", LEAVING.format(then=then), mark)
    hooks = Hooks({"h": HookSettings(command=command, seconds=seconds)})
    job = asyncio.ensure_future(hooks.run("h", b"ab", LAYOUT))
    if seconds == 60:
        assert await job == b"xy"
    else:
        with pytest.raises(ScrubRefused, match="longer than 1 seconds"):
            await job
    await until(lambda: running(mark) == 0)


async def test_a_hook_ends_when_nobody_waits_for_it() -> None:
    mark = f"hook-{os.urandom(8).hex()}"
    command = (python_for_anybody(), "-I", "-S", "-c", LEAVING.format(then="time.sleep(600)"), mark)
    job = asyncio.ensure_future(Hooks({"h": HookSettings(command=command)}).run("h", b"ab", LAYOUT))
    await until(lambda: running(mark) > 2)
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
    await until(lambda: running(mark) == 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="of root's server only")
@pytest.mark.parametrize("dropped", ["-all", "-setuid,-setgid,-dac_override,-dac_read_search"])
async def test_a_hook_runs_where_root_cannot_become_anybody_else(dropped: str) -> None:
    """As in a container that drops capabilities."""
    program = (
        "import asyncio\n"
        "from mdm_async.images.hooks.hooks import Hooks\n"
        "from mdm_async.settings import HookSettings\n"
        "from tests.images.test_face_hooks import LAYOUT\n"
        "print(asyncio.run(Hooks({'h': HookSettings(command=('/bin/cat',))}).run('h', b'ab', LAYOUT)))\n"
    )
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--bounding-set", dropped, "--inh-caps", dropped, sys.executable, "-c", program),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert said.decode().strip() == "b'ab'"


DEEP = """
import os, sys
data = sys.stdin.buffer.read()
for _ in range(1100):
    os.mkdir("d" * 100)
    os.chdir("d" * 100)
open("f", "w").close()
os.symlink("/etc", "s")
sys.stdout.buffer.write(data)
"""


async def test_what_a_hook_leaves_is_removed_however_deep_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deeper than Python can recurse, and longer than a path can be: what a killed server leaves, too."""
    command = (python_for_anybody(), "-I", "-S", "-c", DEEP)
    folder = Path(tempfile.mkdtemp())  # where another user can write
    folder.chmod(0o711)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    hooks = Hooks({"h": HookSettings(command=command)})
    assert await hooks.run("h", b"ab", LAYOUT) == b"ab"
    assert list(folder.iterdir()) == []
    left = folder / f"{Hooks.of(load(overrides={'data': tmp_path}))._prefix}x"
    left.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DEEP), cwd=left, stdin=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0
    Hooks.of(load(overrides={"data": tmp_path}))
    folder.rmdir()


async def test_a_hook_that_cannot_be_started_now_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def out_of_memory(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    hooks = Hooks({"h": HookSettings(command=("/bin/cat",))})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", out_of_memory)
        with pytest.raises(Unavailable, match="Cannot allocate memory"):
            await hooks.run("h", b"ab", LAYOUT)
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(Unavailable, match="No such file"):
        await hooks.run("h", b"ab", LAYOUT)


async def test_of_a_killed_server_no_hook_is_left_and_no_folder_after_its_next_start(tmp_path: Path) -> None:
    mark = f"hook-{os.urandom(8).hex()}"
    command = [python_for_anybody(), "-I", "-S", "-c", LEAVING.format(then="time.sleep(600)"), mark]
    (tmp_path / "server.py").write_text(
        "import asyncio, sys\n"
        "from tests.images.test_face_hooks import LAYOUT\n"
        "from mdm_async.images.hooks.hooks import Hooks\n"
        "from mdm_async.settings import load\n"
        f"settings = load(overrides={{'data': {str(tmp_path)!r}, 'hooks': {{'h': {{'command': {command!r}}}}}}})\n"
        "print('runs', flush=True)\n"
        "asyncio.run(Hooks.of(settings).run('h', b'ab', LAYOUT))\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", str(tmp_path / "server.py")),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": str(tmp_path)},
    )
    try:
        await until(lambda: running(mark) > 2)
        assert list(tmp_path.glob("mdm-hook-*"))
    finally:
        process.kill()
        await process.wait()
    await until(lambda: running(mark) == 0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tempfile.tempdir", str(tmp_path))
        Hooks.of(load(overrides={"data": tmp_path}))
    assert not list(tmp_path.glob("mdm-hook-*"))


def test_a_hook_that_would_be_given_something_of_the_servers_is_refused(tmp_path: Path) -> None:
    program = python_for_anybody()
    for hook in (
        {"command": (program,), "reads": (tmp_path / "data" / "models",)},
        {"command": (program, str(tmp_path / "data" / "hook.py"))},
    ):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / "hook.py").touch()
        with pytest.raises(UnsafeSettings, match=r"hooks\.h: .* lies in .*; move it elsewhere"):
            premises(load(overrides={"data": tmp_path / "data", "hooks": {"h": hook}}))


@pytest.mark.skipif(os.geteuid() != 0, reason="of root's server only")
def test_a_hook_that_only_root_can_run_is_refused_at_start() -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "deface")
        program.touch(0o755)
        with pytest.raises(UnsafeSettings, match="install it where everybody can read it"):
            premises(load(overrides={"data": folder, "hooks": {"h": {"command": (str(program),)}}}))
