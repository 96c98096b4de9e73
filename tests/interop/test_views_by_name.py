"""gfal2 reads the view that a path names, over both protocols, by the commands of `make interop`."""

import asyncio

from tests.interop import commands
from tests.interop.grid_tools import GridTools
from tests.interop.trial import Trial


async def test_every_command_that_reads_takes_a_named_view(grid_tools: GridTools, place: str) -> None:
    await grid_tools.server.put(f"{place}/seed.dcm", commands.IMAGE)
    trials = [Trial(grid_tools, protocol, place, "basic") for protocol in ("srm", "davs")]
    await asyncio.gather(*(commands.reads(trial) for trial in trials))
    failed = {
        (trial.column, label): cell for trial in trials for label, cell in trial.cells.items() if not cell.ok
    }
    assert failed == {}
