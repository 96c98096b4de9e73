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


def all_names(given: Sequence[str] | None, files_from: Path | None, *, local: bool = False) -> list[str]:
    """Those of the command line and those of the file. BadRequest when there are none. `local`: of this machine."""
    names = list(given or ()) + names_in(files_from, local=local)
    if not names:
        raise BadRequest("nothing is named", remedy="give names, or --files-from")
    return names


def names_in(files_from: Path | None, *, local: bool = False) -> list[str]:
    """A name a line; empty and blank lines are passed over. Of names on the server so is what stands behind a tab, as
    of `mdm meta find --select`, and a JSON document is refused unrepeated: it may tell of patients."""
    if files_from is None:
        return []
    try:
        text = sys.stdin.read() if str(files_from) == "-" else files_from.read_text()
    except UnicodeDecodeError:
        raise BadRequest(f"{files_from} is not UTF-8 text") from None
    except OSError as why:
        raise MdmError(f"{files_from} cannot be read: {why.strerror}") from None
    if local:
        return [line for line in text.splitlines() if line.strip()]
    if text.lstrip().startswith(("{", "[")):
        raise BadRequest(f"{files_from} holds JSON, not names", remedy="give a name a line; leave --json out")
    return [name for line in text.splitlines() if (name := line.partition("\t")[0]).strip()]
