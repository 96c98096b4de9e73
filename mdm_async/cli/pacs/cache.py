"""`mdm cache status|evict`: what is kept of images that archives have."""

from collections import Counter
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.names.commands import Lfns
from mdm_async.cli.options import Json
from mdm_async.cli.output import complain, end, error_json, in_words, on_interrupt, print_json, print_line
from mdm_async.cli.pacs.staging import files_below
from mdm_async.cli.settled import settled
from mdm_async.cli.tables import add_row, print_table, table
from mdm_async.errors import BadRequest

_WHY = {
    "pinned": "pinned",
    "read": "being read",
    "cohort": "in cohorts",
    "archive": "gone from their archives, or of such as are not asked",
}

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="What is kept here of images that archives have: how full it is, and what is let go.",
        no_args_is_help=True,
    )
    group.command()(status)
    group.command()(evict)
    app.add_typer(group, name="cache")


def status(context: typer.Context, json: Json = False) -> None:
    """Show how much is kept of what archives have: of the quota, pinned and by whom, evictable, and on its way.

    Hits and misses are those of the node that was asked, since it started.

    Example: `mdm cache status`
    """

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.cache.status()

    found = complete(work())
    if json:
        print_json(found)
        return
    made = table("", "bytes", numbers=("bytes",))
    quota = found["quota"]
    add_row(made, "quota", in_words(quota) if quota is not None else "none")
    add_row(made, "used", in_words(found["used"]))
    for reason, size in found["kept"].items():
        add_row(made, _WHY.get(reason, reason), in_words(size), indent=1)
        if reason == "pinned":
            for holder, bytes_ in found["pinnedBy"].items():
                add_row(made, f"by {holder}", in_words(bytes_), indent=2)
    add_row(made, "evictable", in_words(found["evictable"]), indent=1)
    add_row(made, "on its way", in_words(found["inFlight"]))
    print_table(made)
    print_line(f"{found['images']} images; {found['hits']} hits, {found['misses']} misses")
    if found["more"]:
        print_line("not all images were looked at: there is more that is pinned or evictable")


def evict(
    context: typer.Context,
    names: Lfns = None,
    size: Annotated[
        int | None,
        typer.Option("--bytes", min=1, help="So many bytes, of what was used the least.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is not in use.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Let go of the bytes of files, of a directory all below it; their archives have them, and they come again.

    What is pinned, read, in a cohort, or was put here stays.

    Example: `mdm cache evict /pacs/hospital/MDM4T7QZ --dry-run`
    """
    if bool(names) + (size is not None) + everything != 1:
        raise BadRequest("what is to go is not clear", remedy="give names, or --bytes, or --all")
    if names:
        _files(context, names, dry_run=dry_run, json=json)
    else:
        _room(context, size, dry_run=dry_run, json=json)


def _files(context: typer.Context, names: list[str], *, dry_run: bool, json: bool) -> None:
    async def work() -> dict[str, dict[str, Any]]:
        async with client_of(context) as client:
            return await client.cache.evict(await files_below(client, names), dry_run=dry_run)

    outcomes = settled(work())
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
    sizes = [one.result["bytes"] for one in outcomes if one.result is not None and one.error is None]
    if json:
        told = [
            {"path": one.name}
            | (
                {"error": error_json(one.error)}
                if one.error is not None
                else {"bytes": (one.result or {})["bytes"]}
            )
            for one in outcomes
        ]
        print_json({"dryRun": dry_run, "files": told})
    else:
        _print(sum(size > 0 for size in sizes), sum(sizes), dry_run=dry_run)
        if others := sizes.count(0):
            print_line(f"{others} not kept, or never let go of")
    end(outcome.error for outcome in outcomes)


def _room(context: typer.Context, size: int | None, *, dry_run: bool, json: bool) -> None:
    counts, kept = Counter[str](), Counter[str]()

    async def work() -> None:
        async with client_of(context) as client:
            async for page in client.cache.make_room(size, dry_run=dry_run):
                counts.update({key: page[key] for key in ("images", "bytes")})
                kept.update(page["kept"])

    with on_interrupt("what was let go of is gone, and comes again when it is asked for", "run it again"):
        complete(work())
    if json:
        print_json({"dryRun": dry_run, "images": counts["images"], "bytes": counts["bytes"], "kept": kept})
        return
    _print(counts["images"], counts["bytes"], dry_run=dry_run)
    for reason, count in kept.items():
        print_line(f"{count} stay: {_WHY.get(reason, reason)}")


def _print(images: int, size: int, *, dry_run: bool) -> None:
    print_line(f"{images} images, {in_words(size)}{' would go' if dry_run else ' let go of'}")
