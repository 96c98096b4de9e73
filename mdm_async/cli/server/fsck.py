"""`mdm fsck`: stored ciphertext and catalog compared, or all of it opened."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import in_words, on_interrupt, print_json, print_line, stderr_console
from mdm_async.errors import BadRequest

if TYPE_CHECKING:
    from mdm_async.client.fsck import Damaged, FsckReport, Known


def register(app: typer.Typer) -> None:
    app.command()(fsck)


def fsck(
    context: typer.Context,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is safe to repair.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Open and read all that is stored, image by image.")
    ] = False,
    known: Annotated[
        bool, typer.Option("--known", help="Tell what deep checks have found and nobody has mended.")
    ] = False,
    after: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="With --deep: go on after this image.", show_default=False),
    ] = None,
    pause: Annotated[
        float, typer.Option(min=0, help="With --deep: seconds of rest after every five of work.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Compare stored ciphertext with the catalog; exits 1 when something is left unrepaired.

    Example: `mdm fsck --repair` or, reading everything, `mdm fsck --deep --pause 5`
    """
    if known:
        _known(context, alone=not (repair or deep or after or pause), json=json)
        return
    if deep:
        _deep(context, after, pause, repair=repair, json=json)
        return
    if after is not None or pause:
        raise BadRequest("--after and --pause are of a deep check", remedy="add --deep")

    async def work() -> "FsckReport":
        async with client_of(context) as client:
            return await client.fsck(repair=repair)

    report = complete(work())
    if json:
        print_json(asdict(report))
    else:
        for finding in report.findings:
            print_line(f"{finding.kind} {finding.blob}{'  repaired' if finding.repaired else ''}")
        if report.more:
            print_line(f"and {report.more} more, which are not listed")
        count = len(report.findings) + report.more
        print_line(f"{report.blobs} blobs, {in_words(report.bytes)}, {count} findings")
    if report.more or any(not finding.repaired for finding in report.findings):
        raise typer.Exit(1)


def _deep(context: typer.Context, after: str | None, pause: float, *, repair: bool, json: bool) -> None:
    checked = _Checked(after)
    console = stderr_console()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())

    async def work(progress: Progress) -> None:
        task = progress.add_task("", total=None)
        async with client_of(context) as client:
            async for page in client.look_into(after=after, repair=repair, pause=pause):
                checked.images += page.images
                checked.bytes += page.bytes
                checked.found += page.found
                checked.next = page.next or checked.next
                progress.update(task, description=checked.so_far)
                if not json:
                    for one in page.found:
                        _say(one)

    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        try:
            complete(work(progress))
        except KeyboardInterrupt:
            with on_interrupt(checked.so_far, checked.how_to_go_on):
                raise
    if json:
        told: dict[str, Any] = {"found": [asdict(one) for one in checked.found]}
        print_json(told | {"images": checked.images, "bytes": checked.bytes})
    else:
        print_line(checked.so_far)
    if any(not one.repaired for one in checked.found):
        raise typer.Exit(1)


def _known(context: typer.Context, *, alone: bool, json: bool) -> None:
    if not alone:
        raise BadRequest("--known changes nothing and reads nothing", remedy="give it no other option")

    async def work() -> "Known":
        async with client_of(context) as client:
            return await client.known_damage()

    found = complete(work())
    if json:
        print_json(asdict(found))
    else:
        for one in found.found:
            _say(one)
        through = f", through {found.ended}" if found.ended is not None else ""
        far = f"begun {found.begun}, {found.share:.0%} looked at{through}"
        print_line(f"{len(found.found)} images are damaged; the check in the background: {far}")
    if found.found:
        raise typer.Exit(1)


class _Checked:
    def __init__(self, after: str | None) -> None:
        self.found: tuple[Damaged, ...] = ()
        self.images = self.bytes = 0
        self.next = after

    @property
    def so_far(self) -> str:
        return f"{self.images} images, {in_words(self.bytes)}, {len(self.found)} damaged"

    @property
    def how_to_go_on(self) -> str:
        where = f" --after {self.next}" if self.next is not None else ""
        return f"go on with: mdm fsck --deep{where}"


def _say(one: "Damaged") -> None:
    mended = "  repaired" if one.repaired else ""
    print_line(f"damaged {one.image} {' '.join(one.names)}{mended}")
    for damage in one.damage:
        view = f"{damage.view}: " if damage.view is not None else ""
        part = f" (part {damage.part})" if damage.part is not None else ""
        since = f", since {damage.found}" if damage.found is not None else ""
        print_line(f"  {view}{damage.what}{part}{since}")
