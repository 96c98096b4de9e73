"""What a scenario found: rows for a table, targets, remarks; as tables or as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.plot import Plot


@dataclass(frozen=True, slots=True)
class Target:
    """What the project promises, and what was measured."""

    promise: str
    measured: str
    met: bool | None
    """None when it could not be measured."""


@dataclass(slots=True)
class Finding:
    """One scenario's. Every row has the same columns."""

    scenario: str
    title: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)


def show(finding: Finding, console: Console) -> None:
    table = Table(title=finding.title, title_justify="left", box=box.SIMPLE_HEAD)
    for place, column in enumerate(finding.rows[0] if finding.rows else ()):
        table.add_column(column, justify="right" if place else "left", no_wrap=not place)
    for row in finding.rows:
        table.add_row(*map(_cell, row.values()))
    console.print(table)
    for remark in finding.remarks:
        console.print(f"  {escape(remark)}", highlight=False)


def show_targets(findings: Sequence[Finding], console: Console) -> None:
    """The summary at the end, if anything was promised."""
    if not any(finding.targets for finding in findings):
        return
    table = Table(title="targets", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("promise", "measured", ""):
        table.add_column(column)
    marks = {True: "[green]met[/green]", False: "[red]missed[/red]", None: "[yellow]not measured[/yellow]"}
    for finding in findings:
        for target in finding.targets:
            table.add_row(escape(target.promise), escape(target.measured), marks[target.met])
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
    return escape(f"{value:,}" if isinstance(value, int) else str(value))
