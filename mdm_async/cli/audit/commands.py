"""`mdm audit show|export|verify|prune|keygen`: the trail of who did what, and whether it is as it was written."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.audit.keys import fresh_private, parse_private, public_pem
from mdm_async.cli.audit import export, prune, verify
from mdm_async.cli.audit.filters import Act, By, Guid, Since, Until, filters
from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.keygen import write_new
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line
from mdm_async.cli.tables import add_row, print_table, table
from mdm_async.errors import BadRequest, Exists


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Look at the audit trail, keep it, verify it.", no_args_is_help=True)
    group.command()(show)
    export.register(group)
    verify.register(group)
    prune.register(group)
    group.command()(keygen)
    app.add_typer(group, name="audit")


def show(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[LFN]", help="Of this file or directory.", show_default=False)
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=5000, help="So many rows.")] = 50,
    since: Since = None,
    until: Until = None,
    by: By = None,
    guid: Guid = None,
    act: Act = None,
    json: Json = False,
) -> None:
    """Show the last rows: when, who, what, how it ended. Files have their names where you may list them.

    Of a directory these are the acts on itself; those on a file that went are found by its GUID.

    Example: `mdm audit show /demo/ct/one.dcm --act read` or `mdm audit show --since 2026-01-31`
    """
    if name is not None and guid is not None:
        raise BadRequest("a name and --guid are two entries", remedy="give one of them")
    asked = filters(since, until, by, guid, act)

    async def work() -> list[dict[str, Any]]:
        async with client_of(context) as client:
            if name is not None:
                with about(name):
                    asked["guid"] = (await client.stat(name)).guid or ""
            return await client.audit.last(last, **asked)

    rows = complete(work())
    if json:
        print_json(rows)
        return
    shown = table(
        "time (UTC)", "who", "act", "outcome", "what", "view", "bytes", "from", "more", numbers=("bytes",)
    )
    for row in rows:
        more = ", ".join(
            f"{name}: {value}" for name, value in (row["details"] or {}).items() if value is not None
        )
        time, what = row["time"].replace("T", " ").removesuffix("Z"), row["lfn"] or row["guid"] or ""
        size = "" if row["bytes"] is None else row["bytes"]
        add_row(
            shown, time, row["caller"], row["act"], row["outcome"], what, row["view"] or "", size,
            row["source"] or "", more,
        )  # fmt: skip
    print_table(shown)
    if not rows:
        print_line("no rows: nothing of that kind is in the trail")


def keygen(
    name: Annotated[Path, typer.Argument(help="Writes NAME.key and NAME.pub.")], json: Json = False
) -> None:
    """Make a key pair that seals are signed and verified with; `audit.key_file` takes NAME.key.

    Example: `mdm audit keygen /root/audit-2026`
    """
    private = fresh_private()
    secret, public = name.with_name(name.name + ".key"), name.with_name(name.name + ".pub")
    if public.exists():
        raise Exists(f"{public} is already there", remedy="give another name")
    write_new(secret, private + "\n", 0o600)
    write_new(public, public_pem(parse_private(private).public_key()), 0o644)
    if json:
        print_json({"private": str(secret), "public": str(public)})
    else:
        print_line(f"private key: {secret}")
        print_line(f"public key:  {public}")
