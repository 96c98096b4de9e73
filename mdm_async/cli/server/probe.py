"""`mdm probe`: an endpoint, checked for a monitoring system."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdm_async.cli.connection import complete
from mdm_async.cli.exit_codes import PROBE_UNKNOWN
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.errors import MdmError

if TYPE_CHECKING:
    from mdm_async.client.probing.probe import Probed, Step


def register(app: typer.Typer) -> None:
    app.command()(probe)


def probe(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="https://…, davs://… or srm://…; port 8443 if none.")
    ],
    path: Annotated[
        str | None,
        typer.Option(metavar="DIRECTORY", help="Put a tiny image there, get it, and delete it."),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(
            help="PEM file with certificate and key; default: a bearer token that is found, else X509_USER_PROXY."
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            help="PEM file or directory of authorities to trust besides the system's; default: X509_CERT_DIR."
        ),
    ] = None,
    warning_days: Annotated[float, typer.Option(help="WARNING when the certificate ends sooner.")] = 14,
    critical_days: Annotated[float, typer.Option(help="CRITICAL when the certificate ends sooner.")] = 3,
    slow: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="WARNING when a step takes longer.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="CRITICAL when a step takes longer.")
    ] = 30,
    json: Json = False,
) -> None:
    """Check an endpoint as a monitoring system would: certificate, ping, ls, and a round trip of a tiny image.

    Prints one line with performance data, and exits 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.

    Example: `mdm probe davs://mdm.example.org:8443/dav/vo --path /vo/probe`
    """
    from mdm_async.client.probing.endpoint import Endpoint
    from mdm_async.client.probing.probe import Thresholds
    from mdm_async.client.probing.probe import probe as run

    limits = Thresholds(warning_days, critical_days, slow, timeout)
    try:
        probed = complete(run(Endpoint.of(url), directory=path, cert=cert, ca=ca, limits=limits))
    except MdmError as why:
        if json:
            print_json({"status": "UNKNOWN", "reason": str(why)})
        else:
            print_line(f"MDM UNKNOWN - {why}")
        raise typer.Exit(PROBE_UNKNOWN) from None
    if json:
        print_json(_document(probed))
    else:
        print_line(_line(probed))
    raise typer.Exit(int(probed.verdict))


def _document(probed: "Probed") -> dict[str, Any]:
    return {
        "status": probed.verdict.name,
        "endpoint": str(probed.endpoint),
        "certificateDays": None if probed.days is None else round(probed.days, 2),
        "steps": [
            {
                "name": step.name,
                "status": step.verdict.name,
                "seconds": None if step.seconds is None else round(step.seconds, 6),
                "told": step.told,
            }
            for step in probed.steps
        ],
    }


def _line(probed: "Probed") -> str:
    """As the plugin guidelines of Nagios have it: what is wrong first, and numbers after a bar."""
    wrong = [step for step in probed.steps if step.verdict]
    told = ", ".join(_said(step) for step in wrong or probed.steps)
    numbers = [f"{step.name}={step.seconds:.6f}s" for step in probed.steps if step.seconds is not None]
    if probed.days is not None:
        numbers.append(f"certificate_days={probed.days:.1f}")
    line = f"MDM {probed.verdict.name} - {probed.endpoint}: {told}".replace("|", "/")
    return " ".join(f"{line} | {' '.join(numbers)}".split())


def _said(step: "Step") -> str:
    if step.verdict or step.seconds is None:
        return f"{step.name}: {step.told}" if step.told else f"{step.name} took {step.seconds:.1f} s"
    return (
        f"{step.name} {step.told}"
        if step.name == "certificate"
        else f"{step.name} {step.seconds * 1000:.0f} ms"
    )
