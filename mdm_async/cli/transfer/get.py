"""`mdm get`: images out."""

import asyncio
import sys
import zlib
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import PARALLEL, Json, Parallel, Recursive
from mdm_async.cli.output import (
    about,
    end,
    error_json,
    in_words,
    on_interrupt,
    print_json,
    print_line,
    stderr_console,
)
from mdm_async.cli.transfer.byte_range import ByteRange, parse_range
from mdm_async.cli.transfer.get_many import get_all, jobs_for
from mdm_async.cli.transfer.side_by_side import Outcome, meter_on, run_all
from mdm_async.client.client import Client
from mdm_async.client.download import Downloaded
from mdm_async.client.part_file import PartFile
from mdm_async.errors import BadRequest
from mdm_async.names import parse_surl, split


def register(app: typer.Typer) -> None:
    app.command()(get)


def get(
    context: typer.Context,
    lfn: Annotated[str, typer.Argument(metavar="LFN", show_default=False)],
    out: Annotated[
        str | None,
        typer.Argument(metavar="[OUT]", help="File, folder, or '-' for stdout.", show_default=False),
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
    parallel: Parallel = PARALLEL,
    json: Json = False,
) -> None:
    """Pull a view of an image, resumed where an earlier pull ended, and checked.

    Example: `mdm get /demo/CT_small.dcm --view basic --sealed`
    """
    if out == "-" and (recursive or json):
        raise BadRequest("only the bytes of one file go to stdout", remedy="leave out -r and --json")
    wanted = None if bytes_ is None else parse_range(bytes_)
    if recursive and wanted is not None:
        raise BadRequest("a range is of one file", remedy="leave out -r")
    choice: dict[str, Any] = {"view": view, "sealed": sealed, "pin": pin}

    async def work() -> list[Outcome[Downloaded]]:
        async with client_of(context) as client:
            if out == "-":
                with about(lfn):
                    await to_stdout(client, lfn, wanted, choice)
                return []
            target = Path(out or ".")
            with meter_on(stderr_console()) as meter:
                if recursive:
                    return await get_all(client, lfn, target, choice, meter, parallel=parallel)

                with about(lfn):
                    # A GUID is no file's name.
                    named = (await client.stat(lfn)).path if lfn.startswith("guid:") else lfn
                    file = place(named, target)
                    if wanted is None:
                        return await run_all(jobs_for(client, {lfn: file}, choice), parallel=1, meter=meter)
                    return [Outcome(lfn, await get_range(client, lfn, file, wanted, choice), None)]

    with on_interrupt(
        "files that are whole are in place, and of others what has come is kept",
        "the same command goes on from there",
    ):
        outcomes = complete(work())
    if json:
        print_json({"files": [downloaded_json(outcome) for outcome in outcomes]})
    elif out != "-":
        for outcome in outcomes:
            if outcome.result is not None:
                got = outcome.result
                print_line(f"{got.target}  {in_words(got.size)}  {got.view}  adler32 {got.adler32}")
    end(outcome.error for outcome in outcomes)


def place(lfn: str, out: Path) -> Path:
    """The file to write: OUT, or the image's own name in it when it is a folder."""
    return out / split(parse_surl(lfn).lfn)[1] if out.is_dir() else out


async def get_range(
    client: Client, lfn: str, target: Path, wanted: ByteRange, choice: dict[str, Any]
) -> Downloaded:
    """A range of one file, into a file of its own; `adler32` of the result is that of the range."""
    async with client.pulling(lfn, **choice) as pull:
        start, stop = wanted.within(pull.size)
        part = await asyncio.to_thread(PartFile, target)
        try:
            await asyncio.to_thread(part.restart)
            async with aclosing(pull.chunks(start, stop)) as chunks:
                async for chunk in chunks:
                    await asyncio.to_thread(part.write, chunk)
            await asyncio.to_thread(part.finish)
        finally:
            part.close()
        ticket, adler = pull.ticket, f"{part.adler:08x}"
        return Downloaded(lfn, target, ticket.view, stop - start, adler, ticket.sealed is not None)


async def to_stdout(client: Client, lfn: str, wanted: ByteRange | None, choice: dict[str, Any]) -> None:
    """The bytes as they come. All of them are checked, but only at the end: mind the exit code."""
    adler = None if wanted else 1
    async with client.pulling(lfn, **choice) as pull:
        start, stop = wanted.within(pull.size) if wanted else (0, pull.size)
        async with aclosing(pull.chunks(start, stop)) as chunks:
            async for chunk in chunks:
                await asyncio.to_thread(sys.stdout.buffer.write, chunk)
                if adler is not None:
                    adler = zlib.adler32(chunk, adler)
        sys.stdout.buffer.flush()
        if adler is not None:
            pull.demand_checksum(adler)


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
    }
