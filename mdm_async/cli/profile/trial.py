"""`mdm profile try`: what a profile would do to files, before it is let at anything."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, end, error_json, print_json, print_line
from mdm_async.cli.profile.profile_file import read_profile, read_text
from mdm_async.cli.tables import add_row, in_words, print_table, table
from mdm_async.errors import MdmError, NotFound
from mdm_async.names import BASIC

_KEPT = "K"

if TYPE_CHECKING:
    from mdm_async.cli.profile.trial_file import Trial
    from mdm_async.cli.profile.trial_rows import Row
    from mdm_async.dicom.profile import Profile


def register(group: typer.Typer) -> None:
    group.command("try")(try_)


def try_(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", show_default=False)],
    profile: Annotated[
        str,
        typer.Option(metavar="FILE.toml|NAME", help="A profile's file, or the name of one on the server."),
    ] = BASIC,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Print original values too: patient data on this terminal.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Read files that break DICOM's file format too.")
    ] = False,
    mapping: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="The project's mapping; without it a profile that uses one calls everybody SUBJECT.",
            show_default=False,
        ),
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option(
            help="Who issues the files' Patient IDs, as the settings say of their device or archive; with --mapping.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Print what would become of each attribute of DICOM files, and whether they would be served; writes nothing.

    Pseudonyms and moved dates are made with a key that is thrown away: they are others each time. A view that would be
    refused is an answer, and ends with 0; a file that cannot be read at all does not.

    Example: `mdm profile try image.dcm --profile cardio.toml`
    """
    chosen = find_profile(context, profile)
    from mdm_async.cli.profile.trial_file import try_file
    from mdm_async.dicom.mapping import Mapping

    mapped = None
    if mapping is not None:
        with about(str(mapping)):
            mapped = Mapping.parse(read_text(mapping))
        warnings = mapped.warnings
        if chosen.unmapped is None:
            warnings = ("not used: the profile says nothing of who is not mapped (unmapped = …)",)
        for warning in warnings:
            complain(MdmError(f"warning: {warning}"), str(mapping))
    documents: list[dict[str, Any]] = []
    failures: list[MdmError] = []
    for file in files:
        try:
            if not file.is_file():
                raise NotFound("no such file")
            trial = try_file(file, chosen, force=force, mapping=mapped, issued_by=issuer)
        except MdmError as error:
            complain(error, str(file))
            failures.append(error)
            documents.append({"file": str(file), "error": error_json(error)})
        else:
            documents.append({"file": str(file), **as_json(trial, show_values=show_values)})
            if not json:
                _print(file, trial, show_values=show_values)
    if json:
        print_json(documents)
    end(failures)


def find_profile(context: typer.Context, named: str) -> "Profile":
    """The built-in one, one from a file or, when there is no such file, one from the server."""
    from mdm_async.dicom.profile import basic
    from mdm_async.dicom.profiles.file import parse_profile

    if named == BASIC:
        return basic()
    if named.endswith(".toml") or Path(named).is_file():
        return read_profile(Path(named))

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.profiles.show(named)

    return parse_profile(complete(work())["toml"])


def as_json(trial: "Trial", *, show_values: bool) -> dict[str, Any]:
    return {
        "verdict": trial.verdict,
        "reasons": list(trial.reasons),
        "pixels": trial.pixels,
        "warnings": list(trial.warnings),
        **dict(halves(trial.rows)),
        "attributes": [_row_json(row, show_values=show_values) for row in trial.rows],
    }


def _row_json(row: "Row", *, show_values: bool) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "depth": row.depth,
        "tag": row.tag,
        "name": row.name,
        "vr": row.vr,
        "action": row.action,
        "because": row.because,
    }
    if row.unchanged:
        tree["unchanged"] = True
    elif row.known:
        tree["becomes"] = row.after
    if show_values and row.before is not None:
        tree["was"] = row.before
    return tree


def _print(file: Path, trial: "Trial", *, show_values: bool) -> None:
    print_line(str(file))
    headings = ("attribute", "name", "VR", "action", "because", "comes out")
    shown = table(*headings, *(("was",) if show_values else ()))
    for row in trial.rows:
        words = f"{row.action} {in_words(row.action, row.tag)}"
        cells = (row.tag, row.name, row.vr, words, row.because, outcome(row))
        add_row(shown, *cells, *((row.before or "",) if show_values else ()), indent=row.depth)
    print_table(shown)
    for half, counts in halves(trial.rows):
        total = "1 element" if counts.total() == 1 else f"{counts.total()} elements"
        print_line(f"{half}: {total}")
        for because, count in counts.most_common():
            print_line(f"  {count} {because}")
    print_line(f"pixels: {trial.pixels}")
    for warning in trial.warnings:
        print_line(f"warning: {warning}")
    print_line(trial.verdict)
    for reason in trial.reasons:
        print_line(f"  {reason}")


def halves(rows: Sequence["Row"]) -> tuple[tuple[str, Counter[str]], tuple[str, Counter[str]]]:
    """What went and what stayed: how many elements, by what says so."""
    went, stayed = Counter[str](), Counter[str]()
    for row in rows:
        if row.action == _KEPT:
            stayed[row.because] += 1
        elif row.before is not None:
            went[row.because] += 1
    return ("went", went), ("stayed", stayed)


def outcome(row: "Row") -> str:
    """What comes out, without telling what went in."""
    if not row.known:
        return "?"
    if row.after is None:
        return "-"
    return "unchanged" if row.unchanged and row.after else row.after or "(empty)"
