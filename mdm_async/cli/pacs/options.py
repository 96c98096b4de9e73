"""How an archive, and studies of it, are named on the command line."""

from typing import Annotated

import typer

Archive = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Study = Annotated[
    str | None, typer.Option("--study", help="Only this study, by its UID.", show_default=False)
]
Query = Annotated[
    str | None,
    typer.Option(
        "--query",
        help="Only studies with these values, as 'Modality=CT&StudyDate=20240101-20241231'; * and ? match any text.",
        show_default=False,
    ),
]
