"""One server with TLS, a grid of its own, and the tools of its users."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import running_server
from tests.identity.grid_pki import VO, dn, new_grid
from tests.interop.grid_tools import GridTools
from tests.postgres.for_tests import PostgresForTests

HOME = "/grid"
"""The directory in which the tests' user may do everything but see identities."""
RIGHTS = "pdrwlxgs"


@pytest.fixture(scope="session")
async def grid_tools(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[GridTools]:
    """Its user has `RIGHTS` in `HOME`, and none elsewhere."""
    folder: Path = tmp_path_factory.mktemp("interop")
    grid = new_grid(folder)
    host = grid.host.write(folder / "host.pem")
    proxy = grid.voms_proxy(fqans=[f"/{VO}/Role=NULL/Capability=NULL"]).write(folder / "proxy.pem")
    async with running_server(
        folder / "data",
        await postgres.fresh_database(migrated),
        identity={"ca_directory": grid.authorities, "voms_directory": grid.vos},
        server={"tls_cert": host, "tls_key": host},
    ) as server:
        await server.srm("mkdir", surl=HOME)
        rule = {"principal": f"dn:{dn('Ada User')}", "rights": RIGHTS}
        await server.srm("setPermission", surls=[HOME], permissionType="ADD", rules=[rule])
        # Whoever may not pass through the root finds nothing below it.
        rule = {"principal": f"dn:{dn('Ada User')}", "rights": "x"}
        await server.srm("setPermission", surls=["/"], permissionType="ADD", rules=[rule])
        home = folder / "home"
        home.mkdir()
        yield GridTools(server, grid, home, proxy)


@pytest.fixture
async def place(grid_tools: GridTools) -> str:
    """A directory of one test's own, below `HOME`."""
    path = f"{HOME}/d{os.urandom(6).hex()}"
    await grid_tools.server.srm("mkdir", surl=path)
    return path
