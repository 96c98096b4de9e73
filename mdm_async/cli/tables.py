"""Tables of what de-identification does, and its words: values of files are shown as text, never obeyed."""

import sys
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mdm_async.cli.output import plain

_UNBOUNDED: Final = 4096
"""Columns where there is no terminal: what reads the lines wants them whole."""

PSEUDONYM: Final = "pseudonym, or emptied"

_IN_WORDS: Final = {
    "X": "removed",
    "Z": "emptied",
    "D": "replaced by a dummy",
    "U": "UID replaced",
    "K": "kept",
    "C": "cleaned",
    "S": "date moved by whole days, time of day as it was",
    "+": "added",
}
_GET_PSEUDONYMS: Final = frozenset({"(0008,0050)", "(0010,0010)", "(0010,0020)", "(0020,0010)"})
"""Accession Number, Patient's Name, Patient ID, Study ID."""


def in_words(action: str, tag: str) -> str:
    """For people, what the letter of an action (PS3.15 Table E.1-1a, S, +) means for an attribute."""
    if action in ("Z", "D") and tag in _GET_PSEUDONYMS:
        return PSEUDONYM
    return _IN_WORDS.get(action, action)


def table(*headings: str, title: str | None = None, numbers: tuple[str, ...] = ()) -> Table:
    """An empty one; the columns in `numbers` are right-aligned."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        made.add_column(heading, justify="right" if heading in numbers else "left", overflow="fold")
    return made


def add_row(to: Table, *cells: object, indent: int = 0) -> None:
    """A row, its first cell indented; no cell is taken for markup or for control codes."""
    texts = [plain(str(cell)) for cell in cells]
    texts[0] = "  " * indent + texts[0]
    to.add_row(*map(Text, texts))


def print_table(made: Table) -> None:
    """On stdout; nothing of a table without rows."""
    if made.row_count:
        Console(width=None if sys.stdout.isatty() else _UNBOUNDED).print(made, highlight=False)


def counts_in_words(states: dict[str, Any]) -> str:
    """`{"ready": 3, "refused": 1}` → '3 ready, 1 refused'; what is not there is not named."""
    return ", ".join(f"{count} {state}" for state, count in states.items() if count) or "no images"
