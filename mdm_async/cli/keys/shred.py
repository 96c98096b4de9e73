"""`mdm shred`: images destroyed for good, with a receipt."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from mdm_async.cli.asking import secret_or_line
from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.files_from import FilesFrom, all_names
from mdm_async.cli.names.commands import Lfns
from mdm_async.cli.options import Json
from mdm_async.cli.output import in_words, on_interrupt, plain, print_json, print_line, stderr_console
from mdm_async.errors import BadRequest, MdmError


def register(app: typer.Typer) -> None:
    app.command()(shred)


def shred(
    context: typer.Context,
    names: Lfns = None,
    patient: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="All images of a patient: a pseudonym of theirs, or the Patient ID; '-': asked for, or "
            "read from stdin.",
        ),
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option(
            help="Of patients of one ID, only whom this issuer has given it; '': nobody.", show_default=False
        ),
    ] = None,
    as_administrator: Annotated[
        bool,
        typer.Option(
            "--as-administrator", help="By a grant of an administrator's, which the audit tells of."
        ),
    ] = False,
    people: Annotated[
        int, typer.Option(min=1, help="So many different people that a patient's images may name.")
    ] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where the receipt is written.")
    ] = None,
    files_from: FilesFrom = None,
    json: Json = False,
) -> None:
    """Destroy images for good, in all projects: keys, stored bytes, names, transfer URLs; it cannot be undone.

    It tells first what would go, and asks. It needs the rights d and i on every name of every image, also on those that
    one does not see. Afterwards `mdm shreds receipt ID` tells how far it is, until it is final.

    Example: `mdm shred --patient MDM3QK7XW2ABCDEF -o receipt.json`
    """
    paths = all_names(names, files_from) if names or files_from else []
    if bool(paths) == (patient is not None):
        raise typer.BadParameter("give either names or --patient")
    if issuer is not None and patient is None:
        raise typer.BadParameter("--issuer is one of a Patient ID: give --patient")
    if not (yes or dry_run or sys.stdin.isatty()):
        raise BadRequest("there is no terminal to ask on", remedy="give --yes, or --dry-run to be told only")
    if patient == "-":
        patient = secret_or_line("Patient")
    if out is not None:
        _demand_writable(out)
    id_ = str(uuid4())

    async def look() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.shredding.look(
                paths, patient=patient, issuer=issuer, as_administrator=as_administrator
            )

    async def destroy(digest: str) -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.shredding.shred(
                digest, paths, patient=patient, issuer=issuer, as_administrator=as_administrator,
                people=people, id=id_,
            )  # fmt: skip

    found = complete(look())
    for line in plan_in_words(found, as_administrator=as_administrator):
        if json:
            stderr_console().print(plain(line), markup=False)
        else:
            print_line(line)
    if dry_run:
        if json:
            print_json({"plan": found})
        return
    if not yes:
        typer.confirm("Destroy them for good?", abort=True, err=True)
    with on_interrupt(
        "the server goes on if it has begun", f"`mdm shreds receipt {id_}` tells whether it has"
    ):
        done = complete(destroy(found["digest"]))
    if not json:
        print_line(f"{done['state']}: {done['id']}")
    if out is not None:
        write_receipt(out, done["receipt"])
    if json:
        print_json({"plan": found, "shred": done})
        return
    print_line(f"receipt: {out}" if out is not None else f"receipt: mdm shreds receipt {done['id']}")


def plan_in_words(found: dict[str, Any], *, as_administrator: bool = False) -> list[str]:
    """What would go, a line each."""
    lines = [
        f"{found['images']} images with {found['entries']} names, {found['hidden']} of which you may not see",
        f"  {found['views']} views, {found['parts']} parts, {in_words(found['bytes'])} in all,"
        f" {found['transferURLs']} transfer URLs",
        f"  delivered before to {found['deliveredTo']} callers, and copied to {found['replicas']} other places,"
        " which keep what they have",
    ]
    if found["cohorts"]:
        lines.append(f"  cohorts lose {found['cohorts']} members")
    if found["people"] is not None and found["people"] > 1:
        lines.append(f"  these images name {found['people']} different people under this Patient ID;")
        lines.append("  --issuer chooses those of one issuer of it")
    if found["unreadable"]:
        lines.append(f"  {found['unreadable']} more may be theirs, and cannot be opened: they stay")
    if found["barred"]:
        remedy = (
            "the administrator's grant stands for it" if as_administrator else "an administrator can do it"
        )
        lines.append(f"  at {found['barred']} names you lack the right d or i: {remedy}")
    return lines


def _demand_writable(file: Path) -> None:
    """Before anything is destroyed. Raises BadRequest."""
    if file.exists():
        raise BadRequest(f"{file} is there already", remedy="name another file for the receipt")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise BadRequest(
            f"no file can be made in {file.parent}",
            remedy="name another one for the receipt: nothing was done",
        )


def write_receipt(file: Path, text: str) -> None:
    """A new file: a receipt is never written over."""
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as why:
        raise MdmError(
            f"{file} cannot be written: {why.strerror}", remedy="ask for it again: mdm shreds list"
        ) from None
