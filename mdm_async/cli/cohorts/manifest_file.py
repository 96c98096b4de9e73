"""Manifests of cohorts as files: written, and verified without a server."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, end, print_json, print_line
from mdm_async.cohort_manifest import Manifest, PinnedFile
from mdm_async.errors import BadRequest, MdmError, NotFound, WrongContent

_CHUNK = 1 << 20

Key = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE.pub", help="Public key that it is to be signed by, again for more."),
]


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="With the files that were pulled.", show_default=False),
    ] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Check a manifest without a server: its signature, and the files of a folder against it; 5 if they are others.

    Example: `mdm cohort verify trial.manifest trial --key audit.pub`
    """
    keys = keys_of(key)
    with about(str(file)):
        found = Manifest.parse(b"".join(_pieces(file)), keys)
    wrong = [] if folder is None else [(one.guid, why) for one in found.files if (why := _wrong(folder, one))]
    checked = 0 if folder is None else len(found.files) - len(wrong)
    if json:
        print_json(
            {
                "key": found.signed_by,
                "named": keys is not None,
                "cohort": found.statement.cohort,
                "at": found.statement.at,
                "members": found.statement.members,
                "verified": checked,
                "wrong": [guid for guid, _ in wrong],
            }
        )
    else:
        said = found.statement
        print_line(f"intact, signed by the key {found.signed_by} at {said.at}: {said.members} members")
        if folder is not None:
            print_line(f"{folder}: {checked} verified")
    if keys is None:
        complain(
            MdmError("warning: without --key it may be signed by anybody; only later changes would show")
        )
    for guid, why in wrong:
        complain(why, f"guid:{guid}")
    end(why for _, why in wrong)


def keys_of(files: Sequence[Path] | None) -> list[bytes] | None:
    """The 32 bytes of each public key. None: none is named. Raises BadRequest, NotFound."""
    if not files:
        return None
    keys = []
    for each in files:
        with about(str(each)):
            try:
                found = load_pem_public_key(b"".join(_pieces(each)))
            except (ValueError, UnsupportedAlgorithm):
                found = None
            if not isinstance(found, Ed25519PublicKey):
                raise BadRequest("this is no Ed25519 public key", remedy="give NAME.pub, not NAME.key")
            keys.append(found.public_bytes_raw())
    return keys


def write(file: Path, text: str) -> None:
    with about(str(file)):
        try:
            file.write_text(text)
        except OSError as why:
            raise MdmError(f"cannot be written: {why.strerror}") from None


def _wrong(folder: Path, file: PinnedFile) -> MdmError | None:
    try:
        if file.is_in(_pieces(folder / f"{file.guid}.dcm")):
            return None
        return WrongContent("the file is not what the manifest says", remedy="pull it again: mdm cohort get")
    except MdmError as why:
        return why


def _pieces(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as opened:
            while piece := opened.read(_CHUNK):
                yield piece
    except FileNotFoundError:
        raise NotFound("no such file") from None
    except OSError as why:
        raise BadRequest(f"cannot be read: {why.strerror}") from None
