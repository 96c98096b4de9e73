"""Hooks: programs of the site, declared in the server's settings, that take native frames and give others back.

A hook gets the frames on its standard input and writes as many bytes to its standard output; what they look like is in
its arguments. It runs with limits, without environment, in an empty directory, and without network where the kernel
allows that. One that fails, or gives back anything else, is a reason to refuse the view.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from mdm_async.dicom.pixels.layout import Layout
from mdm_async.errors import BadRequest, ScrubRefused
from mdm_async.settings import HookSettings

_LAUNCHER: Final = str(Path(__file__).with_name("launcher.py"))
_PIECE: Final = 1 << 20
"""Bytes read or written at a time."""
_DRAINED: Final = 5.0
"""Seconds until what a killed hook had written has been read."""


class Hooks:
    """Those that the settings declare."""

    def __init__(self, settings: Mapping[str, HookSettings]) -> None:
        self._settings = settings

    def demand(self, name: str | None) -> None:
        """Raises BadRequest when a profile names a hook that this server has not."""
        if name is not None and name not in self._settings:
            raise BadRequest(
                f"the profile's faces.hook: this server has no hook '{name}'",
                remedy=f"declare it in the server's settings: [hooks.{name}], command = [...]",
            )

    async def run(self, name: str, frames: bytes, layout: Layout) -> bytes:
        """The frames as the hook gives them back, of equal length. Raises ScrubRefused."""
        settings = self._settings.get(name)
        if settings is None:
            raise ScrubRefused(f"this server has no hook '{name}'")
        command = [_filled(one, layout) for one in settings.command]
        with tempfile.TemporaryDirectory(prefix="mdm-hook-") as folder:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", _LAUNCHER, str(settings.memory), str(settings.seconds), *command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=folder,
                env={},
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(settings.seconds):
                    answer = await _exchanged(process, frames)
                    if len(answer) > len(frames):
                        raise ScrubRefused(f"the hook '{name}' gave back more bytes than it got")
                    code = await process.wait()
            except TimeoutError:
                raise ScrubRefused(f"the hook '{name}' took longer than {settings.seconds} seconds") from None
            finally:
                await _ended(process)
        if code:
            raise ScrubRefused(f"the hook '{name}' failed")
        if len(answer) < len(frames):
            raise ScrubRefused(f"the hook '{name}' gave back fewer bytes than it got")
        return answer


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
    """Nothing is left of it, nor of what it started, which is in its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAINED):
            # A process whose output waits to be read is never seen to end.
            while await process.stdout.read(_PIECE):
                pass
    # What has left the group may hold the pipes open for ever: then our ends are closed.
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
