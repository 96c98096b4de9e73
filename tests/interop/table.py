"""Runs the grid's and the web's clients, unmodified, against a throwaway server, and prints what each of them said.

    python -m tests.interop.table [srm|davs]

One row a command, one column for each protocol, clear and with the view named in the path. Exits 1 when one failed.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from mdm_async.images.upkeep.days import keep_days
from mdm_async.postgres.database import Database, connect
from mdm_async.postgres.migrate import migrate
from tests.interop import commands
from tests.interop.grid_tools import GridTools
from tests.interop.rig import new_place, rig
from tests.interop.trial import Cell, Trial
from tests.postgres.for_tests import postgres_for_tests

COLUMNS = (("srm", ""), ("srm", "basic"), ("davs", ""), ("davs", "basic"))


async def column(tools: GridTools, protocol: str, view: str) -> Trial:
    """All commands of a protocol; with a view those that read."""
    trial = Trial(tools, protocol, await new_place(tools), view)
    await tools.server.put(f"{trial.place}/seed.dcm", commands.IMAGE)
    await commands.reads(trial)
    if protocol == "davs":
        await commands.web_reads(trial)
    if not view:
        await commands.writes(trial)
        if protocol == "davs":
            await commands.web_writes(trial)
    return trial


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


async def main(protocols: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="mdm-table-") as folder:
        async with postgres_for_tests() as postgres:
            dsn = await postgres.fresh_database()
            async with connect(dsn) as connection:
                await migrate(connection, "mdm_async.catalog")
                await migrate(connection, "mdm_async.keys")
            async with Database.connect(dsn, pool_size=1) as database:
                await keep_days(database)
            async with rig(Path(folder), dsn) as tools:
                trials = [await column(tools, *one) for one in COLUMNS if one[0] in protocols]
    print(table(trials))
    failed = [(trial.column, label) for trial in trials for label, cell in trial.cells.items() if not cell.ok]
    print(f"\n{len(failed)} of {sum(len(trial.cells) for trial in trials)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(uvloop.run(main(sys.argv[1:] or ["srm", "davs"])))
