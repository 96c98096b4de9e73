"""The demo from start to end: a server, images in, images out in every way, a report."""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pydicom.data
from rich.console import Console

from mdm_async.cli.demo.images import DemoImage, dicom_files
from mdm_async.cli.demo.report import Report
from mdm_async.cli.demo.server import DemoServer, running_server
from mdm_async.cli.demo.workers import PHASES, ingest, pull_phase
from mdm_async.client.client import Client
from mdm_async.errors import NotDicom

_FOLDER = "/demo"


async def run_demo(folder: Path, images: Path | None, workers: int, console: Console) -> Report:
    """All of it, in `folder`. NotDicom when there is nothing to show, Unavailable when no server comes up."""
    sources = dicom_files(images or Path(pydicom.data.__file__).parent)
    if not sources:
        raise NotDicom("no DICOM file is in the folder", remedy="give another with --images")
    began = time.perf_counter()
    async with AsyncExitStack() as stack:
        with console.status("starting a server"):
            server = await stack.enter_async_context(running_server(folder))
        console.print(f"server ready at {server.url} after {time.perf_counter() - began:.1f} s")
        return await _with_server(server, sources, workers, console)


async def _with_server(server: DemoServer, sources: Sequence[Path], workers: int, console: Console) -> Report:
    demo_images = [DemoImage.of(path, f"{_FOLDER}/{n:05}.dcm") for n, path in enumerate(sources, 1)]
    report = Report(images=demo_images, workers=workers)
    async with Client(server.url, server.admin_token, connections=workers) as admin:
        await admin.mkdir(_FOLDER)
        # A worker's token cannot open identities; another, for accredited staff, can.
        worker = (await admin.tokens.create("demo-worker", "rlxg", _FOLDER, views=["basic"])).secret
        accredited = await admin.tokens.create("demo-accredited", "rlxgi", _FOLDER, views=["identified"])
        report.phases.append(await ingest(admin, demo_images, workers, console))
    for phase in PHASES:
        token = accredited.secret if phase.identified else worker
        async with Client(server.url, token, connections=workers) as client:
            report.phases.append(await pull_phase(client, phase, demo_images, workers, console))
    report.judge()
    return report
