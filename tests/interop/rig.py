"""A server with TLS on a throwaway grid: authority, host certificate, user, VOMS proxy, and that user's directory."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.conftest import Server, running_server
from tests.identity.grid_pki import VO, Grid, dn, new_grid
from tests.interop.grid_tools import GridTools

HOME = "/grid"
"""The directory in which the rig's user may do everything but see identities."""
RIGHTS = "pdrwlxgs"


@asynccontextmanager
async def serving(grid: Grid, folder: Path, dsn: str, **sections: dict[str, Any]) -> AsyncIterator[Server]:
    """A server of the grid, where its user has `RIGHTS` in `HOME`, and none elsewhere."""
    host = grid.host.write(folder / "host.pem")
    certificate = {"tls_cert": host, "tls_key": host}
    async with running_server(
        folder / "data",
        dsn,
        identity={"ca_directory": grid.authorities, "voms_directory": grid.vos},
        **sections | {"server": certificate | sections.get("server", {})},
    ) as server:
        await server.srm("mkdir", surl=HOME)
        rule = {"principal": f"dn:{dn('Ada User')}", "rights": RIGHTS}
        await server.srm("setPermission", surls=[HOME], permissionType="ADD", rules=[rule])
        # Whoever may not pass through the root finds nothing below it.
        rule = {"principal": f"dn:{dn('Ada User')}", "rights": "x"}
        await server.srm("setPermission", surls=["/"], permissionType="ADD", rules=[rule])
        yield server


@asynccontextmanager
async def rig(folder: Path, dsn: str, **sections: dict[str, Any]) -> AsyncIterator[GridTools]:
    """A server, as `serving` says, and the tools of its user, who has a proxy with VOMS attributes."""
    grid = new_grid(folder)
    proxy = grid.voms_proxy(fqans=[f"/{VO}/Role=NULL/Capability=NULL"]).write(folder / "proxy.pem")
    async with serving(grid, folder, dsn, **sections) as server:
        home = folder / "home"
        home.mkdir()
        yield GridTools(server, grid, home, proxy)


async def new_place(tools: GridTools) -> str:
    """A directory of one test's own, below `HOME`."""
    path = f"{HOME}/d{os.urandom(6).hex()}"
    await tools.server.srm("mkdir", surl=path)
    return path
