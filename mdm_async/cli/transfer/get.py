"""`mdm get`: images out."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of
from mdm_async.cli.files_from import FilesFrom, all_names
from mdm_async.cli.options import PARALLEL, Json, Parallel, Recursive
from mdm_async.cli.output import end, error_json, in_words, print_json, print_line
from mdm_async.cli.settled import settled
from mdm_async.cli.transfer.byte_range import ByteRange, parse_range
from mdm_async.cli.transfer.meters import metered
from mdm_async.client.client import Client
from mdm_async.client.download import Downloaded
from mdm_async.client.one_or_many import Outcome, settle
from mdm_async.client.side_by_side import Gauge, Meter
from mdm_async.errors import BadRequest, MdmError, NotADirectory

_INTERRUPTED = ("and of others what came is kept", "the same command goes on from there")


def register(app: typer.Typer) -> None:
    app.command()(get)


def get(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LFN… [OUT]",
            help="What to pull, and where to, if there are two or more words or --files-from: a file, a folder ('/' at "
            "its end: it is made), or '-' for stdout; else into the folder one is in.",
            show_default=False,
        ),
    ] = None,
    view: Annotated[
        str | None, typer.Option(help="View to pull; default: the directory's default view.")
    ] = None,
    sealed: Annotated[
        bool | None,
        typer.Option(
            "--sealed/--clear",
            help="Encrypted to a key of this pull alone, or not; default: sealed where it must be.",
            show_default=False,
        ),
    ] = None,
    bytes_: Annotated[
        str | None, typer.Option("--range", metavar="A-B", help="Only bytes A to B, as in HTTP.")
    ] = None,
    recursive: Recursive = False,
    pin: Annotated[int | None, typer.Option(min=1, help="Seconds that transfer URLs shall live.")] = None,
    files_from: FilesFrom = None,
    parallel: Parallel = PARALLEL,
    json: Json = False,
) -> None:
    """Pull a view of an image, resumed where an earlier pull ended, and checked.

    Several, or with -r all that is below directories, go into a folder; what is there and verified is not pulled again.

    Example: `mdm get /demo/CT_small.dcm --view basic --sealed`

    Example: `mdm meta find 'Modality = "CT"' --path /demo | mdm get --files-from - ct/`
    """
    lfns, out = _divided(names or [], files_from)
    several = recursive or len(lfns) > 1 or files_from is not None
    if out == "-" and (several or json):
        raise BadRequest("only the bytes of one file go to stdout", remedy="leave out -r and --json")
    wanted = None if bytes_ is None else parse_range(bytes_)
    if several and wanted is not None:
        raise BadRequest("a range is of one file", remedy="leave out -r")
    if len(lfns) > 1 and not Path(out).is_dir() and (not out.endswith("/") or Path(out).exists()):
        raise NotADirectory(
            f"{out} is not a folder", remedy="make it with mkdir, or end its name with '/': then it is made"
        )
    choice: dict[str, Any] = {"view": view, "sealed": sealed, "pin": pin}

    async def work() -> dict[str, Downloaded]:
        async with client_of(context) as client:
            if several:
                how = {"recursive": recursive, "parallel": parallel, "meter": meter, **choice}
                return await client.get_all(lfns, out, **how)
            return settle([], [await _get_one(client, lfns[0], out, wanted, choice, meter)])

    with metered(*_INTERRUPTED) as meter:
        outcomes = settled(work())
    if json:
        print_json({"files": [downloaded_json(outcome) for outcome in outcomes]})
    elif out != "-":
        for outcome in outcomes:
            if outcome.result is not None:
                print_line(_in_line(outcome.result))
    end(outcome.error for outcome in outcomes)


def _divided(names: list[str], files_from: Path | None) -> tuple[list[str], str]:
    """What to pull, and where to: of two words or more the last is that, beside --files-from any is."""
    *lfns, out = names if len(names) > 1 or (names and files_from is not None) else [*names, "."]
    return all_names(lfns, files_from), out


async def _get_one(
    client: Client, lfn: str, out: str, wanted: ByteRange | None, choice: dict[str, Any], meter: Meter
) -> Outcome[Downloaded]:
    start, stop = (0, None) if wanted is None else wanted.as_slice()
    target = sys.stdout.buffer if out == "-" else out
    gauge: Gauge | None = None
    try:
        async with await client.open(lfn, **choice) as file:
            gauge, ticket = meter.begin(lfn, file.size), file.pull.ticket
            got = await client.get(lfn, target, start, stop, prepared=ticket, on_bytes=gauge, **choice)
    except MdmError as error:
        (gauge or meter.begin(lfn, None)).end(error)
        return Outcome(lfn, None, error)
    gauge.end(None)
    return Outcome(lfn, got)


def _in_line(got: Downloaded) -> str:
    there = "  was there" if got.was_there else ""
    return f"{got.target}  {in_words(got.size)}  {got.view}  adler32 {got.adler32}{there}"


def downloaded_json(outcome: Outcome[Downloaded]) -> dict[str, Any]:
    """One file of `--json`."""
    if outcome.error is not None:
        return {"path": outcome.name, "error": error_json(outcome.error)}
    got = outcome.result
    assert got is not None
    return {
        "path": outcome.name,
        "target": str(got.target),
        "view": got.view,
        "size": got.size,
        "adler32": got.adler32,
        "sealed": got.sealed,
        "resumed": got.resumed,
        "wasThere": got.was_there,
    }
