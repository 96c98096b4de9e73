"""`mdm fsck`: stored ciphertext and catalog compared."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import in_words, print_json, print_line

if TYPE_CHECKING:
    from mdm_async.client.fsck import FsckReport


def register(app: typer.Typer) -> None:
    app.command()(fsck)


def fsck(
    context: typer.Context,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is safe to repair.")] = False,
    json: Json = False,
) -> None:
    """Compare stored ciphertext with the catalog; exits 1 when something is left unrepaired.

    Example: `mdm fsck --repair`
    """

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
