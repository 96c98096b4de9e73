"""`mdm fsck`: stored ciphertext and catalog compared."""

from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import in_words, print_json, print_line


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

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.wire.operate("POST", "admin/v1/fsck", {"repair": repair})

    report = complete(work())
    findings = report.get("findings") or []
    if json:
        print_json(report)
    else:
        for finding in findings:
            subject = finding.get("blob") or finding.get("image") or ""
            print_line(f"{finding['kind']} {subject}{'  repaired' if finding.get('repaired') else ''}")
        print_line(f"{report['blobs']} blobs, {in_words(report['bytes'])}, {len(findings)} findings")
    if any(not finding.get("repaired") for finding in findings):
        raise typer.Exit(1)
