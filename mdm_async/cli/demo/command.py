"""`mdm demo`: a server, real images, many workers, every byte checked. What the project is for, in one command."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mdm_async.cli.connection import complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, stderr_console


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    images: Annotated[
        Path | None, typer.Option(help="Folder of DICOM files; default: those that pydicom ships.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=512, help="Workers that pull side by side.")] = 16,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the server's folder afterwards.")] = False,
    json: Json = False,
) -> None:
    """Start a server, store images, pull them de-identified with many workers, and check every byte.

    Example: `mdm demo --images ~/study-1 --workers 32`
    """
    # Here, for only this command needs pydicom, which takes a quarter of a second to load.
    from mdm_async.cli.demo.report import as_json, show
    from mdm_async.cli.demo.run import run_demo

    # Resolved, for the system's folder of temporary files may be a link.
    folder = Path(tempfile.mkdtemp(prefix="mdm-demo-")).resolve()
    console = stderr_console() if json else Console()
    try:
        report = complete(run_demo(folder, images, workers, stderr_console()))
    finally:
        if keep:
            stderr_console().print(f"kept: {folder}", highlight=False, markup=False)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if json:
        print_json(as_json(report))
    else:
        show(report, console)
    raise typer.Exit(0 if report.flawless else 1)
