"""`mdm profile survivors`: the texts that are left in a view, for a curator to read before a release."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, plain, print_json, print_line, stderr_console
from mdm_async.cli.profile.report import surl_of
from mdm_async.cli.tables import add_row, print_table, table


@dataclass(slots=True)
class Left:
    """What is left in the files looked at so far."""

    files: int = 0
    withheld: int = 0
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of each attribute its name and VR."""
    texts: dict[str, Counter[str]] = field(default_factory=dict)
    more: Counter[str] = field(default_factory=Counter)
    """Of each attribute how many texts there are beyond those that the server tells."""

    def add(self, page: dict[str, Any]) -> None:
        self.files += page["files"]
        self.withheld += page["withheld"]
        for each in page["attributes"]:
            self.names.setdefault(each["tag"], (each["name"], each["vr"]))
            self.texts.setdefault(each["tag"], Counter()).update(each["texts"])
            if each["more"]:
                self.more[each["tag"]] += each["more"]


def register(group: typer.Typer) -> None:
    group.command()(survivors)


def survivors(
    context: typer.Context,
    lfns: Annotated[list[str], typer.Argument(metavar="LFN…", show_default=False)],
    view: Annotated[str, typer.Option(help="The view, by its profile's name.")],
    json: Json = False,
) -> None:
    """List the distinct texts that are left in a view, by attribute: of files, and of all below directories.

    Read them before you release the view. It takes the right i, and is recorded in the audit.

    Example: `mdm profile survivors /cardio --view cardio`
    """
    left = Left()

    async def work(lfn: str, progress: Progress) -> None:
        task = progress.add_task(plain(lfn), total=None)
        async with client_of(context) as client:
            async for page in client.profiles.survivors(surl_of(lfn, view)):
                left.add(page)
                if page["total"] is not None:
                    progress.update(task, total=page["total"])
                progress.update(task, advance=page["files"])

    with _bar() as progress:
        for lfn in dict.fromkeys(lfns):
            with about(lfn):
                complete(work(lfn, progress))
    if json:
        print_json(_as_json(left))
    else:
        _print(left)


def _bar() -> Progress:
    console = stderr_console()
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _as_json(left: Left) -> dict[str, Any]:
    attributes = [
        {
            "tag": tag,
            "name": name,
            "vr": vr,
            "texts": dict(sorted(left.texts[tag].items())),
            "more": left.more[tag],
        }
        for tag, (name, vr) in sorted(left.names.items())
    ]
    return {"files": left.files, "withheld": left.withheld, "attributes": attributes}


def _print(left: Left) -> None:
    shown = table("attribute", "name", "VR", "text", "count", numbers=("count",))
    for tag, (name, vr) in sorted(left.names.items()):
        first = True
        for text, count in sorted(left.texts[tag].items()):
            add_row(shown, *((tag, name or "private", vr) if first else ("", "", "")), text, count)
            first = False
        if left.more[tag]:
            add_row(shown, "", "", "", f"and at least {left.more[tag]} more", "")
    print_table(shown)
    distinct = sum(map(len, left.texts.values()))
    print_line(f"{distinct} texts in {len(left.names)} attributes of {left.files - left.withheld} images")
    if left.withheld:
        print_line(f"not looked at, for they lack this view or you may not identify them: {left.withheld}")
