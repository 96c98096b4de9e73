"""A server that may copy from and to two peers of the tests' own."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mdm_async.web.copying.copies import Copies
from tests.conftest import Server, running_server
from tests.identity.grid_pki import Grid, new_grid
from tests.postgres.for_tests import PostgresForTests
from tests.web.copying.peers import Peer, a_peer

LARGEST = 4 << 20


@dataclass
class Copying:
    server: Server
    grid: Grid
    peer: Peer
    other: Peer
    """A second one, listed as the first is."""
    stranger: Peer
    """One that is not."""

    @property
    def copies(self) -> Copies:
        """Those of the running server."""
        near = [getattr(one, "__self__", None) for one in self.server.house.near]
        return next(one for one in near if isinstance(one, Copies))

    async def copy(self, path: str, *, token: str | None = None, **headers: str) -> tuple[int, str]:
        """Status and text of a COPY; a header's underscores are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = await self.server.call(
            "COPY", f"/dav{path}", token=token or self.server.admin_token, headers=named
        )
        return reply.status, reply.body.decode()

    async def failed(self, path: str, *, token: str | None = None, **headers: str) -> str:
        """Why a copy that began failed; it must have."""
        status, text = await self.copy(path, token=token, **headers)
        assert status == 202, (status, text)
        found = re.search(r"^failure: (.*)\n\Z", text, re.MULTILINE)
        assert found is not None, text
        return found[1]

    async def done(self, path: str, *, token: str | None = None, **headers: str) -> str:
        status, text = await self.copy(path, token=token, **headers)
        assert (status, text.splitlines()[-1:]) == (202, ["success: Created"]), text
        return text

    async def original(self, path: str) -> bytes:
        """The file as it was sent."""
        token = await self.server.token("rlxi", views=["identified"])
        return await self.server.read(path, view="identified", token=token)

    async def exists(self, path: str) -> bool:
        found = await self.server.srm("ls", surls=[path], expect=None)
        return bool(found["files"][0]["status"]["statusCode"] == "SRM_SUCCESS")


@pytest.fixture(scope="session")
async def copying(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Copying]:
    folder: Path = tmp_path_factory.mktemp("copying")
    grid = new_grid(folder)
    certificate = grid.host.write(folder / "host.pem")
    async with AsyncExitStack() as stack:
        peer, other, stranger = [await stack.enter_async_context(a_peer(certificate)) for _ in range(3)]
        server = await stack.enter_async_context(
            running_server(
                folder / "data",
                await postgres.fresh_database(migrated),
                identity={"ca_directory": grid.authorities},
                transfers={"max_upload": LARGEST},
                delivery={"identified": "clear"},
                copy={
                    "hosts": [
                        *(
                            f"{host}:{one.port}"
                            for one in (peer, other)
                            for host in ("localhost", "127.0.0.1")
                        ),
                        f"postgres.example.org:{peer.port}",
                    ],
                    "networks": ["127.0.0.0/8"],
                    "marker_seconds": 0.1,
                },
            )
        )
        yield Copying(server, grid, peer, other, stranger)


@pytest.fixture
def hasty(copying: Copying) -> Iterator[None]:
    """Other servers are given up soon."""
    copies, client = copying.copies, copying.copies.client
    settings = client.guard.settings.model_copy(update={"stall_seconds": 3.0})
    copies.client = replace(client, guard=replace(client.guard, settings=settings))
    yield
    copies.client = client


@pytest.fixture
async def place(copying: Copying) -> str:
    """A directory of one test's own."""
    return await copying.server.directory()
