"""`mdm shreds`: how far shredded images are gone, and receipts of it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.audit.keys import Keys, parse_public
from mdm_async.audit.shred_receipt import ShredReceipt
from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.keys.shred import write_receipt
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, print_json, print_line, whole_seconds
from mdm_async.cli.tables import add_row, print_table, table
from mdm_async.errors import BadRequest, MdmError, NotFound


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Receipts of what was shredded, and how far it is.", no_args_is_help=True)
    group.command("list")(listing)
    group.command()(receipt)
    group.command()(verify)
    app.add_typer(group, name="shreds")


def listing(context: typer.Context, json: Json = False) -> None:
    """List what one has shredded, the newest first; to an administrator everybody's.

    Example: `mdm shreds list`
    """

    async def work() -> list[dict[str, Any]]:
        async with client_of(context) as client:
            return await client.shredding.listing()

    found = complete(work())
    if json:
        print_json(found)
        return
    shown = table("id", "at", "by", "images", "state", numbers=("images",))
    for one in found:
        add_row(shown, one["id"], whole_seconds(one["at"]), one["by"], one["images"], one["state"])
    print_table(shown)


def receipt(
    context: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="A new file; default: stdout.")
    ] = None,
    json: Json = False,
) -> None:
    """Print the receipt of a shred as it stands now, signed with the server's audit key.

    Example: `mdm shreds receipt 7c9e6679-7425-40de-944b-e07fc1f90ae7 -o receipt.json`
    """

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.shredding.receipt(id_)

    with about(id_):
        found = complete(work())
    if out is not None:
        write_receipt(out, found["receipt"])
    if json:
        print_json(found)
    elif out is None:
        for line in found["receipt"].splitlines():
            print_line(line)
    else:
        print_line(f"{found['state']}: {out}")


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    key: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.pub", help="Public key that it is to be signed by, again for more."),
    ] = None,
    json: Json = False,
) -> None:
    """Check a receipt without a server, and tell what it says; 5 when it is not as it was signed.

    Example: `mdm shreds verify receipt.json --key audit.pub`
    """
    keys: Keys = {}
    for each in key or ():
        with about(str(each)):
            keys |= parse_public([_text(each)])
    with about(str(file)):
        found, signed_by = ShredReceipt.verified(_text(file), keys or None)
    if json:
        print_json({"key": signed_by, "named": bool(keys), **_summary(found)})
    else:
        _print(found, signed_by)
    if not keys:
        complain(
            MdmError("warning: without --key it may be signed by anybody; only later changes would show")
        )


def _summary(found: ShredReceipt) -> dict[str, Any]:
    return {
        "installation": found.installation,
        "shred": found.shred,
        "signed": found.signed,
        "by": found.by,
        "granted": found.granted,
        "state": found.state,
        "began": found.began,
        "destroyed": found.destroyed,
        "final": found.final,
        "waiting": found.waiting,
        "stores": found.stores,
        "images": len(found.images),
        "delivered": sum(len(image["delivered"]) for image in found.images),
        "limits": found.limits,
    }


def _print(found: ShredReceipt, signed_by: str) -> None:
    print_line(f"intact, signed by the key {signed_by} at {found.signed}")
    granted = ", by an administrator's grant" if found.granted else ""
    for name, value in (
        ("installation", found.installation),
        ("shred", found.shred),
        ("by", found.by + granted),
        ("images", str(len(found.images))),
        ("state", found.state),
        ("began", found.began),
        ("destroyed", found.destroyed or "not yet"),
        ("final", found.final or "not yet"),
        *(("waiting", one) for one in found.waiting),
        *(("key store", f"{one['store']}, at {one['at']}") for one in found.stores),
    ):
        print_line(f"{name:>12}: {value}")
    for line in _delivered(found):
        print_line(f"{'delivered':>12}: {line}")
    for one in found.limits:
        print_line(f"{'note':>12}: {one}")


def _delivered(found: ShredReceipt) -> list[str]:
    """A line for each recipient, view and way; the receipt itself has a line for each image."""
    told: dict[tuple[str, str, bool], list[dict[str, Any]]] = {}
    for image in found.images:
        for one in image["delivered"]:
            told.setdefault((one["view"], one["to"], bool(one["sealed"])), []).append(one)
    return [
        f"{view} of {_files(each)} to {to}, {'sealed' if sealed else 'in clear'},"
        f" {min(one['first'] for one in each)} to {max(one['last'] for one in each)}"
        for (view, to, sealed), each in told.items()
    ]


def _files(delivered: list[dict[str, Any]]) -> str:
    guids = {one["entry"] for one in delivered}
    return f"guid:{guids.pop()}" if len(guids) == 1 else f"{len(guids)} files"


def _text(file: Path) -> str:
    """Of what is no text something that is neither a key nor a receipt."""
    try:
        return file.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        raise NotFound("no such file") from None
    except OSError as why:
        raise BadRequest(f"cannot be read: {why.strerror}") from None
