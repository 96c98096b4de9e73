"""`make soak`: half an hour of all attacks in rotation beside a well-served neighbour; everything must level off."""

import asyncio
import importlib
import inspect
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import asyncpg
import orjson
import psutil
import pydicom.data
import typer
from rich.console import Console
from rich.table import Table

from tests.siege.besieged import Besieged, besieged
from tests.siege.neighbour import BadlyServed

Attack = Callable[[Besieged], Awaitable[None]]

_MIB = 1 << 20
_STALL = 10.0
_GROWTH = 1.15
"""The most by which the last third of a run may be above the third before it."""
_FLOOR = {"memory MiB": 64.0, "descriptors": 32.0, "log KiB a minute": 64.0, "tables MiB": 16.0}
"""Growth by less than this is noise."""


@dataclass(slots=True)
class Sample:
    minute: float
    figures: dict[str, float]


@dataclass(slots=True)
class Soak:
    castle: Besieged
    log: Path
    begun: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)
    served: Counter[str] = field(default_factory=Counter)
    badly: list[str] = field(default_factory=list)

    async def run(self, minutes: float, console: Console) -> None:
        watching = asyncio.create_task(self._watch(minutes / 60, console))
        try:
            while time.monotonic() - self.begun < minutes * 60:
                for attack in attacks():
                    await self._stand(attack)
                    if time.monotonic() - self.begun >= minutes * 60:
                        break
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _stand(self, attack: Attack) -> None:
        name = getattr(attack, "__name__", "attack")
        neighbour = self.castle.neighbour
        try:
            async with neighbour.served_well(stall=_STALL):
                await attack(self.castle)
        except BadlyServed as why:
            self.badly.append(f"{name}: {why}")
        self.served[name] += len(neighbour.waits)

    async def _watch(self, every: float, console: Console) -> None:
        """A sample sixty times in the run."""
        logged = 0
        while True:
            await asyncio.sleep(every * 60)
            size = self.log.stat().st_size
            process = psutil.Process(self.castle.pid)
            family = [process, *process.children(recursive=True)]
            memory = sum(_resident(one) for one in family if "postgres" not in one.name())
            self.samples.append(
                Sample(
                    (time.monotonic() - self.begun) / 60,
                    {
                        "memory MiB": memory / _MIB,
                        "descriptors": float(self.castle.descriptors),
                        "tables MiB": await self._tables() / _MIB,
                        "log KiB a minute": (size - logged) / 1024 / every,
                    },
                )
            )
            logged = size
            last = self.samples[-1]
            console.print(
                f"{last.minute:5.1f} min  "
                + "  ".join(f"{name} {value:.0f}" for name, value in last.figures.items())
            )

    async def _tables(self) -> int:
        """Bytes of the catalog but for what honest requests leave: grants for days, the audit trail for ever."""
        db = await asyncpg.connect(self.castle.process.dsn)
        try:
            found: int = await db.fetchval(
                "select sum(pg_total_relation_size(oid))::bigint from pg_class where relkind = 'r'"
                " and relname !~ '^(grants|audit)' and relnamespace = 'public'::regnamespace"
            )
            return found
        finally:
            await db.close()

    def verdicts(self) -> Iterator[tuple[str, float, float, bool]]:
        """Each figure, what it was in the middle third and in the last, and whether it has levelled off."""
        third = len(self.samples) // 3
        for name in self.samples[0].figures:
            values = [sample.figures[name] for sample in self.samples]
            before, after = (
                statistics.median(values[third : 2 * third]),
                statistics.median(values[2 * third :]),
            )
            yield name, before, after, after <= before * _GROWTH or after - before < _FLOOR[name]


def attacks() -> list[Attack]:
    """Every attack of this folder: the public coroutine functions of `attacks_*.py` that take a castle."""
    found: list[Attack] = []
    for path in sorted(Path(__file__).parent.glob("attacks_*.py")):
        module = importlib.import_module(f"tests.siege.{path.stem}")
        for name, one in inspect.getmembers(module, inspect.iscoroutinefunction):
            own = one.__module__ == module.__name__ and not name.startswith("_")
            signature = inspect.signature(one)
            if own and "castle" in signature.parameters and signature.return_annotation is None:
                found.append(one)
    return found


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0


async def soak(minutes: float, folder: Path, console: Console) -> Soak:
    image = Path(pydicom.data.get_testdata_file("CT_small.dcm")).read_bytes()  # type: ignore[arg-type]
    log = folder / "log"
    async with besieged(folder / "data", None, image, log=log, log__format="json") as castle:
        run = Soak(castle, log)
        await run.run(minutes, console)
        return run


def main(
    minutes: Annotated[float, typer.Option(help="How long.")] = 30.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """All attacks in rotation beside a caller who must be served well; memory, descriptors, tables and log level off.

    Example: python -m tests.siege.soak --minutes 30
    """
    console = Console(stderr=json)
    with tempfile.TemporaryDirectory(prefix="mdm-soak-") as folder:
        run = asyncio.run(soak(minutes, Path(folder), console))
    told = list(run.verdicts())
    table = Table("figure", "middle third", "last third", "levels off")
    for name, before, after, level in told:
        table.add_row(name, f"{before:.0f}", f"{after:.0f}", "yes" if level else "[red]no[/red]")
    console.print(table)
    console.print(f"the neighbour's answers: {sum(run.served.values())}, badly served {len(run.badly)} times")
    for one in run.badly:
        console.print(f"  {one}")
    if json:
        tree = {
            "samples": [{"minute": one.minute} | one.figures for one in run.samples],
            "served": run.served,
            "badly": run.badly,
        }
        sys.stdout.buffer.write(orjson.dumps(tree, option=orjson.OPT_INDENT_2) + b"\n")
    if run.badly or not all(level for *_, level in told):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
