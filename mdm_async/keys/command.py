"""Key-encryption keys that a command of the site prints: it asks a vault or an HSM.

What it prints is looked at here and told nowhere, whatever it is.
"""

import asyncio
import os
import signal
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from mdm_async.errors import Unavailable, UnsafeSettings
from mdm_async.held import may_wait
from mdm_async.keys import files

PATIENCE: Final = 30.0
"""Seconds in which it must have ended."""
_MOST_BYTES: Final = 16 * 1024


class KekCommand:
    """Run anew each time it is asked, with the server's environment but its settings, and nothing to read."""

    seconds = 60.0

    def __init__(self, command: Sequence[str], patience: float = PATIENCE) -> None:
        self.name = f"keys.kek_command ({command[0]})"
        self.how_to_change = "have it print a new key before the others, then ask again"
        self._command, self._patience = command, patience

    def check(self) -> None:
        """Raises UnsafeSettings when there is no such program, or others could put another in its place."""
        program = Path(self._command[0])
        try:
            facts = program.stat()
        except OSError as why:
            raise UnsafeSettings(f"{self.name}: {why.strerror}", remedy="name a program") from None
        if not os.access(program, os.X_OK) or not stat.S_ISREG(facts.st_mode):
            raise UnsafeSettings(f"{self.name} cannot be run", remedy=f"chmod 700 {program}")
        if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or facts.st_uid not in {0, os.geteuid()}:
            raise UnsafeSettings(f"{self.name} can be changed by others", remedy=f"chmod go-w {program}")

    async def read(self) -> list[bytes]:
        self.check()
        may_wait("a command that prints keys")
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={name: value for name, value in os.environ.items() if not name.startswith("MDM_")},
                start_new_session=True,
            )
        except OSError as why:
            raise self._failed(f"cannot be run: {why.strerror}") from None
        try:
            async with asyncio.timeout(self._patience):
                return await self._printed(process)
        except TimeoutError:
            raise self._failed(f"did not end within {self._patience:g} seconds") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            _close(process)
            await process.wait()

    async def _printed(self, process: asyncio.subprocess.Process) -> list[bytes]:
        assert process.stdout is not None
        printed = bytearray()
        while len(printed) <= _MOST_BYTES and (piece := await process.stdout.read(_MOST_BYTES)):
            printed += piece
        if len(printed) > _MOST_BYTES:
            raise self._failed("printed more than keys")
        if code := await process.wait():
            raise self._failed(f"ended with code {code}")
        try:
            return files.decode_keks(printed.decode("ascii"), self.name)
        except UnicodeDecodeError:
            raise self._failed("printed what is not text") from None

    def _failed(self, how: str) -> Unavailable:
        return Unavailable(f"{self.name} {how}", remedy="run it by hand, as the server's user")


def _close(process: asyncio.subprocess.Process) -> None:
    """Its output, which may be left unread: then it does not end by itself, nor is the process seen to end."""
    reading = process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
    if reading is not None:
        reading.close()
