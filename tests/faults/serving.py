"""`mdm serve` as a process of its own, to be killed, stopped and started again on the same directory."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.patience import PATIENT

PATIENT_SETTINGS = {
    f"{section}__{name}": str(value) for section, own in PATIENT.items() for name, value in own.items()
}
AWAY = (aiohttp.ClientError, ConnectionError, TimeoutError)
"""What a caller sees of a server that was killed."""


class Serve:
    """One server process after the other, always on the same directory and port."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: asyncio.subprocess.Process
        self.environment = os.environ | {f"MDM_{name}".upper(): value for name, value in settings.items()}

    async def start(self, log: Path | None = None) -> None:
        """Start, and wait for the line that says ready. It logs to this file, or where this process does."""
        with log.open("ab") if log is not None else nullcontext() as file:
            self.process = await self.spawn(stderr=file.fileno() if file is not None else None)
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode()
        assert line == f"mdm: ready at {self.url}\n", line

    async def spawn(self, *, stderr: int | None) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "mdm_async.cli", "serve", "--data", str(self.data))
        return await asyncio.create_subprocess_exec(
            *command, "--port", str(self.port), stdout=subprocess.PIPE, stderr=stderr, env=self.environment
        )

    async def kill(self) -> None:
        """SIGKILL the server, and wait until it has gone."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    def kill_postgres(self) -> None:
        """SIGKILL the embedded Postgres; its own processes notice by themselves."""
        with suppress(ProcessLookupError):
            os.kill(self.postmaster, signal.SIGKILL)

    @property
    def postmaster(self) -> int:
        return int((self.data / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return await self.process.wait()

    @property
    def admin_token(self) -> str:
        return (self.data / "secrets" / "admin.token").read_text().strip()

    @property
    def dsn(self) -> str:
        return f"postgresql://mdm@/mdm?host={self.data}/postgres.socket&port=5432"


@asynccontextmanager
async def serving(data: Path, **settings: str) -> AsyncIterator[Serve]:
    """A server that is ready, and patient but for these settings; whatever process there is at the end is ended,
    Postgres too."""
    server = Serve(data, **(PATIENT_SETTINGS | settings))
    try:
        await server.start()
        yield server
    finally:
        if server.process.returncode is None:
            server.process.terminate()
            await server.process.wait()


class Caller:
    """Calls to a server that may be away at any moment."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self._http, self._url = http, url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def srm(self, operation: str, **body: Any) -> dict[str, Any]:
        """One SRM call's tree, whatever its status."""
        return await self.post(f"/srm/v2/{operation}", **body)

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        async with self._http.post(self._url + path, json=body, headers=self._headers) as answer:
            tree: dict[str, Any] = await answer.json(content_type=None)
            return tree

    async def read(self, surl: str, view: str) -> bytes:
        """A file's whole content. It must be readable."""
        prepared = await self.srm("prepareToGet", files=[{"surl": surl}], view=view)
        assert prepared["returnStatus"]["statusCode"] == "SRM_SUCCESS", (surl, prepared)
        (line,) = prepared["files"]
        async with self._http.get(line["transferURL"]) as answer:
            assert answer.status == 200, (surl, await answer.text())
            content = await answer.read()
        assert len(content) == line["fileSize"]
        return content


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
