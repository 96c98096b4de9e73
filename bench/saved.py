"""A run kept as a file, and two of them compared: what a change did, and what is noise."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import orjson
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.plot import Plot
from bench.report import Finding, Target

RESULT, PAGE = "result.json", "report.html"
_NOISE: Final = 0.05
"""What no figure of one run is sure about, where it does not tell its spread."""


@dataclass(slots=True)
class Saved:
    """`began`: UTC, to the minute."""

    began: str
    machine: dict[str, Any]
    findings: list[Finding]

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2) + b"\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Of a file, or of the folder that `run --out` wrote. Raises OSError, ValueError."""
        file = path / RESULT if path.is_dir() else path
        try:
            tree = orjson.loads(file.read_bytes())
            return cls(tree["began"], tree["machine"], [_finding(each) for each in tree["findings"]])
        except (KeyError, TypeError, ValueError) as why:
            raise ValueError(f"{file} is not the result of a run ({why})") from None


def _finding(tree: dict[str, Any]) -> Finding:
    plots = [
        Plot(**each | {"series": {name: [(x, y) for x, y in line] for name, line in each["series"].items()}})
        for each in tree.get("plots", ())
    ]
    targets = [Target(**each) for each in tree["targets"]]
    return Finding(tree["scenario"], tree["title"], tree["rows"], targets, tree["remarks"], plots)


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of both runs. `beyond_noise`: the rounds of one do not overlap with those of the other, or, where a row
    tells no rounds, they differ by more than a twentieth."""

    scenario: str
    row: str
    column: str
    before: float
    after: float
    beyond_noise: bool

    @property
    def ratio(self) -> float | None:
        return self.after / self.before if self.before else None


def compared(before: Saved, after: Saved) -> list[Change]:
    """Every figure that both have, in the order of the second."""
    known = {(f.scenario, _name(row)): row for f in before.findings for row in f.rows}
    changes = []
    for finding in after.findings:
        for row in finding.rows:
            old = known.get((finding.scenario, _name(row)))
            if old is None:
                continue
            for column, value in list(row.items())[1:]:
                was = old.get(column)
                if _is_figure(value) and _is_figure(was) and column not in ("least", "most"):
                    apart = _apart(old, row, column, was, value)
                    changes.append(Change(finding.scenario, _name(row), column, was, value, apart))
    return changes


def _apart(old: dict[str, Any], new: dict[str, Any], column: str, was: float, value: float) -> bool:
    ranges = [(row.get("least"), row.get("most")) for row in (old, new)]
    # The spread is that of a row's first figure.
    if column == next(iter(list(new)[1:])) and all(_is_figure(each) for pair in ranges for each in pair):
        (old_least, old_most), (new_least, new_most) = ranges
        if old_least < old_most and new_least < new_most:  # not of one round, which has none
            return bool(new_least > old_most or new_most < old_least)
    return abs(value - was) > _NOISE * abs(was)


def _name(row: dict[str, Any]) -> str:
    return str(next(iter(row.values())))


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def show_changes(changes: Sequence[Change], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for place, column in enumerate(("scenario", "what", "figure", "before", "after", "after / before", "")):
        table.add_column(column, justify="right" if 3 <= place <= 5 else "left")
    for change in changes:
        ratio = "–" if change.ratio is None else f"{change.ratio:.2f}"
        figures = (
            f"{each:,.0f}" if abs(each) >= 100 else f"{each:.2f}" for each in (change.before, change.after)
        )
        noise = "" if change.beyond_noise else "[dim]noise[/dim]"
        table.add_row(change.scenario, escape(change.row), escape(change.column), *figures, ratio, noise)
    console.print(table)
