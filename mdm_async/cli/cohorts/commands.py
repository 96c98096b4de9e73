"""`mdm cohort`: cohorts made, shown, compared with today, pulled, exported, deleted."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.cli.cohorts.manifest_file import Key, keys_of, verify, write
from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.files_from import FilesFrom, all_names
from mdm_async.cli.metadata.find import Join, join_of
from mdm_async.cli.options import PARALLEL, Json, Parallel
from mdm_async.cli.output import about, end, in_words, print_json, print_line, whole_seconds
from mdm_async.cli.settled import settled
from mdm_async.cli.transfer.get import downloaded_json
from mdm_async.cli.transfer.meters import metered
from mdm_async.client.download import Downloaded
from mdm_async.cohort_manifest import Manifest
from mdm_async.errors import BadRequest

Cohort = Annotated[
    str,
    typer.Argument(metavar="COHORT", help="Its directory's LFN, and behind it its name.", show_default=False),
]
_INTERRUPTED = ("and of others what came is kept", "the same command goes on from there")


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Cohorts: files pinned in the versions of their views, under a signed digest.",
        no_args_is_help=True,
    )
    for command in (create, listing, show, diff, get, export, delete):
        group.command("list" if command is listing else None)(command)
    group.command()(verify)
    app.add_typer(group, name="cohort")


def create(
    context: typer.Context,
    cohort: Cohort,
    query: Annotated[str | None, typer.Argument(metavar="[QUERY]", show_default=False)] = None,
    view: Annotated[str | None, typer.Option(help="View to pin; default: each file's default view.")] = None,
    path: Annotated[
        str | None,
        typer.Option(
            metavar="LFN", help="The file, or what is below the directory; default: the cohort's directory."
        ),
    ] = None,
    join: Join = None,
    files_from: FilesFrom = None,
    json: Json = False,
) -> None:
    """Pin what a query finds, or the files of a list, each in the version of its view that is given today.

    It takes the right w on the directory, and g and r on the view of each file: what you may not read is not found.

    Example: `mdm cohort create /cardio/trial 'Modality = "CT" and SliceThickness < 2' --view cardio`
    """
    names = all_names([], files_from) if files_from is not None else []
    if (query is None) is not bool(names):
        raise BadRequest(
            "a cohort is of a query, or of a list",
            remedy="give a query, or --files-from FILE ('-' for stdin)",
        )
    selection: dict[str, Any] = {"query": query, "path": path, "joins": dict(map(join_of, join or ()))}

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.cohorts.create(cohort, files=names or None, view=view, **selection)

    with about(cohort):
        made = complete(work())
    if json:
        print_json(made)
    else:
        print_line(f"{cohort}: {_files(made['members'])} pinned, digest {made['digest']}")


def listing(
    context: typer.Context,
    directory: Annotated[str, typer.Argument(metavar="LFN", show_default=False)],
    json: Json = False,
) -> None:
    """List the cohorts at a directory; it takes the right g.

    Example: `mdm cohort list /cardio`
    """

    async def work() -> list[dict[str, Any]]:
        async with client_of(context) as client:
            return await client.cohorts.listing(directory)

    with about(directory):
        found = complete(work())
    if json:
        print_json({"cohorts": found})
        return
    for one in found:
        made = whole_seconds(one["at"])
        print_line(f"{one['name']}  {_files(one['members'])}  {one['view'] or 'default views'}  {made}")


def show(
    context: typer.Context,
    cohort: Cohort,
    members: Annotated[bool, typer.Option("--members", help="Each member too.")] = False,
    json: Json = False,
) -> None:
    """Show what was signed of a cohort, and how its members stand: available, withdrawn by a revision for security's
    sake, shredded, or lost.

    Example: `mdm cohort show /cardio/trial --members`
    """

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            shown = await client.cohorts.show(cohort)
            if members:
                shown["members"] = [
                    {"number": one.number, "state": one.state, "path": one.path, "file": one.told}
                    async for one in client.cohorts.members(cohort)
                ]
            return shown

    with about(cohort):
        shown = complete(work())
    if json:
        print_json(shown)
        return
    said = shown["statement"]
    states = ", ".join(f"{count} {state}" for state, count in sorted(shown["states"].items()))
    for name, value in (
        ("cohort", said["cohort"]),
        ("made", f"{said['at']} by {said['by']}"),
        ("view", said["view"] or "each file's default view of then"),
        ("query", shown["query"] or "none: a list, or not for you to know"),
        ("members", states),
        ("digest", said["digest"]),
    ):
        print_line(f"{name:>8}: {value}")
    for one in shown.get("members", ()):
        file = one["file"]
        if "guid" not in file:
            print_line(f"{one['number']:>8}: {one['state']}")
        else:
            where = one["path"] or "no name of yours"
            print_line(
                f"{one['number']:>8}: guid:{file['guid']}  {in_words(file['size'])}  {one['state']}  {where}"
            )


def diff(context: typer.Context, cohort: Cohort, json: Json = False) -> None:
    """Tell what a cohort's query, or list, would give today that it does not pin, and the other way round; 1 if they
    differ.

    Example: `mdm cohort diff /cardio/trial`
    """

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.cohorts.diff(cohort)

    with about(cohort):
        found = complete(work())
    if json:
        print_json(found)
    else:
        for sign, kind in (("+", "added"), ("-", "gone"), ("~", "changed")):
            for guid in found[kind]:
                print_line(f"{sign} guid:{guid}")
        print_line(f"{_files(found['same'])} as they were pinned")
    if found["added"] or found["gone"] or found["changed"]:
        raise typer.Exit(1)


def get(
    context: typer.Context,
    cohort: Cohort,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", show_default=False)],
    key: Key = None,
    sealed: Annotated[
        bool | None,
        typer.Option(
            "--sealed/--clear",
            help="Encrypted to a key of this pull alone, or not; default: sealed where it must be.",
            show_default=False,
        ),
    ] = None,
    parallel: Parallel = PARALLEL,
    json: Json = False,
) -> None:
    """Pull a cohort's files into a folder as GUID.dcm, each verified against the signed manifest.

    The same bytes come whenever it is run. What is there and verified is not pulled again, what was cut goes on.

    Example: `mdm cohort get /cardio/trial trial --key audit.pub`
    """
    keys = keys_of(key)

    async def work() -> dict[str, Downloaded]:
        async with client_of(context) as client:
            return await client.cohorts.get(
                cohort, folder, keys=keys, sealed=sealed, parallel=parallel, meter=meter
            )

    with about(cohort), metered(*_INTERRUPTED) as meter:
        outcomes = settled(work())
    if json:
        print_json({"files": [downloaded_json(outcome) for outcome in outcomes]})
    else:
        pulled = [one.result for one in outcomes if one.result is not None]
        there = sum(one.was_there for one in pulled)
        print_line(f"{folder}: {_files(len(pulled))} verified, {there} of them were there")
    end(outcome.error for outcome in outcomes)


def export(
    context: typer.Context,
    cohort: Cohort,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: stdout.")] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Write a cohort's signed manifest: the version, size and checksums of each file that you may read.

    Example: `mdm cohort export /cardio/trial -o trial.manifest`
    """
    keys = keys_of(key)

    async def work() -> Manifest:
        async with client_of(context) as client:
            return await client.cohorts.manifest(cohort, keys)

    with about(cohort):
        found = complete(work())
    if out is not None:
        write(out, found.text())
        told = {"file": str(out), "key": found.signed_by, "files": len(found.files)}
        if json:
            print_json(told)
        else:
            print_line(f"{out}: {_files(len(found.files))}, signed by the key {found.signed_by}")
    elif json:
        print_json({"manifest": found.text()})
    else:
        for line in found.text().splitlines():
            print_line(line)


def delete(context: typer.Context, cohort: Cohort, json: Json = False) -> None:
    """Delete a cohort; it takes the right d on its directory. What it alone pinned is destroyed.

    Example: `mdm cohort delete /cardio/trial`
    """

    async def work() -> None:
        async with client_of(context) as client:
            await client.cohorts.delete(cohort)

    with about(cohort):
        complete(work())
    if json:
        print_json({"deleted": cohort})
    else:
        print_line(f"{cohort}: deleted")


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"
