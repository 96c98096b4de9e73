"""`mdm mirror accept|add|status|stop|promote`: a second site that follows a directory of a first one."""

import re
from typing import Annotated, Final

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.client.told_errors import Json as Told
from mdm_async.errors import BadRequest

Name = Annotated[str, typer.Argument(metavar="NAME", help="The mirror's, at both sites.", show_default=False)]
Directory = Annotated[str, typer.Argument(metavar="PATH", show_default=False)]
_CREDENTIAL: Final = re.compile(r"[!-~]{1,256}")


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="A second site that follows a directory, and takes the first one's place when that is lost.",
        no_args_is_help=True,
    )
    for command in (accept, add, status, stop, promote):
        group.command()(command)
    app.add_typer(group, name="mirror")


def accept(context: typer.Context, name: Name, path: Directory, json: Json = False) -> None:
    """At the second site: let a directory, missing or empty, follow one elsewhere; prints the first's credential once.

    Example: `mdm mirror accept site-b /radiology`
    """

    async def work() -> str:
        async with client_of(context) as client:
            return await client.mirrors.accept(name, path)

    credential = complete(work())
    if json:
        print_json({"name": name, "path": path, "credential": credential})
    else:
        print_line(credential)


def add(
    context: typer.Context,
    name: Name,
    path: Directory,
    to: Annotated[str, typer.Option("--to", metavar="URL", help="The second site.", show_default=False)],
    credential: Annotated[
        typer.FileText,
        typer.Option(
            help="File with what `mdm mirror accept` printed there; - for stdin.", show_default=False
        ),
    ],
    json: Json = False,
) -> None:
    """At the first site: send a directory, now and whatever changes, to a second site that has accepted it.

    Example: `mdm mirror add site-b --to https://mdm2.example.org:8443 /radiology --credential mirror.credential`
    """
    shown = credential.read(1024).strip()
    if not _CREDENTIAL.fullmatch(shown):
        raise BadRequest(
            f"{credential.name} has no credential of a mirror",
            remedy="it is the line that `mdm mirror accept` prints at the second site",
        )

    async def work() -> None:
        async with client_of(context) as client:
            await client.mirrors.add(name, path, to, shown)

    complete(work())
    if json:
        print_json({"name": name, "path": path, "to": to})


def status(context: typer.Context, json: Json = False) -> None:
    """How far each mirror is behind, in changes and seconds, and what is followed here.

    Example: `mdm mirror status`
    """

    async def work() -> Told:
        async with client_of(context) as client:
            return await client.mirrors.status()

    told = complete(work())
    if json:
        print_json(told)
        return
    for one in told["mirrors"]:
        lag = one["lag"]
        behind = (
            f"{lag['waiting']} changes, {lag['seconds']:.0f} s behind" if lag["waiting"] else "nothing waits"
        )
        failed = f", {lag['failed']} failed" if lag["failed"] else ""
        why = f"; {one['failure']}" if one["failure"] else ""
        print_line(f"{one['name']}  {one['path']} to {one['to']}: {one['state']}, {behind}{failed}{why}")
        for profile, reason in one["refusedProfiles"].items():
            print_line(f"  what needs the profile {profile} waits: {reason}")
    for one in told["follows"]:
        upto = one["complete"] or "nothing yet"
        print_line(
            f"{one['name']}  {one['path']} here: {one['state']}, epoch {one['epoch']}, complete to {upto}"
        )


def stop(
    context: typer.Context,
    name: Name,
    diverge: Annotated[
        bool, typer.Option("--diverge", help="Also if it was promoted: both sites take changes then.")
    ] = False,
    json: Json = False,
) -> None:
    """At the first site: send nothing more to a mirror, and forget it; what it has stays there.

    Example: `mdm mirror stop site-b`
    """

    async def work() -> None:
        async with client_of(context) as client:
            await client.mirrors.stop(name, diverge=diverge)

    complete(work())
    if json:
        print_json({"name": name, "stopped": True})


def promote(context: typer.Context, name: Name, json: Json = False) -> None:
    """At the second site: let it take the place of the first, which is refused from now on; it cannot be undone.

    Example: `mdm mirror promote site-b`
    """

    async def work() -> Told:
        async with client_of(context) as client:
            return await client.mirrors.promote(name)

    told = complete(work())
    if json:
        print_json(told)
    else:
        print_line(f"{name}: promoted, epoch {told['epoch']}; complete to {told['complete'] or 'nothing'}")
