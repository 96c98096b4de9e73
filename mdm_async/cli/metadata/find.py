"""`mdm meta find`: what matches a query, as names to go on with, as a document, or as a table in a file."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.client.finding import EVERYTHING, Match

Query = Annotated[
    str,
    typer.Argument(
        metavar="QUERY", help="As: 'Modality = \"CT\" and SliceThickness < 2'.", show_default=False
    ),
]
Path_ = Annotated[str, typer.Option("--path", metavar="LFN", help="What is at or below it.")]
View = Annotated[
    str | None,
    typer.Option(help="View whose values count; default: each file's default view.", show_default=False),
]
Select = Annotated[
    str | None,
    typer.Option(
        metavar="A,B…", help="Attributes to tell of each; '*' for all that the view says.", show_default=False
    ),
]


def register(group: typer.Typer) -> None:
    group.command()(find)


def find(
    context: typer.Context,
    query: Query,
    path: Path_ = "/",
    view: View = None,
    select: Select = None,
    order: Annotated[
        str | None,
        typer.Option(
            metavar="A,-B…", help="Sort by these attributes; '-' the largest first.", show_default=False
        ),
    ] = None,
    join: Annotated[
        list[str] | None,
        typer.Option(
            metavar="C=LFN", help="Join what is below LFN, as C.ATTRIBUTE in the query.", show_default=False
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many at the most.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Print the names of what matches a query, one a line, with values behind tabs if some are selected.

    What may not be read in the view does not match. `mdm get --files-from -` takes the names.

    Example: `mdm meta find 'Modality = "CT" and SliceThickness < 2' --path /demo --select Rows,Columns`
    """
    chosen = listed(select) if select is not None else [EVERYTHING] if json else []
    asked: dict[str, Any] = {
        "view": view,
        "select": chosen,
        "order": listed(order or ""),
        "joins": dict(_join(one) for one in join or ()),
        "limit": limit,
    }

    async def work() -> list[dict[str, Any]]:
        found = []
        async with client_of(context) as client:
            async for page in client.meta.pages(query, path, **asked):
                for match in page.matches:
                    if json:
                        found.append(_as_json(match))
                    else:
                        print_line(_in_line(match, list(page.columns)))
        return found

    found = complete(work())
    if json:
        print_json({"matches": found})


def listed(text: str) -> list[str]:
    return [name for one in text.split(",") if (name := one.strip())]


def _join(text: str) -> tuple[str, str]:
    alias, equals, path = text.partition("=")
    if not equals:
        raise typer.BadParameter("write a join as ALIAS=LFN")
    return alias, path


def _in_line(match: Match, columns: Sequence[str]) -> str:
    return "\t".join((match.path, *("\\".join(map(str, match.values.get(one, ()))) for one in columns)))


def _as_json(match: Match) -> dict[str, Any]:
    return {"path": match.path, "guid": match.guid, "view": match.view, "values": match.values}
