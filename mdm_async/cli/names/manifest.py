"""`mdm manifest`: what of a study may be retrieved, and where, for receivers at other enterprises."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, print_json, print_line
from mdm_async.client.study_manifest import StudyManifest
from mdm_async.errors import BadRequest, MdmError


class Format(StrEnum):
    KOS = "kos"
    FHIR = "fhir"


_WHY = {"notMade": "whose view is not made yet", "notBrought": "not brought from their archive, or lost"}


def register(app: typer.Typer) -> None:
    app.command()(manifest)


def manifest(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="LFN…", help="Files, or directories of them.")],
    format_: Annotated[
        Format,
        typer.Option(
            "--format",
            help="kos: a DICOM Key Object Selection titled 'Manifest', as IHE's XDS-I.b publishes it; "
            "fhir: a document Bundle with an ImagingStudy, as IHE's MADO (trial-use 1.0.0) does.",
        ),
    ] = Format.KOS,
    view: Annotated[
        str | None,
        typer.Option(help="View that it tells of; default: the files' default view.", show_default=False),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="UID",
            help="Which study, where there are several, as the view shows it.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Where to; default or '-': stdout.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a manifest of a study for another enterprise: a Key Object Selection, or FHIR.

    It names those of the files that you may see, as one view shows them, and where a receiver retrieves them (WADO-RS),
    under the receiver's own rights. How many have no such view is said.

    Example: `mdm manifest /demo --view basic --out manifest.dcm`

    Example: `mdm manifest /demo --format fhir`
    """
    to_stdout = out in (None, "-")
    if to_stdout and format_ is Format.KOS and (json or sys.stdout.isatty()):
        raise BadRequest("a Key Object Selection is no text", remedy="give it a file: --out manifest.dcm")

    async def work() -> StudyManifest:
        async with client_of(context) as client:
            return await client.manifest(names, format=format_, view=view, study=study)

    with about(names[0] if len(names) == 1 else f"{len(names)} names"):
        made = complete(work())
    if made.left_out:
        why = ", ".join(f"{count} {_WHY.get(why, why)}" for why, count in made.left_out.items())
        of_study = ", of that study or another" if study is not None else ""
        complain(MdmError(f"files that it does not tell of{of_study}: {why}"))
    if to_stdout:
        sys.stdout.buffer.write(made.document)
        sys.stdout.buffer.flush()
        return
    Path(str(out)).write_bytes(made.document)
    size = len(made.document)
    if json:
        print_json({"file": out, "format": format_, "bytes": size, "leftOut": made.left_out})
    else:
        print_line(f"{out}: {size} bytes")
