"""`mdm profile apply`: the views of a profile made over all that is stored, told beforehand and shown while it goes."""

import asyncio
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, in_words, on_interrupt, plain, print_json, print_line, stderr_console
from mdm_async.cli.tables import counts_in_words
from mdm_async.client.profiles import Profiles
from mdm_async.errors import BadRequest, ViewPending

POLL_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 60.0
"""Seconds: an image whose original is damaged stays pending."""


def register(group: typer.Typer) -> None:
    group.command()(apply)


def apply(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the profile.", show_default=False)],
    directory: Annotated[str, typer.Argument(metavar="DIR")] = "/",
    default: Annotated[
        bool, typer.Option("--default", help="Also what these files give when no view is named.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Until all views are made, or not.", show_default=False)
    ] = True,
    json: Json = False,
) -> None:
    """Make a profile's views of all files below DIR, now and of files to come; tells beforehand how much work it is.

    Example: `mdm profile apply cardio /cardio`
    """
    if not (yes or dry_run or sys.stdin.isatty()):
        raise BadRequest("there is no terminal to ask on", remedy="give --yes, or --dry-run to be told only")

    async def ask_plan() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.profiles.plan(name, directory)

    async def begin() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.profiles.apply(name, directory, default=default)

    async def follow() -> dict[str, Any]:
        async with client_of(context) as client:
            with bar_on(stderr_console()) as bar:
                return await until_made(client.profiles, name, directory, bar)

    with about(f"{name} below {directory}"):
        plan = complete(ask_plan())
        if not json:
            for line in plan_in_words(name, directory, plan):
                print_line(line)
        if dry_run:
            if json:
                print_json({"plan": plan})
            return
        if not yes:
            if json:
                for line in plan_in_words(name, directory, plan):
                    stderr_console().print(plain(line), markup=False)
            typer.confirm("Go on?", abort=True, err=True)
        states = complete(begin())
        if wait:
            with on_interrupt("the server goes on making these views", "the same command shows it again"):
                states = complete(follow())
    if json:
        print_json({"plan": plan, "states": states})
        return
    print_line(f"{name}: {counts_in_words(states)}")
    if wait and states["pending"]:
        raise ViewPending(
            f"{_images(states['pending'])} could not be made so far",
            remedy="the server's log says of which images and why; it tries them again",
        )
    if states["refused"] or states["quarantined"]:
        print_line(f"mdm profile report {directory} --view {name} tells why")


def plan_in_words(name: str, directory: str, plan: dict[str, Any]) -> list[str]:
    """What will be done, a line each."""
    heads = "1 head is" if plan["heads"] == 1 else f"{plan['heads']} heads are"
    lines = [f"{name} below {directory}: {_images(plan['images'])}, {heads} made anew"]
    if plan["pixels"]:
        size = in_words(plan["pixelBytes"])
        lines.append(f"  of {_images(plan['pixels'])} the pixels are read and rewritten: {size}")
        lines.append("  all other pixels stay as they are, unread")
    else:
        lines.append("  no pixels are touched")
    return lines


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


class Bar:
    """Shows how many images have their view; of no console nothing."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None) if progress else None

    def show(self, states: dict[str, Any]) -> None:
        if self._progress is None or self._task is None:
            return
        made = {state: count for state, count in states.items() if state != "pending"}
        self._progress.update(
            self._task,
            description=plain(counts_in_words(made)),
            total=sum(states.values()),
            completed=sum(made.values()),
        )


class _ShownBar(AbstractContextManager[Bar]):
    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Bar:
        self._progress.start()
        return Bar(self._progress)

    def __exit__(self, *failure: object) -> None:
        self._progress.stop()


def bar_on(console: Console) -> AbstractContextManager[Bar]:
    """A bar on a terminal, nothing elsewhere."""
    return _ShownBar(console) if console.is_terminal else nullcontext(Bar(None))


async def until_made(profiles: Profiles, name: str, directory: str, bar: Bar) -> dict[str, Any]:
    """Ask how far it is until nothing is pending, or nothing has moved for a while; the states at the end."""
    loop = asyncio.get_running_loop()
    seen: dict[str, Any] = {}
    moved = loop.time()
    while True:
        states = await profiles.progress(name, directory)
        bar.show(states)
        if states != seen:
            seen, moved = states, loop.time()
        if not states["pending"] or loop.time() - moved > PATIENCE_SECONDS:
            return states
        await asyncio.sleep(POLL_SECONDS)
