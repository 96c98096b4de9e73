"""Files of custodians' shares: age files (age-encryption.org/v1) that a passphrase opens, which `age -d` reads too."""

import unicodedata
from importlib import import_module
from pathlib import Path
from typing import Any

from mdm_async.errors import BadRequest, NotFound, NotSupported, WrongContent
from mdm_async.private_files import demand_private

FEWEST = 12
"""Characters of a passphrase."""
_MOST = 256 << 10


def lock_share(share: str, passphrase: str) -> str:
    """The text of its file; takes a second on purpose. Raises BadRequest for a passphrase that is too short."""
    if len(passphrase) < FEWEST:
        raise BadRequest(f"a passphrase has {FEWEST} characters at least", remedy="take some words at random")
    locked: bytes = _age().passphrase.encrypt(share.encode(), _as_typed(passphrase), armored=True)
    return locked.decode()


def open_share(path: Path, passphrase: str) -> str:
    """The share in a file that is the caller's alone.

    Raises UnsafeSettings when others can read it, NotFound, and WrongContent when the passphrase or the file is
    wrong, which cannot be told apart.
    """
    try:
        demand_private(path)
        with path.open("rb") as file:
            locked = file.read(_MOST)
    except OSError as why:
        raise NotFound(f"{path} cannot be read: {why.strerror}") from None
    age = _age()
    try:
        share: bytes = age.passphrase.decrypt(locked, _as_typed(passphrase))
        return share.decode()
    except (age.DecryptError, UnicodeDecodeError):
        raise WrongContent(
            f"{path} does not open", remedy="is it the passphrase of this file, and the file as it was made?"
        ) from None


def _as_typed(passphrase: str) -> str:
    # Keyboards differ in how they compose letters.
    return unicodedata.normalize("NFC", passphrase)


def _age() -> Any:
    """Of the server's packages, which has no types."""
    try:
        return import_module("pyrage")
    except ModuleNotFoundError:
        raise NotSupported("age files need the package pyrage", remedy="pip install pyrage") from None
