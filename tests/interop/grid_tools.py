"""The grid's own programs, unmodified, with a throwaway authority, user and proxy, against one running server."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import CI, Server
from tests.identity.grid_pki import Grid


@dataclass(frozen=True)
class Ran:
    """What became of a command."""

    command: str
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    def __str__(self) -> str:
        return f"{self.command}\n→ {self.code}\n{self.out}{self.err}"


def demand(*peers: str | Path, group: str = "grid") -> None:
    """Fail in CI, and skip elsewhere with the reason, where one of the programs or folders is missing."""
    missing = [str(peer) for peer in peers if not (shutil.which(peer) or Path(peer).is_dir())]
    if missing and CI:
        pytest.fail(f"missing: {', '.join(missing)} (tests/install-peers {group})")
    if missing:
        pytest.skip(f"PEERS MISSING: {', '.join(missing)} (as root: tests/install-peers {group})")


@dataclass
class GridTools:
    """`run` starts a program as a user of the grid would: with a proxy of theirs, and the authority to trust."""

    server: Server
    grid: Grid
    home: Path
    proxy: Path
    """The user's, with VOMS attributes of the test's VO."""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return f"localhost:{self.server.house.tls_port}"

    def srm(self, path: str) -> str:
        return f"srm://{self.host}/srm/managerv2?SFN={path}"

    def davs(self, path: str) -> str:
        return f"davs://{self.host}/dav{path}"

    def https(self, path: str) -> str:
        return f"https://{self.host}{path}"

    async def run(
        self, *command: str, stdin: bytes | None = None, seconds: float = 60, **environment: str
    ) -> Ran:
        """`environment` adds to the user's; a variable that is empty is not set."""
        demand(command[0])
        merged = self._environment() | environment
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: value for name, value in merged.items() if value},
            cwd=self.home,
        )
        try:
            async with asyncio.timeout(seconds):
                out, err = await process.communicate(stdin)
        except TimeoutError:
            process.kill()
            out, err = await process.communicate()
            pytest.fail(f"{_shown(command)} did not end within {seconds} s\n{(out + err).decode()[-2000:]}")
        assert process.returncode is not None
        return Ran(_shown(command), process.returncode, _text(out), _text(err))

    async def well(self, *command: str, **options: str) -> Ran:
        """As `run`, of what must succeed."""
        ran = await self.run(*command, **options)
        assert ran.code == 0, str(ran)
        return ran

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "GFAL_PYTHONBIN": "/usr/bin/python3",
            "X509_CERT_DIR": str(self.grid.authorities),
            "X509_USER_PROXY": str(self.proxy),
            **self.environment,
        }


def _shown(command: Sequence[str]) -> str:
    return " ".join(command)


def _text(output: bytes) -> str:
    return output.decode("utf-8", "backslashreplace")
