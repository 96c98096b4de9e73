"""A server of the demo's own: a subprocess on a temporary folder and a free port."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mdm_async.errors import Unavailable

_READY = re.compile(rb"mdm: ready at (https?://\S+)")
START_SECONDS: Final = 180
STOP_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class DemoServer:
    """Where it listens, and who may do everything there."""

    url: str
    admin_token: str = field(repr=False)


@asynccontextmanager
async def running_server(folder: Path) -> AsyncIterator[DemoServer]:
    """A server with its data in `folder`/data and its log in `folder`/server.log; stopped at the end.

    Unavailable, with the end of its log, when it does not come up.
    """
    data, log = folder / "data", folder / "server.log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mdm_async.cli", "serve", "--data", str(data), "--port", "0"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=sink,
            env=own_environment(),
            # Ctrl-C is for the demo, which then stops the server.
            start_new_session=True,
        )
    try:
        try:
            async with asyncio.timeout(START_SECONDS):
                url = await _ready_line(process)
        except TimeoutError:
            url = None
        if url is None:
            last = log.read_text(errors="replace").strip().splitlines()[-8:]
            raise Unavailable("\n".join(["the server did not start:", *last]))
        async with _drained(process):
            yield DemoServer(url, (data / "secrets" / "admin.token").read_text().strip())
    finally:
        await _stop(process)


def own_environment() -> dict[str, str]:
    """This process's, without settings and credentials that are meant for another server."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("MDM_", "BEARER_TOKEN"))
    }


async def _ready_line(process: asyncio.subprocess.Process) -> str | None:
    """The URL it says it is ready at; None when it ends without."""
    assert process.stdout is not None
    async for line in process.stdout:
        if match := _READY.search(line):
            return match[1].decode()
    return None


@asynccontextmanager
async def _drained(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """Reads what the server goes on to say, or a full pipe would stop it."""

    async def drain() -> None:
        assert process.stdout is not None
        while await process.stdout.read(65536):
            pass

    reading = asyncio.create_task(drain())  # No TaskGroup: it would wrap what the body raises.
    try:
        yield
    finally:
        reading.cancel()


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
