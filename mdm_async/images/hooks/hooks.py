"""Hooks: programs of the site, declared in the server's settings, that take native frames and give others back.

A hook gets the frames on its standard input and writes as many bytes to its standard output; what they look like is in
its arguments. It runs confined (`mdm_async.confined`): with limits, without environment, network or others' processes,
in an empty directory, which is all that it may write to. It reads what the system's programs are made of, where it is
installed, and what its settings name; nothing of the server's. One that fails, or gives back anything else, is a reason
to refuse the view.
"""

import asyncio
import hashlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Self

from mdm_async.confined import places
from mdm_async.confined.own_user import can_be_reached, nobody
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.errors import BadRequest, ScrubRefused, Unavailable, UnsafeSettings
from mdm_async.held import may_wait
from mdm_async.images.hooks import folders
from mdm_async.images.hooks.launcher import Asked
from mdm_async.secret_files import private_places
from mdm_async.settings import HookSettings, Settings

_LAUNCH: Final = (
    f"import sys; sys.path.append({str(Path(__file__).parents[3])!r}); "
    "from mdm_async.images.hooks.launcher import main; main()"
)
_PIECE: Final = 1 << 20
"""Bytes read or written at a time."""
_DRAINED: Final = 5.0
"""Seconds until what a killed hook had written has been read."""


class Hooks:
    """Those that the settings declare. `withheld`: what none may read. `mark`: of the server, in temporary names."""

    def __init__(
        self, settings: Mapping[str, HookSettings], withheld: Iterable[Path] = (), mark: str = "0"
    ) -> None:
        self._settings = settings
        self._withheld = list(withheld)
        self._prefix = f"mdm-hook-{mark}-"
        self._removing = ThreadPoolExecutor(1, "hook-folders")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those of a server. Folders that a killed one has left go."""
        mark = hashlib.sha256(os.fsencode(settings.data.absolute())).hexdigest()[:16]
        made = cls(settings.hooks, private_places(settings), mark)
        made._remove_left_over()
        return made

    def _remove_left_over(self) -> None:
        ours = {os.geteuid(), *(nobody() or ())[:1]}
        for folder in Path(tempfile.gettempdir()).glob(self._prefix + "*"):
            with suppress(OSError):
                if folder.lstat().st_uid in ours:
                    folders.remove(folder)

    def demand(self, name: str | None) -> None:
        """Raises BadRequest when a profile names a hook that this server has not."""
        if name is not None and name not in self._settings:
            raise BadRequest(
                f"the profile's faces.hook: this server has no hook '{name}'",
                remedy=f"declare it in the server's settings: [hooks.{name}], command = [...]",
            )

    async def run(self, name: str, frames: bytes, layout: Layout) -> bytes:
        """The frames as the hook gives them back, of equal length. Raises ScrubRefused; Unavailable when it cannot be
        started now."""
        settings = self._settings.get(name)
        if settings is None:
            raise ScrubRefused(f"this server has no hook '{name}'")
        may_wait("a hook")
        try:
            folder = tempfile.mkdtemp(prefix=self._prefix)
        except OSError as why:
            raise _unavailable(why) from why
        try:
            return await self._run_in(folder, name, settings, frames, layout)
        finally:
            # Not on the loop: a hook may have left millions of files.
            await asyncio.get_running_loop().run_in_executor(self._removing, folders.remove, Path(folder))

    async def _run_in(
        self, folder: str, name: str, settings: HookSettings, frames: bytes, layout: Layout
    ) -> bytes:
        with ExitStack() as stack:
            try:
                control = stack.enter_context(_Control())
                process = await self._started(settings, folder, control.far_end, layout)
            except OSError as why:
                raise _unavailable(why) from why
            try:
                async with asyncio.timeout(settings.seconds):
                    answer = await _exchanged(process, frames)
                    if len(answer) > len(frames):
                        raise ScrubRefused(f"the hook '{name}' gave back more bytes than it got")
                    code = await process.wait()
            except TimeoutError:
                raise ScrubRefused(f"the hook '{name}' took longer than {settings.seconds} seconds") from None
            finally:
                control.close()
                await _ended(process)
        if code:
            raise ScrubRefused(f"the hook '{name}' failed")
        if len(answer) < len(frames):
            raise ScrubRefused(f"the hook '{name}' gave back fewer bytes than it got")
        return answer

    async def _started(
        self, settings: HookSettings, folder: str, control: int, layout: Layout
    ) -> asyncio.subprocess.Process:
        """Raises OSError."""
        user = nobody()
        if user is not None:
            os.chown(folder, *user)
        asked = Asked(
            [_filled(one, layout) for one in settings.command],
            settings.memory,
            settings.seconds,
            control,
            list(map(str, self._readable(settings))),
            folder,
            user,
        )
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _LAUNCH, json.dumps(vars(asked))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env={},
            pass_fds=(control,),
            start_new_session=True,
        )

    def _readable(self, settings: HookSettings) -> list[Path]:
        own = places.of_program(settings.command)
        return places.apart_from(self._withheld, [*places.PROGRAMS, *places.FACTS, *own, *settings.reads])


def _unavailable(why: OSError) -> Unavailable:
    return Unavailable(f"a hook cannot be started: {why.strerror}", remedy="try again", retry_after=10)


def demand_usable(name: str, settings: HookSettings, withheld: Iterable[Path]) -> None:
    """Raises UnsafeSettings when a hook cannot be run as nobody, or would be given something of the server's."""
    own = [*places.of_program(settings.command), *settings.reads]
    if nobody() is not None and not can_be_reached(Path(settings.command[0])):
        raise UnsafeSettings(
            f"hooks.{name}: {settings.command[0]} cannot be run by another user than root, which a hook is",
            remedy="install it where everybody can read it",
        )
    for place in own:
        for path in withheld:
            if place.resolve().is_relative_to(path.resolve()):
                raise UnsafeSettings(
                    f"hooks.{name}: {place} lies in {path}, of which a hook is given nothing",
                    remedy="move it elsewhere",
                )


class _Control:
    """A pipe whose end tells a launcher to end."""

    def __init__(self) -> None:
        self.far_end, self._near_end = os.pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()
        os.close(self.far_end)

    def close(self) -> None:
        if self._near_end >= 0:
            os.close(self._near_end)
            self._near_end = -1


async def _exchanged(process: asyncio.subprocess.Process, frames: bytes) -> bytes:
    """What the process writes, up to one byte too many, while it is given the frames."""
    assert process.stdin is not None
    assert process.stdout is not None
    answer = bytearray()
    async with asyncio.TaskGroup() as tasks:
        feeding = tasks.create_task(_feed(process.stdin, frames))
        while len(answer) <= len(frames) and (piece := await process.stdout.read(_PIECE)):
            answer += piece
        feeding.cancel()
    return bytes(answer)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Its launcher, whose control is closed, leaves nothing of it."""
    assert process.stdout is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAINED):
            # A process whose output waits to be read is never seen to end.
            while await process.stdout.read(_PIECE):
                pass
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAINED):
            await process.wait()
    with suppress(ProcessLookupError):  # it hangs, and so does the kernel: what it started ends with it
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdin is not None
    if not process.stdin.is_closing():
        process.stdin.transport.abort()
    reading = process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
    if reading is not None and not reading.is_closing():
        reading.close()
    await process.wait()


async def _feed(stdin: asyncio.StreamWriter, frames: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # it need not read all
        for at in range(0, len(frames), _PIECE):
            stdin.write(frames[at : at + _PIECE])
            await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


def _filled(argument: str, layout: Layout) -> str:
    """`{rows}` and its like as numbers."""
    for word, number in (
        ("rows", layout.rows),
        ("columns", layout.columns),
        ("frames", layout.frames),
        ("samples", layout.samples),
        ("bits", layout.bits),
        ("signed", int(layout.signed)),
    ):
        argument = argument.replace("{" + word + "}", str(number))
    return argument
