"""Runs the grid's and the web's clients, unmodified, against a throwaway server, and prints what each of them said.

    python -m tests.interop.table [srm|davs|http ...]

One row a command, one column for each protocol, clear and with the view named in the path. Exits 1 when one failed.
"""

import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

from mdm_async.images.upkeep.days import keep_days
from mdm_async.postgres.database import Database, connect
from mdm_async.postgres.migrate import migrate
from tests.conftest import Server
from tests.interop import commands
from tests.interop.grid_tools import GridTools
from tests.interop.rig import HOME, RIGHTS, new_place, rig, serving
from tests.interop.trial import Cell, Trial
from tests.postgres.for_tests import PostgresForTests, postgres_for_tests

COLUMNS = (("srm", ""), ("srm", "basic"), ("davs", ""), ("davs", "basic"), ("http", ""))


async def column(tools: GridTools, other: Server, protocol: str, view: str) -> Trial:
    """All commands of a protocol; with a view those that read."""
    trial = Trial(tools, protocol, await new_place(tools), view, other=other)
    if protocol == "http":
        await open_to_all(trial)
        await commands.suites(trial)
        return trial
    await tools.server.put(f"{trial.place}/seed.dcm", commands.IMAGE)
    await commands.reads(trial)
    if protocol == "davs":
        await commands.web_reads(trial)
    if not view:
        await commands.writes(trial)
        if protocol == "davs":
            await commands.web_writes(trial)
            await commands.tokens(trial)
        await commands.copies(trial)
    return trial


async def open_to_all(trial: Trial) -> None:
    """Anybody may do everything in the directory, where files may be opaque."""
    server = trial.tools.server
    for path, rights in (("/", "x"), (HOME, "x"), (trial.place, RIGHTS)):
        rule = {"principal": "any:anonymous", "rights": rights}
        await server.srm("setPermission", surls=[path], permissionType="ADD", rules=[rule])
    asked = {"surl": trial.place, "opaque": "yes"}
    await server.call("PUT", "/admin/v1/intake", token=server.admin_token, json=asked)


def table(trials: Sequence[Trial]) -> str:
    """In Markdown; failures in bold."""
    labels = list(dict.fromkeys(label for trial in trials for label in trial.cells))
    lines = [
        f"| command | {' | '.join(trial.column for trial in trials)} |",
        f"| --- |{' --- |' * len(trials)}",
    ]
    for label in labels:
        cells = [_shown(trial.cells.get(label)) for trial in trials]
        lines.append(f"| `{label}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return ""
    told = cell.told.replace("|", "\\|")
    return f"ok: {told}".removesuffix(": ") if cell.ok else f"**failed**: {told}"


async def fresh(postgres: PostgresForTests) -> str:
    """A migrated database."""
    dsn = await postgres.fresh_database()
    async with connect(dsn) as connection:
        await migrate(connection, "mdm_async.catalog")
        await migrate(connection, "mdm_async.keys")
    async with Database.connect(dsn, pool_size=1) as database:
        await keep_days(database)
    return dsn


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


async def main(protocols: Sequence[str]) -> int:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mdm-table-")))
        postgres = await stack.enter_async_context(postgres_for_tests())
        ports = [free_port(), free_port()]
        copy = {"hosts": [f"localhost:{port}" for port in ports], "networks": ["127.0.0.0/8", "::1/128"]}
        sections: list[dict[str, Any]] = [{"server": {"tls_port": port}, "copy": copy} for port in ports]
        tools = await stack.enter_async_context(rig(folder, await fresh(postgres), **sections[0]))
        (folder / "other").mkdir()
        there = serving(tools.grid, folder / "other", await fresh(postgres), **sections[1])
        other = await stack.enter_async_context(there)
        trials = [await column(tools, other, *one) for one in COLUMNS if one[0] in protocols]
    print(table(trials))
    failed = [(trial.column, label) for trial in trials for label, cell in trial.cells.items() if not cell.ok]
    print(f"\n{len(failed)} of {sum(len(trial.cells) for trial in trials)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(uvloop.run(main(sys.argv[1:] or ["srm", "davs", "http"])))
