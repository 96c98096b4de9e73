"""Passphrases of share files: asked for one after the other, or read from files where nobody is there to ask."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mdm_async.cli.asking import secret
from mdm_async.errors import BadRequest, NotFound
from mdm_async.private_files import demand_private

PassphraseFiles = Annotated[
    list[Path] | None,
    typer.Option(help="File with the passphrase of the first share, again for the next; default: asks."),
]


def passphrases(files: Sequence[Path] | None, of: Sequence[Path | str], *, new_from: int) -> list[str]:
    """One for each; those from place `new_from` on are new, and asked for twice."""
    if not files:
        return [
            secret(
                f"Passphrase of {each}", is_new=place >= new_from, otherwise="give --passphrase-file for each"
            )
            for place, each in enumerate(of)
        ]
    if len(files) != len(of):
        raise BadRequest(f"there are {len(of)} passphrases to give, and {len(files)} files of them")
    return [_read(file) for file in files]


def _read(file: Path) -> str:
    try:
        demand_private(file)
        return file.read_text().rstrip("\n")
    except OSError as why:
        raise NotFound(f"{file} cannot be read: {why.strerror}") from None
    except UnicodeDecodeError:
        raise BadRequest(f"{file} is not text") from None
