"""`mdm profile certificate` and `mdm certificate verify`: what was done to a view, signed, and held against its key."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.audit.keys import Keys, parse_public
from mdm_async.audit.view_certificate import ViewCertificate
from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, print_json, print_line
from mdm_async.cli.profile.report import surl_of, write_page
from mdm_async.cli.tables import counts_in_words, in_words
from mdm_async.errors import BadRequest, MdmError, NotFound

_CHUNK = 1 << 20


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Verify certificates of de-identification, offline.", no_args_is_help=True)
    group.command()(verify)
    app.add_typer(group, name="certificate")


def register_issuing(group: typer.Typer) -> None:
    group.command()(certificate)


def certificate(
    context: typer.Context,
    lfn: Annotated[str, typer.Argument(metavar="LFN", show_default=False)],
    view: Annotated[str | None, typer.Option(help="Default: the directory's default view.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: stdout.")] = None,
    json: Json = False,
) -> None:
    """Write a certificate of what was done to a view of an image, or of all images below a directory: by which profile
    and revision, counts by rule, what is refused or in quarantine, and checksums of the bytes that are served.

    It is signed with the server's audit key, whose public half is DIR/audit/audit.pub, and names nobody.

    Example: `mdm profile certificate /cardio --view cardio -o cardio.certificate`
    """

    async def work() -> str:
        async with client_of(context) as client:
            return await client.profiles.certificate(surl_of(lfn, view))

    with about(lfn):
        text = complete(work())
    if out is not None:
        write_page(out, text)
    if json:
        print_json({"file": str(out)} if out is not None else {"certificate": text})
    elif out is None:
        for line in text.splitlines():
            print_line(line)
    else:
        print_line(f"certificate: {out}")


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    key: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.pub", help="Public key that it is to be signed by, again for more."),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A pulled view that it is to be of, again for more."),
    ] = None,
    json: Json = False,
) -> None:
    """Check a certificate without a server: its signature, and that images are those that it is of; 5 if they are not.

    Example: `mdm certificate verify cardio.certificate --key audit.pub --image 0001.dcm`
    """
    keys: Keys = {}
    for each in key or ():
        with about(str(each)):
            keys |= parse_public([_text(each)])
    with about(str(file)):
        text = _text(file)
        found, signed_by = ViewCertificate.verified(text, keys or None)
    images: dict[str, str] = {}
    for each in image or ():
        with about(str(each)):
            images[str(each)] = found.image_of(_pieces(each)).guid
    if json:
        print_json({"key": signed_by, "named": bool(keys), "images": images, **_summary(found)})
    else:
        _print(found, signed_by, images)
    if not keys:
        complain(
            MdmError("warning: without --key it may be signed by anybody; only later changes would show")
        )


def _summary(found: ViewCertificate) -> dict[str, Any]:
    return {
        "installation": found.installation,
        "at": found.at,
        "view": found.view,
        "profile": found.profile,
        "revision": found.revision,
        "states": found.states,
        "withheld": found.withheld,
        "went": found.went,
        "stayed": found.stayed,
        "warnings": found.warnings,
        "seen": found.seen,
        "certified": len(found.images),
    }


def _print(found: ViewCertificate, signed_by: str, images: dict[str, str]) -> None:
    profile = found.profile
    print_line(f"intact, signed by the key {signed_by} at {found.at}")
    for name, value in (
        ("installation", found.installation),
        ("view", found.view),
        ("base", f"{profile['base']}, PS3.15 {profile['edition']}"),
        ("options", ", ".join(profile["options"]) or "none"),
        ("digest", profile["digest"]),
        ("revision", f"{found.revision} of the scrubber"),
        ("images", counts_in_words(found.states)),
        *(("warning", warning) for warning in found.warnings),
        *(("warning", f"{count}: {warning}") for warning, count in sorted(found.seen.items())),
        *(("withheld", f"{count}: {reason}") for reason, count in sorted(found.withheld.items())),
    ):
        print_line(f"{name:>12}: {value}")
    for because, letters in sorted(found.went.items()):
        said = ", ".join(f"{count} {in_words(letter, '')}" for letter, count in sorted(letters.items()))
        print_line(f"{'went':>12}: {because}: {said}")
    for because, count in sorted(found.stayed.items()):
        print_line(f"{'stayed':>12}: {because}: {count} kept")
    for name, guid in images.items():
        print_line(f"{name}: is certified, guid:{guid}")


def _text(file: Path) -> str:
    """Of what is no text something that is neither a key nor a certificate."""
    return b"".join(_pieces(file)).decode("utf-8", "replace")


def _pieces(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as opened:
            while piece := opened.read(_CHUNK):
                yield piece
    except FileNotFoundError:
        raise NotFound("no such file") from None
    except OSError as why:
        raise BadRequest(f"cannot be read: {why.strerror}") from None
