"""Options that several commands share, so that they are spelled and explained alike."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Parallel = Annotated[int, typer.Option(min=1, max=256, help="Transfers at once.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Folders with all that is below them.")]
PARALLEL = 8
