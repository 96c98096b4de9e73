"""`mdm profile`: de-identification profiles, looked at, checked, put into force, and let out of quarantine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.names.commands import outcome_json
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, end, error_json, print_json, print_line
from mdm_async.cli.profile import apply, certificate, importing, report, survivors, trial
from mdm_async.cli.profile.profile_file import read_profile, read_text
from mdm_async.cli.settled import settled
from mdm_async.cli.tables import add_row, print_table, table
from mdm_async.errors import MdmError

if TYPE_CHECKING:
    from mdm_async.dicom.profile import Profile

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the profile.", show_default=False)]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="De-identification profiles: what views are made by.", no_args_is_help=True)
    group.command("list")(listing)
    for command in (show, check, add):
        group.command()(command)
    for room in (importing, trial, apply, report, survivors):
        room.register(group)
    certificate.register_issuing(group)
    group.command()(release)
    app.add_typer(group, name="profile")


def listing(context: typer.Context, json: Json = False) -> None:
    """List the profiles in force.

    Example: `mdm profile list`
    """

    async def work() -> list[dict[str, Any]]:
        async with client_of(context) as client:
            return await client.profiles.listing()

    profiles = complete(work())
    if json:
        print_json(profiles)
        return
    shown = table("name", "base", "options", "project", "digest", "added", "by")
    for each in profiles:
        add_row(
            shown,
            each["name"],
            each["base"],
            ", ".join(each["options"]) or "-",
            each["project"] or "-",
            each["digest"][:12],
            "built in" if each["builtIn"] else str(each["added"])[:16],
            each["addedBy"] or "-",
        )
    print_table(shown)


def show(context: typer.Context, name: Name, json: Json = False) -> None:
    """Print a profile's TOML; with --json all that is known of it.

    Example: `mdm profile show cardio > cardio.toml`
    """

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.profiles.show(name)

    with about(name):
        profile = complete(work())
    if json:
        print_json(profile)
    else:
        for line in profile["toml"].splitlines():
            print_line(line)


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", show_default=False)], json: Json = False
) -> None:
    """Check profile files, without a server: what they say, and what they let through.

    Example: `mdm profile check cardio.toml`
    """
    documents: list[dict[str, Any]] = []
    failures: list[MdmError] = []
    for file in files:
        try:
            profile = read_profile(file)
        except MdmError as error:
            complain(error, str(file))
            failures.append(error)
            documents.append({"file": str(file), "error": error_json(error)})
        else:
            documents.append({"file": str(file), **_summary(profile)})
            if not json:
                _print_summary(documents[-1])
    if json:
        print_json(documents)
    end(failures)


def add(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    json: Json = False,
) -> None:
    """Put a profile into force, instead of the one that had its name.

    Example: `mdm profile add cardio.toml`
    """
    with about(str(file)):
        profile = read_profile(file)
        for warning in profile.warnings:
            complain(MdmError(f"warning: {warning}"))

        async def work() -> dict[str, Any]:
            async with client_of(context) as client:
                return await client.profiles.add(read_text(file))

        added = complete(work())
    if json:
        print_json(added)
        return
    print_line(f"profile {added['name']} is in force, digest {added['digest'][:12]}")
    before, name = added["replaced"], added["name"]
    if before == added["digest"]:
        print_line("it is the one that was in force: its views stay as they are")
    elif before is not None:
        print_line(f"it replaces {before[:12]}, whose views are no longer served")
    if before != added["digest"]:
        print_line(f"next: mdm profile apply {name} DIR   makes its views of the files below DIR")


def release(
    context: typer.Context,
    lfns: Annotated[list[str], typer.Argument(metavar="LFN…", show_default=False)],
    view: Annotated[str, typer.Option(help="The view, by its profile's name.")],
    json: Json = False,
) -> None:
    """Let views out of quarantine, after looking at the images: somebody with the right i says that no name is in the
    pixels.

    Example: `mdm profile release /demo/us-1.dcm --view cardio`
    """

    async def work() -> dict[str, None]:
        async with client_of(context) as client:
            await client.profiles.release(view, lfns)
        return dict.fromkeys(lfns)

    outcomes = settled(work())
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
        elif not json:
            print_line(f"released: {outcome.name}")
    if json:
        print_json([outcome_json(outcome.name, outcome.error) for outcome in outcomes])
    end(outcome.error for outcome in outcomes)


def _summary(profile: "Profile") -> dict[str, Any]:
    # Here, for tables of the standard and the dictionary take a quarter of a second to load.
    from mdm_async.dicom.profiles.in_words import in_words

    return {
        "name": profile.name,
        "digest": profile.digest,
        "base": profile.base,
        "options": sorted(profile.options),
        "project": profile.project,
        "burnedIn": profile.burned_in,
        "documents": profile.documents,
        "faces": profile.faces,
        "rules": len(profile.site),
        "pixelRules": len(profile.pixel_rules),
        "inWords": list(in_words(profile)),
        "warnings": list(profile.warnings),
    }


def _print_summary(summary: dict[str, Any]) -> None:
    print_line(f"{summary['file']}: profile {summary['name']}")
    for name, value in (
        ("digest", summary["digest"]),
        ("base", summary["base"]),
        ("options", ", ".join(summary["options"]) or "none"),
        ("project", summary["project"]),
        ("rules", f"{summary['rules']} of the site, {summary['pixelRules']} of pixels"),
        *(("", line) for line in summary["inWords"]),
        ("burned in", summary["burnedIn"]),
        ("documents", summary["documents"]),
        ("faces", summary["faces"]),
        *(("warning", warning) for warning in summary["warnings"]),
    ):
        print_line(f"{name:>12}{':' if name else ' '} {value}")
