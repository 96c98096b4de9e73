"""`mdm meta query`: queries kept under names."""

from typing import Annotated

import typer

from mdm_async.cli.metadata.find import find
from mdm_async.cli.metadata.sequence import asked
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.client.finding import listed

Named = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
At = Annotated[
    str,
    typer.Option("--at", metavar="DIR", help="The directory where the query is kept.", show_default=False),
]
Directory = Annotated[str, typer.Argument(metavar="DIR", show_default=False)]
Select = Annotated[
    str | None,
    typer.Option(metavar="A,B…", help="Attributes to tell of what it finds.", show_default=False),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Queries kept under names.", no_args_is_help=True)
    group.command()(save)
    group.command("list")(list_)
    group.command()(show)
    group.command()(run)
    group.command()(remove)
    app.add_typer(group, name="query")


def save(
    context: typer.Context,
    name: Named,
    query: Annotated[str, typer.Argument(metavar="QUERY", show_default=False)],
    at: At,
    select: Select = None,
    view: Annotated[str | None, typer.Option(help="The view whose values count.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Keep a query at a directory, for all who may get its metadata; it takes the right 's' there.

    Example: `mdm meta query save thin 'Modality = "CT" and SliceThickness < 2' --at /vo/study`
    """
    chosen = listed(select or "")
    asked(context, at, lambda meta: meta.save_query(at, name, query, select=chosen, view=view))
    if json:
        print_json({"path": at, "query": name})


def list_(context: typer.Context, at: Directory, json: Json = False) -> None:
    """List the queries that are kept at a directory.

    Example: `mdm meta query list /vo/study`
    """
    found = asked(context, at, lambda meta: meta.queries(at))
    if json:
        print_json(found)
        return
    for one in found:
        print_line(f"{one['name']}  {one['query']}")


def show(context: typer.Context, name: Named, at: At, json: Json = False) -> None:
    """Print a query that is kept.

    Example: `mdm meta query show thin --at /vo/study`
    """
    found = asked(context, at, lambda meta: meta.query(at, name))
    if json:
        print_json(found)
        return
    print_line(found["query"])


def run(
    context: typer.Context,
    name: Named,
    at: At,
    path: Annotated[
        str | None,
        typer.Option(
            metavar="LFN", help="The file, or what is below the directory; default: DIR.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Ask a query that is kept, by your own rights: as mdm meta find does.

    Example: `mdm meta query run thin --at /vo/study`
    """
    kept = asked(context, at, lambda meta: meta.query(at, name))
    select = ",".join(kept.get("select", [])) or None
    find(context, kept["query"], path or at, kept.get("view"), select, json=json)


def remove(context: typer.Context, name: Named, at: At, json: Json = False) -> None:
    """Remove a query that is kept; it takes the rights 's' and 'd'.

    Example: `mdm meta query remove thin --at /vo/study`
    """
    asked(context, at, lambda meta: meta.remove_query(at, name))
    if json:
        print_json({"path": at, "query": name})
