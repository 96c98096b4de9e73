"""`mdm meta find`: what matches a query, as names to go on with, as a document, or as a table in a file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.metadata.table import table
from mdm_async.cli.options import Json
from mdm_async.cli.output import Failed, about, complain, print_json, print_line
from mdm_async.client.finding import EVERYTHING, Column, Match, listed
from mdm_async.errors import MdmError, NotFound

Query = Annotated[
    str,
    typer.Argument(
        metavar="QUERY", help="As: 'Modality = \"CT\" and SliceThickness < 2'.", show_default=False
    ),
]
Path_ = Annotated[
    str, typer.Option("--path", metavar="LFN", help="The file, or what is below the directory.")
]
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

Join = Annotated[
    list[str] | None,
    typer.Option(
        metavar="C=LFN", help="Join what is below LFN, as C.ATTRIBUTE in the query.", show_default=False
    ),
]


def register(group: typer.Typer) -> None:
    group.command()(find)
    group.command()(attributes)


def attributes(context: typer.Context, path: Path_ = "/", json: Json = False) -> None:
    """List what queries may name at a path: DICOM's attributes, and those of collections in force there.

    Example: `mdm meta attributes --path /demo`
    """

    async def work() -> list[dict[str, Any]]:
        async with client_of(context) as client:
            return await client.meta.attributes(path)

    with about(path):
        found = complete(work())
    if json:
        print_json({"attributes": found})
        return
    for one in found:
        also = [one["kind"], *(["several values"] if one["many"] else []), one.get("level", "")]
        print_line("  ".join((one["name"], *(word for word in also if word))))


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
    join: Join = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many at the most.", show_default=False)] = None,
    parquet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a table into a new Parquet file.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Print the names of what matches a query, one a line, with values behind tabs if some are selected.

    What may not be read in the view does not match. `mdm get --files-from -` takes the names.

    Example: `mdm meta find 'Modality = "CT" and SliceThickness < 2' --path /demo --select Rows,Columns`
    """
    if select is None:
        select = EVERYTHING if json or parquet is not None else ""
    asked: dict[str, Any] = {
        "view": view,
        "select": listed(select),
        "order": listed(order or ""),
        "joins": dict(join_of(one) for one in join or ()),
        "limit": limit,
    }
    if parquet is not None:
        with table(parquet) as made, nullcontext() if join else at_path(path):
            complete(_each(context, query, path, asked, made.begin, made.add))
        if json:
            print_json({"file": str(parquet), "rows": made.count})
        else:
            print_line(f"{parquet}: {made.count} rows")
        return
    found: list[Match] = []
    columns: list[str] = []
    any_found = False

    def tell(matches: Sequence[Match]) -> None:
        nonlocal any_found
        any_found = any_found or bool(matches)
        if json:
            found.extend(matches)
            return
        for match in matches:
            print_line(_in_line(match, columns))

    with nullcontext() if join else at_path(path):
        complete(_each(context, query, path, asked, columns.extend, tell))
    if json:
        print_json({"matches": [_as_json(match) for match in found]})
    elif not any_found:
        complain(
            MdmError(
                "nothing found of what you have the right 'g' to, and of whose view the right 'r' (of identified, 'r' "
                "and 'i'), with 'x' on all directories above; of what was only registered at an archive a view is "
                "known once it was brought (mdm pacs stage)"
            )
        )


@contextmanager
def at_path(path: str) -> Iterator[None]:
    """Where there is no such path, tells which: the query's own errors tell of the query."""
    try:
        yield
    except NotFound as error:
        raise Failed(error, path) from error


async def _each(
    context: typer.Context,
    query: str,
    path: str,
    asked: dict[str, Any],
    begin: Callable[[Mapping[str, Column]], None],
    tell: Callable[[Sequence[Match]], None],
) -> None:
    begun = False
    async with client_of(context) as client:
        async for page in client.meta.pages(query, path, **asked):
            if not begun:
                begin(page.columns)
                begun = True
            tell(page.matches)


def join_of(text: str) -> tuple[str, str]:
    alias, equals, path = text.partition("=")
    if not equals:
        raise typer.BadParameter("write a join as ALIAS=LFN")
    return alias, path


def _in_line(match: Match, columns: Sequence[str]) -> str:
    return "\t".join((match.path, *("\\".join(map(str, match.values.get(one, ()))) for one in columns)))


def _as_json(match: Match) -> dict[str, Any]:
    return {"path": match.path, "guid": match.guid, "view": match.view, "values": match.values}
