"""`mdm profile import`: a profile from the rules of another program."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, print_json, print_line
from mdm_async.cli.profile.profile_file import read_text
from mdm_async.errors import BadRequest, MdmError


class Program(StrEnum):
    CTP = "ctp"
    DEID = "deid"


def register(app: typer.Typer) -> None:
    app.command("import")(import_)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    program: Annotated[
        Program | None, typer.Option("--from", help="Whose rules they are; told by the file if not said.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the profile.")] = "imported",
    json: Json = False,
) -> None:
    """Print a profile made of a CTP script for pixels (DicomPixelAnonymizer) or of a deid recipe.

    What a profile cannot say is listed on stderr and in comments: read it, then `mdm profile check` the file.

    Example: `mdm profile import DicomPixelAnonymizer.script > sono.toml`
    """
    # Here, for tables of the standard and the dictionary take a quarter of a second to load.
    from mdm_async.dicom.profiles.file import parse_profile
    from mdm_async.dicom.profiles.importing.ctp import read_ctp
    from mdm_async.dicom.profiles.importing.deid import read_deid

    with about(str(file)):
        text = read_text(file)
        read = read_ctp if (program or _told(text)) is Program.CTP else read_deid
        imported = read(text, name)
        parse_profile(imported.toml)  # refuses a name that is none, for example
    untranslated = [str(each) for each in imported.untranslated]
    if json:
        print_json({"toml": imported.toml, "untranslated": untranslated})
        return
    for line in imported.toml.splitlines():
        print_line(line)
    for each in untranslated:
        complain(MdmError(f"not translated, {each}"), str(file))


def _told(text: str) -> Program:
    """Whose rules these are. Raises BadRequest."""
    if re.search(r"^\s*(FORMAT\s|%(header|filter)\b)", text, re.MULTILINE | re.IGNORECASE):
        return Program.DEID
    if re.search(r"\{[^}]*\}\s*\(", text):
        return Program.CTP
    raise BadRequest("neither a CTP script for pixels nor a deid recipe", remedy="say which by --from")
