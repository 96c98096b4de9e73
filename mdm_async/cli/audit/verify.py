"""`mdm audit verify`: the trail held against its seals, in this process, with keys that the server does not choose."""

import asyncio
import base64
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import orjson
import typer
from rich.progress import Progress

from mdm_async.audit.findings import Verdict
from mdm_async.audit.keys import Keys, parse_public
from mdm_async.audit.published import read
from mdm_async.audit.rows import moment
from mdm_async.audit.verify import Verifier
from mdm_async.cli.audit.export import After, counting
from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.exit_codes import exit_code
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.errors import BadRequest, WrongContent

_PAGE = 2000


def register(group: typer.Typer) -> None:
    group.command()(verify)


def verify(
    context: typer.Context,
    key: Annotated[
        list[Path],
        typer.Option(metavar="FILE.pub", help="Public key that seals are signed by, again for more."),
    ],
    seals: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="The seals as published, again for the files after it."),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An exported trail, instead of the server's.")
    ] = None,
    after: After = None,
    json: Json = False,
) -> None:
    """Find rows of the trail that were changed, removed or inserted, and seals that were forged; 5 if there are any.

    Example: `mdm audit verify --key audit.pub --seals seals.jsonl`
    """
    if export is not None and after is not None:
        raise BadRequest("an exported trail is verified from where it begins", remedy="leave out --after")
    keys = parse_public(path.read_text() for path in key)
    with ExitStack() as stack:
        # What is published while the trail is told is not looked at: the trail may end before it.
        published = stack.enter_context(_Lines(seals)) if seals else None
        file = stack.enter_context(open(export, "rb")) if export is not None else None
        progress = stack.enter_context(counting())

        async def work() -> Verdict:
            if file is not None:
                return await _verified(_of_file(file), keys, published, offline=True, progress=progress)
            async with client_of(context) as client:
                pages = client.audit.pages(after=after)
                return await _verified(pages, keys, published, offline=False, progress=progress)

        verdict = complete(work())
    if json:
        print_json(verdict.as_json())
    else:
        _print(verdict, published=bool(seals))
    if not seals:
        sys.stderr.write(
            "mdm: without --seals the database's own seals were taken: rows and seals cut off at the end do not show\n"
        )
    if not verdict.is_intact:
        raise typer.Exit(exit_code(WrongContent()))


async def _verified(
    pages: AsyncIterator[list[dict[str, Any]]],
    keys: Keys,
    published: Iterator[str] | None,
    *,
    offline: bool,
    progress: Progress,
) -> Verdict:
    """`offline`: the trail says itself that it is whole; a server's is when there are no more pages."""
    verifier: Verifier | None = None
    task, rows, ended = progress.add_task("verifying", rows=0), 0, not offline
    async for lines in pages:
        for line in lines:
            try:
                ended = ended or line.get("kind") == "end"
                if verifier is None:
                    verifier = _begun(line, keys, published, offline=offline)
                else:
                    _take(verifier, line)
            except (AttributeError, KeyError, TypeError, ValueError):
                raise WrongContent("this is not an audit trail") from None
        rows += len(lines)
        progress.update(task, rows=rows)
    if verifier is None or not ended:
        raise WrongContent("the exported trail is not whole", remedy="export it again")
    return verifier.end()


def _take(verifier: Verifier, line: dict[str, Any]) -> None:
    match line["kind"]:
        case "row":
            verifier.row(line, line["seal"])
        case "seal":
            verifier.seal(line["number"], line["text"], base64.b64decode(line["index"]))


def _begun(line: dict[str, Any], keys: Keys, published: Iterator[str] | None, *, offline: bool) -> Verifier:
    if line["filtered"]:
        raise WrongContent(
            "a filtered trail cannot be verified", remedy="export it without filters but --after"
        )
    return Verifier(
        keys,
        read(published) if published is not None else None,
        now=line["now"],
        after=line["after"],
        horizon=line["horizon"] if offline else None,
    )


async def _of_file(file: BinaryIO) -> AsyncIterator[list[dict[str, Any]]]:
    page: list[dict[str, Any]] = []
    for number, line in enumerate(file, 1):
        try:
            page.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            raise WrongContent(f"line {number} of the exported trail is not JSON") from None
        if len(page) == _PAGE:
            yield page
            page = []
            await asyncio.sleep(0)
    yield page


class _Lines:
    """The lines that some files have now; what is appended later is left out."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __enter__(self) -> Iterator[str]:
        with ExitStack() as stack:
            files = [stack.enter_context(open(path, "rb")) for path in self._paths]
            sizes = [os.fstat(file.fileno()).st_size for file in files]
            self._stack = stack.pop_all()
        return self._read(files, sizes)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _read(self, files: Sequence[BinaryIO], sizes: Sequence[int]) -> Iterator[str]:
        for file, size in zip(files, sizes, strict=True):
            while file.tell() < size and (line := file.readline()):
                yield line.decode(errors="replace")


def _print(verdict: Verdict, *, published: bool) -> None:
    for finding in verdict.findings:
        where = f"seal {finding.seal}" if finding.seal is not None else "seals"
        when = f", {finding.second}" if finding.second is not None else ""
        ids = f": {', '.join(map(str, finding.rows))}" if finding.rows else ""
        print_line(f"{finding.kind.upper()} ({where}{when}): {finding.what}{ids}")
    if verdict.more:
        print_line(f"… and {verdict.more} more")
    warnings = {
        "seals are not among the published": verdict.unpublished,
        "seals were published after the trail was exported": verdict.later,
        "rows are not sealed, though older than ten seconds": verdict.overdue,
    }
    for what, count in warnings.items():
        if count:
            print_line(f"warning: {count} {what}")
    if verdict.pruned is not None:
        gone = verdict.pruned
        print_line(
            f"pruned: seals 1 to {gone.seals} and the {gone.count} rows under them, before {moment(gone.before)}"
        )
    found = "INTACT" if verdict.is_intact else f"{len(verdict.findings) + verdict.more} FINDINGS"
    against = "published seals" if published else "the database's own seals"
    print_line(
        f"{found}: {verdict.rows} rows under {verdict.seals} seals until {verdict.until or 'never'}, against {against}"
    )
