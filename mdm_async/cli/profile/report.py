"""`mdm profile report`: what de-identification did, per image and per study; counts, never values."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line
from mdm_async.cli.profile.report_page import page
from mdm_async.cli.profile.studies import Study, by_study
from mdm_async.cli.tables import add_row, counts_in_words, in_words, print_table, table
from mdm_async.errors import MdmError
from mdm_async.names import parse_surl, parse_view


def register(group: typer.Typer) -> None:
    group.command()(report)


def report(
    context: typer.Context,
    lfn: Annotated[str, typer.Argument(metavar="LFN", show_default=False)],
    view: Annotated[str | None, typer.Option(help="Default: the directory's default view.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--page", metavar="FILE.html", help="Write a page to print, for the ethics board."),
    ] = None,
    json: Json = False,
) -> None:
    """Tell what went of an image, or of the studies below a directory, and what stayed: attributes, rules, counts.

    Example: `mdm profile report /cardio --view cardio --page cardio.html`
    """

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.profiles.report(surl_of(lfn, view))

    with about(lfn):
        told = complete(work())
    studies = by_study(told["files"])
    if out is not None:
        write_page(out, page(told, studies, datetime.now(UTC)))
    if json:
        print_json(told)
        return
    options = ", ".join(told["options"]) or "no options"
    print_line(
        f"view {told['view']}, digest {told['digest']}, scrubber revision {told['revision']}, {options}"
    )
    for study in studies:
        _print_study(study)
    if out is not None:
        print_line(f"page: {out}")


def surl_of(lfn: str, view: str | None) -> str:
    """The SURL that names this view of what `lfn` names."""
    return lfn if view is None else f"/@{parse_view(view)}{parse_surl(lfn).lfn}"


def write_page(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as why:
        raise MdmError(f"{file} cannot be written: {why.strerror}") from None


def _print_study(study: Study) -> None:
    which = f"study {study.uid}" if study.uid else "images without this view"
    print_line()
    print_line(f"{which}: {counts_in_words(study.states)}")
    for title, lines in (("went:", study.went), ("stayed:", study.stayed)):
        if lines:
            print_line(title)
        shown = table("attribute", "name", "action", "because", "count", numbers=("count",))
        for line, count in lines.items():
            action = f"{line.action} {in_words(line.action, line.tag)}"
            add_row(shown, line.tag, line.name, action, line.because, count)
        print_table(shown)
    for variant, count in study.pixels.items():
        print_line(f"pixels {'as they are' if variant == 'original' else variant}: {count}")
    for warning, count in study.warnings.items():
        print_line(f"warning, {count}: {warning}")
    for (state, reason), count in Counter(withheld[1:] for withheld in study.withheld).items():
        print_line(f"{count} {state}: {reason or 'not made yet'}")
