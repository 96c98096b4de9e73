"""What a command says: results and JSON on stdout, complaints and progress on stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import typer
from rich.console import Console

from mdm_async.errors import MdmError


def stderr_console() -> Console:
    """For progress and tables beside the result."""
    return Console(stderr=True)


def print_line(text: str = "") -> None:
    """One line of a result, for people."""
    sys.stdout.write(text + "\n")


def print_json(document: Any) -> None:
    """The one document that `--json` gives."""
    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
    if sys.stdout.isatty():
        options |= orjson.OPT_INDENT_2
    sys.stdout.write(orjson.dumps(document, option=options).decode())


def complain(error: MdmError, subject: str = "") -> None:
    """`mdm: [subject: ]<detail>; <remedy>`, one line for each line of the detail."""
    about = f"{subject}: " if subject else ""
    details = error.detail.splitlines() or [error.title]
    details[-1] += f"; {error.remedy}" if error.remedy else ""
    for detail in details:
        sys.stderr.write(f"mdm: {about}{detail}\n")
    sys.stderr.flush()


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Says which of the names on the command line an error is about, and ends the command with its code."""
    try:
        yield
    except MdmError as error:
        complain(error, subject)
        raise typer.Exit(error.exit_code) from error


def error_json(error: MdmError) -> dict[str, Any]:
    """An error inside a JSON document."""
    fields = {"code": error.srm, "detail": error.detail, "remedy": error.remedy, "exit": error.exit_code}
    return {name: value for name, value in fields.items() if value != ""}


def in_words(size: float) -> str:
    """Bytes for people: 530758 → '518.3 KiB'."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
