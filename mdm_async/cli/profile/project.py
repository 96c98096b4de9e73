"""`mdm project mapping`: whom a research project calls what."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, print_json, print_line
from mdm_async.cli.profile.profile_file import read_text
from mdm_async.errors import MdmError

Project = Annotated[str, typer.Argument(metavar="PROJECT", show_default=False)]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Research projects: whom they call what.", no_args_is_help=True)
    mapping = typer.Typer(
        help="A project's own mapping of patients to subjects. It tells who everybody is: it takes an administrator"
        " with the right i on /, and lies encrypted under the project's key.",
        no_args_is_help=True,
    )
    mapping.command("set")(set_)
    mapping.command()(show)
    mapping.command()(unset)
    group.add_typer(mapping, name="mapping")
    app.add_typer(group, name="project")


def set_(
    context: typer.Context,
    project: Project,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", show_default=False)],
    json: Json = False,
) -> None:
    """Put a mapping into force, instead of the one before: a CSV file with the columns patient, subject,
    shift_days, and issuer where equal Patient IDs of several hospitals are several patients.

    Example: `mdm project mapping set cardio subjects.csv`
    """

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.mappings.set(project, read_text(file))

    with about(str(file)):
        done = complete(work())
    for warning in done["warnings"]:
        complain(MdmError(f"warning: {warning}"), str(file))
    if json:
        print_json(done)
        return
    count = done["patients"]
    print_line(f"{project}: {count} patient{'s are' if count != 1 else ' is'} mapped")
    _tell_anew(done["anew"])


def show(context: typer.Context, project: Project, json: Json = False) -> None:
    """Print a mapping as CSV; it is recorded in the audit.

    Example: `mdm project mapping show cardio`
    """

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.mappings.show(project)

    with about(project):
        found = complete(work())
    if json:
        print_json(found)
        return
    for line in found["csv"].splitlines():
        print_line(line)


def unset(context: typer.Context, project: Project, json: Json = False) -> None:
    """Forget a mapping: its patients are refused or get pseudonyms, as the profile has it for who is not mapped.

    Example: `mdm project mapping unset cardio`
    """

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.mappings.unset(project)

    with about(project):
        done = complete(work())
    if json:
        print_json(done)
        return
    print_line(f"{project}: the mapping is forgotten")
    _tell_anew(done["anew"])


def _tell_anew(views: Sequence[str]) -> None:
    if views:
        print_line(f"made anew: {', '.join(views)}; what was made before is no longer served")
        print_line(
            "names that mdm link made with {subject} stay as they are: link again, and remove the old ones"
        )
