"""`mdm keys split`: a key-encryption key made, or taken, and shared among custodians; offline."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdm_async.cli.keygen import write_new
from mdm_async.cli.keys.passphrases import PassphraseFiles, passphrases
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line
from mdm_async.client.share_files import lock_share, open_share
from mdm_async.errors import BadRequest, Conflict

if TYPE_CHECKING:
    from mdm_async.keys.custody import CustodyShare


def register(group: typer.Typer) -> None:
    group.command()(split)


def split(
    directory: Annotated[Path, typer.Argument(help="Folder for the share files, one for each custodian.")],
    threshold: Annotated[int, typer.Option(help="How many custodians unseal the server.")],
    shares: Annotated[int, typer.Option(help="How many custodians there are.")],
    store: Annotated[
        str, typer.Option(help="Of keys.stores, whose key it is; default: the catalog's own.")
    ] = "",
    kek_file: Annotated[
        Path | None, typer.Option(help="File of the key-encryption keys to share; default: a new key.")
    ] = None,
    after: Annotated[
        list[Path] | None,
        typer.Option(help="Share file of the key in use, again for more: for a new key above that one."),
    ] = None,
    drop_older: Annotated[
        bool,
        typer.Option(
            "--drop-older",
            help="With --after: no new key, and of those in the shares the first alone: the one in use, once mdm "
            "keys rotate has ended the others.",
        ),
    ] = False,
    passphrase_file: PassphraseFiles = None,
    json: Json = False,
) -> None:
    """Share a key-encryption key among custodians: each gets a file that their own passphrase opens.

    It asks each for a passphrase, and the key itself is stored nowhere. Set keys.kek_custodians, start the server,
    and have some of them unseal it.

    Example: `mdm keys split /media/shares --threshold 3 --shares 5`
    """
    from mdm_async.keys.custody import split_among

    if kek_file is not None and after:
        raise BadRequest("--kek-file and --after both say which keys to share", remedy="give one of them")
    if drop_older and not after:
        raise BadRequest("--drop-older leaves out keys of shares", remedy="name those: --after SHARE")
    if not 2 <= threshold <= shares <= 255:
        raise BadRequest(
            f"{threshold} of {shares} custodians cannot work", remedy="a threshold is from 2 to --shares"
        )
    given = passphrases(passphrase_file, [*(after or []), *_custodians(shares)], new_from=len(after or []))
    keks = _keks(kek_file, list(zip(after or [], given, strict=False)), drop_older=drop_older)
    made = split_among(keks, store, threshold, shares)
    files = _write(directory, made, given[-shares:])
    if json:
        print_json(
            {"split": made[0].split, "store": store, "threshold": threshold, "files": [str(f) for f in files]}
        )
        return
    print_line(f"split {made[0].split}: any {threshold} of these {shares} unseal the server")
    for file in files:
        print_line(str(file))


def _custodians(shares: int) -> list[str]:
    return [f"custodian {index} of {shares}" for index in range(1, shares + 1)]


def _keks(kek_file: Path | None, after: Sequence[tuple[Path, str]], *, drop_older: bool) -> list[bytes]:
    """The keys to share, the one in use first."""
    from mdm_async.keys import files
    from mdm_async.keys.custody import CustodyShare, joined
    from mdm_async.private_files import demand_private

    if kek_file is not None:
        demand_private(kek_file)
        return files.decode_keks(files.read_text(kek_file), str(kek_file))
    fresh = files.decode_keks(files.fresh_kek(), "the new key")
    if not after:
        return fresh
    shares: dict[int, CustodyShare] = {}
    for path, passphrase in after:
        with about(str(path)):
            share = CustodyShare.parse(open_share(path, passphrase))
            if any(share.split != other.split for other in shares.values()):
                raise Conflict("this share is of another split", remedy="give shares that were made together")
            shares[share.index] = share
    if len(shares) < next(iter(shares.values())).threshold:
        raise BadRequest(f"--after names {len(shares)} shares, and it takes more of that split")
    there = joined(list(shares.values()))
    return there[:1] if drop_older else fresh + there


def _write(directory: Path, shares: "Sequence[CustodyShare]", given: Sequence[str]) -> list[Path]:
    """All of the files or none."""
    locked = [lock_share(share.text(), passphrase) for share, passphrase in zip(shares, given, strict=True)]
    files: list[Path] = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for share, text in zip(shares, locked, strict=True):
            file = directory / f"share-{share.split}-{share.index}-of-{share.count}.age"
            write_new(file, text, 0o400)
            files.append(file)
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)
        raise
    return files
