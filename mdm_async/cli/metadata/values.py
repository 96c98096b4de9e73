"""`mdm meta get|set`: what is known of entries, and what users say of them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from mdm_async.cli.connection import client_of
from mdm_async.cli.files_from import FilesFrom, all_names
from mdm_async.cli.metadata.csv_values import rows_of, set_rows
from mdm_async.cli.names.commands import outcome_json
from mdm_async.cli.options import Json
from mdm_async.cli.output import complain, end, print_json, print_line
from mdm_async.cli.settled import settled
from mdm_async.client.metadata import Described, Value
from mdm_async.client.one_or_many import Outcome
from mdm_async.errors import BadRequest

_ASSIGNED: Final = re.compile(r"([A-Za-z]\w*\.[A-Za-z]\w*)=(.*)", re.DOTALL | re.ASCII)


def register(app: typer.Typer) -> None:
    app.command("get")(get)
    app.command("set")(set_)


def get(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="LFN…", show_default=False)] = None,
    files_from: FilesFrom = None,
    json: Json = False,
) -> None:
    """Show what is known of files and directories: what the default view says, or another (/@VIEW before the path), and
    what users say.

    Example: `mdm meta get /demo/CT_small.dcm`
    """

    async def work() -> dict[str, Described]:
        async with client_of(context) as client:
            return await client.meta.get(all_names(names, files_from))

    outcomes = settled(work())
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
        elif not json and outcome.result is not None:
            print_line(outcome.name)
            for line in _lines(outcome.result):
                print_line(f"  {line}")
    if json:
        print_json([_as_json(outcome) for outcome in outcomes])
    end(outcome.error for outcome in outcomes)


def set_(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="LFN… COLLECTION.ATTRIBUTE=VALUE…", show_default=False),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(
            "--unset", metavar="COLLECTION.ATTRIBUTE", help="Take this value away.", show_default=False
        ),
    ] = None,
    files_from: FilesFrom = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Names in its first column, and their values in others, below a line such as path,mine.quality.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Give files and directories values: each gets all of them, or none.

    Example: `mdm meta set /demo/CT_small.dcm mine.quality=3 'mine.note=much noise'`
    """
    if table is not None:
        if words or unset or files_from is not None:
            raise BadRequest("the table says it all", remedy="give --csv alone")
        rows = rows_of(table)

        async def rows_set() -> dict[str, None]:
            async with client_of(context) as client:
                return await set_rows(client.meta, rows)

        _tell(settled(rows_set()), json)
        return
    values, names = assigned(words or ())
    values |= dict.fromkeys(unset or ())
    if not values:
        raise BadRequest(
            "no value is given", remedy="write COLLECTION.ATTRIBUTE=VALUE, --unset, or --csv FILE"
        )
    paths = all_names(names, files_from)

    async def work() -> dict[str, None]:
        async with client_of(context) as client:
            await client.meta.set(paths, values)
        return dict.fromkeys(paths)

    _tell(settled(work()), json)


def _tell(outcomes: Sequence[Outcome[None]], json: bool) -> None:
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
    if json:
        print_json([outcome_json(outcome.name, outcome.error) for outcome in outcomes])
    end(outcome.error for outcome in outcomes)


def assigned(words: Any) -> tuple[dict[str, Value | None], list[str]]:
    """The values that words of a command line give, and its other words."""
    values: dict[str, Value | None] = {}
    names = []
    for word in words:
        if found := _ASSIGNED.fullmatch(word):
            values[found[1]] = found[2]
        else:
            names.append(word)
    return values, names


def _lines(found: Described) -> Iterator[str]:
    for name, values in found.values.items():
        told = "\\".join(map(str, values))
        yield f"{name} = {told}"
    for collection, own in found.own.items():
        for name, value in own.items():
            yield f"{collection}.{name} = {value}"


def _as_json(outcome: Outcome[Described]) -> dict[str, Any]:
    if outcome.error is not None or outcome.result is None:
        return outcome_json(outcome.name, outcome.error)
    one = outcome.result
    return {"path": outcome.name, "guid": one.guid, "view": one.view, "values": one.values, "own": one.own}
