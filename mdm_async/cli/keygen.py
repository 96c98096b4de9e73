"""`mdm keygen`: a Crypt4GH key pair in the reference tools' files."""

import os
from pathlib import Path
from typing import Annotated

import typer

from mdm_async.cli.asking import secret
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.keyfile import format_private_key, format_public_key
from mdm_async.errors import Exists, MdmError


def register(app: typer.Typer) -> None:
    app.command()(keygen)


def keygen(
    name: Annotated[Path, typer.Argument(help="Writes NAME.sec and NAME.pub.")],
    lock: Annotated[
        bool, typer.Option("--lock", help="Lock the private key; asks for a passphrase, or C4GH_PASSPHRASE.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a key pair to receive sealed images with; `crypt4gh decrypt --sk NAME.sec` opens them.

    Example: `mdm keygen ~/.c4gh/me --lock`
    """
    passphrase = os.environ.get("C4GH_PASSPHRASE") if lock else None
    if lock and not passphrase:
        passphrase = secret("Passphrase", is_new=True, otherwise="put the passphrase into C4GH_PASSPHRASE")
    private, public = write_key_pair(name, passphrase)
    if json:
        print_json({"private": str(private), "public": str(public)})
    else:
        print_line(f"private key: {private}")
        print_line(f"public key:  {public}")


def write_key_pair(name: Path, passphrase: str | None) -> tuple[Path, Path]:
    """The paths of the private (0400) and the public file. Exists rather than overwrite either."""
    locked, public = name.with_name(name.name + ".sec"), name.with_name(name.name + ".pub")
    if public.exists():
        raise Exists(f"{public} is already there", remedy="give another name")
    private = new_private_key()
    write_new(locked, format_private_key(private, passphrase), 0o400)
    write_new(public, format_public_key(public_key(private)), 0o644)
    return locked, public


def write_new(path: Path, text: str, mode: int) -> None:
    """A file that was not there before, readable as `mode` says from the first byte. Raises Exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise Exists(f"{path} is already there", remedy="give another name") from None
    except OSError as why:
        raise MdmError(f"{path} cannot be written: {why.strerror}") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
