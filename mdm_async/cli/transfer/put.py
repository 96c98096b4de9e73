"""`mdm put`: DICOM files in."""

import sys
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of
from mdm_async.cli.files_from import FilesFrom, all_names
from mdm_async.cli.options import PARALLEL, Json, Parallel, Recursive
from mdm_async.cli.output import end, error_json, in_words, print_json, print_line
from mdm_async.cli.settled import settled
from mdm_async.cli.transfer.meters import metered
from mdm_async.client.one_or_many import Outcome, settle
from mdm_async.client.upload import Uploaded
from mdm_async.errors import BadRequest, MdmError

_STDIN = "-"
_INTERRUPTED = "and nothing of others is stored"
_GO_ON = "give the same command for those that are left"
_GO_ON_FOLDER = (
    f"{_GO_ON}, or, if it made LFN, name what is in the folder (FOLDER/*): a folder goes into a directory"
)


def register(app: typer.Typer) -> None:
    app.command()(put)


def put(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH… LFN", help="Files and folders, or '-' for stdin, and where to.", show_default=False
        ),
    ],
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Encrypt to the upload's own key before sending.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what has the name.")] = False,
    recursive: Recursive = False,
    parents: Annotated[
        bool, typer.Option("--parents", "-p", help="Make the directories that are missing.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Store files that break DICOM's file format too: see `mdm intake`."),
    ] = False,
    files_from: FilesFrom = None,
    parallel: Parallel = PARALLEL,
    json: Json = False,
) -> None:
    """Store DICOM files; into LFN when it is a directory or there are several.

    Example: `mdm put -r ~/study-1 /demo`
    """
    *given, lfn = names
    paths = all_names(given, files_from, local=True)
    if _STDIN in paths and len(paths) > 1:
        raise BadRequest("stdin is one file", remedy="put it alone")
    if _STDIN in paths and lfn.endswith("/"):
        raise BadRequest("what comes from stdin has no name", remedy="give that of the file to be")
    how: dict[str, Any] = {"sealed": sealed, "overwrite": overwrite, "parents": parents, "force": force}

    async def work() -> dict[str, Uploaded]:
        async with client_of(context) as client:
            if paths != [_STDIN]:
                return await client.put_all(
                    paths, lfn, recursive=recursive, parallel=parallel, meter=meter, **how
                )
            gauge, error = meter.begin(_STDIN, None), None
            try:
                return {_STDIN: await client.put(sys.stdin.buffer, lfn, on_bytes=gauge, **how)}
            except MdmError as why:
                error = why
                return settle([], [Outcome(_STDIN, None, why)])
            finally:
                gauge.end(error)

    with metered(_INTERRUPTED, _GO_ON_FOLDER if recursive else _GO_ON) as meter:
        outcomes = settled(work())
    if json:
        print_json({"files": [uploaded_json(outcome) for outcome in outcomes]})
    else:
        for outcome in outcomes:
            if outcome.result is not None:
                stored = outcome.result
                print_line(f"{stored.path}  {in_words(stored.size)}  adler32 {stored.adler32}")
    end(outcome.error for outcome in outcomes)


def uploaded_json(outcome: Outcome[Uploaded]) -> dict[str, Any]:
    """One file of `--json`."""
    if outcome.error is not None:
        return {"source": outcome.name, "error": error_json(outcome.error)}
    stored = outcome.result
    assert stored is not None
    return {
        "source": outcome.name,
        "path": stored.path,
        "guid": stored.guid,
        "size": stored.size,
        "adler32": stored.adler32,
        "sealed": stored.sealed,
    }
