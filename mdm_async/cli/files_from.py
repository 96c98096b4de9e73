"""`--files-from`: names in a file instead of on the command line."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mdm_async.errors import BadRequest, MdmError

FilesFrom = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="More names, one a line; '-' reads them from stdin.", show_default=False
    ),
]


def all_names(given: Sequence[str] | None, files_from: Path | None) -> list[str]:
    """Those of the command line and those of the file. BadRequest when there are none."""
    names = list(given or ()) + names_in(files_from)
    if not names:
        raise BadRequest("nothing is named", remedy="give names, or --files-from")
    return names


def names_in(files_from: Path | None) -> list[str]:
    """A name a line; empty and blank lines are passed over."""
    if files_from is None:
        return []
    try:
        text = sys.stdin.read() if str(files_from) == "-" else files_from.read_text()
    except UnicodeDecodeError:
        raise BadRequest(f"{files_from} is not UTF-8 text") from None
    except OSError as why:
        raise MdmError(f"{files_from} cannot be read: {why.strerror}") from None
    return [line for line in text.splitlines() if line.strip()]
