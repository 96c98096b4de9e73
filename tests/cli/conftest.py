"""Runs `mdm` as a user would: arguments in, exit code and what it printed out."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from mdm_async.cli.main import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


Run = Callable[..., Awaitable[Ended]]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No credential and no server but what the test names."""
    for name in list(os.environ):
        if name.startswith(("MDM_", "BEARER_TOKEN", "XDG_RUNTIME_DIR")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MDM_DATA", str(tmp_path / "no-server-here"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("mdm_async.client.discovery.SHARED_TMP", tmp_path)
    return monkeypatch


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """For a server with a Postgres of its own: pytest closes the folders above tmp_path to other users whenever
    a second pytest starts, and as root that Postgres is another user."""
    with tempfile.TemporaryDirectory(prefix="mdm-test-") as folder:
        yield Path(folder).resolve()


@pytest.fixture
def run(environment: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """`mdm` without a server, in a thread, for the test's own loop may be serving."""

    async def run(*arguments: object) -> Ended:
        capsysbinary.readouterr()
        code = await asyncio.to_thread(main, [str(argument) for argument in arguments])
        captured = capsysbinary.readouterr()
        return Ended(code, captured.out, captured.err.decode())

    return run


@pytest.fixture
def mdm(run: Run, environment: pytest.MonkeyPatch, server: Any) -> Run:
    """`mdm` with the tests' server, as its administrator."""
    environment.setenv("MDM_URL", server.url)
    environment.setenv("BEARER_TOKEN", server.admin_token)
    return run


@pytest.fixture
async def folder(server: Any) -> str:
    return str(await server.directory())


def command(*arguments: object) -> list[str]:
    """`mdm` as a process of its own."""
    return [sys.executable, "-m", "mdm_async.cli", *map(str, arguments)]
