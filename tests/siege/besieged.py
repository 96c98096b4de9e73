"""A server process under attack, and who attacks it."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults.serving import Serve
from tests.siege.neighbour import Neighbour

WEAK = "127.0.0.2"
"""An address that attackers without a credential may come from, which is not the neighbour's."""


@dataclass(slots=True)
class Besieged:
    """A running `mdm serve`, the neighbour whom it must serve well, and one who may use a directory of his own."""

    process: Serve
    dsn: str
    neighbour: Neighbour
    attacker: str
    """A local token with all rights but `i` on `ground`."""
    ground: str
    """The directory that the attacker may use."""
    http: aiohttp.ClientSession
    """The attacker's."""

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def pid(self) -> int:
        return self.process.process.pid

    @property
    def resident(self) -> int:
        """Bytes of memory that the server holds."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def descriptors(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    async def attack(self, operation: str, **body: Any) -> int:
        """One SRM call of the attacker's; its HTTP status."""
        headers = {"Authorization": f"Bearer {self.attacker}"}
        async with self.http.post(f"{self.url}/srm/v2/{operation}", json=body, headers=headers) as answer:
            await answer.read()
            return answer.status

    async def srm(self, operation: str, *, token: str | None = None, **body: Any) -> dict[str, Any]:
        """One SRM call of the attacker's (or with another token), which must succeed."""
        headers = {"Authorization": f"Bearer {token or self.attacker}"}
        async with self.http.post(f"{self.url}/srm/v2/{operation}", json=body, headers=headers) as answer:
            tree: dict[str, Any] = await answer.json()
            assert answer.status == 200, (operation, tree)
            return tree

    def connection(self, source: str = WEAK) -> socket.socket:
        """A connection to the plain port, from this address."""
        connection = socket.socket()
        connection.bind((source, 0))
        connection.connect(("127.0.0.1", self.process.port))
        return connection


@asynccontextmanager
async def besieged(
    data: Path, dsn: str | None, image: bytes, *, log: Path | None = None, **settings: str
) -> AsyncIterator[Besieged]:
    """`settings` as environment variables name them, without MDM_: `limits__held="1000000"`. Without a `dsn` the
    server has an embedded Postgres. `log`: the file that it logs to."""
    own = {"database__dsn": dsn} if dsn is not None else {}
    process = Serve(data, **({"blobs__reserve_free": "0"} | own | settings))
    await process.start(log)
    try:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as http:
            admin = _Administrator(http, process)
            ground, home = "/ground", "/home"
            for directory in (ground, home):
                await admin.post("/srm/v2/mkdir", surl=directory)
            attacker = await admin.token("pdrwlxgs", ground)
            async with Neighbour.moved_in(
                process.url, await admin.token("pdrwlxgs", home), home, image
            ) as neighbour:
                yield Besieged(process, dsn, neighbour, attacker, ground, http)
    finally:
        if process.process.returncode is None:
            process.process.terminate()
            await process.process.wait()


@dataclass(slots=True)
class _Administrator:
    http: aiohttp.ClientSession
    process: Serve

    async def post(self, path: str, /, **body: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.process.admin_token}"}
        async with self.http.post(self.process.url + path, json=body, headers=headers) as answer:
            tree: dict[str, Any] = await answer.json(content_type=None)
            assert answer.status in (200, 201), (path, tree)
            return tree

    async def token(self, rights: str, path: str) -> str:
        tree = await self.post("/admin/v1/tokens", name=f"t{os.urandom(4).hex()}", rights=rights, path=path)
        return str(tree["token"])
