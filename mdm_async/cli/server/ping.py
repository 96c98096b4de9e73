"""`mdm ping`: whether the server is there."""

import time
from typing import Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line


def register(app: typer.Typer) -> None:
    app.command()(ping)


def ping(context: typer.Context, json: Json = False) -> None:
    """Ask the server whether it is there: its version, and how long the answer took.

    Exits 69 when it cannot be reached, 76 when its certificate is not trusted.

    Example: `mdm ping --url https://mdm.example.org:8443`
    """

    async def work() -> tuple[dict[str, Any], float, str]:
        client = client_of(context)
        client.wire.attempts = 1
        async with client:
            began = time.perf_counter()
            told = await client.wire.operate("GET", "health/ready")
            return told, time.perf_counter() - began, client.wire.place

    told, seconds, where = complete(work())
    version = str(told.get("version", "unknown"))
    if json:
        print_json({"server": where, "version": version, "seconds": round(seconds, 6)})
    else:
        print_line(f"{where}: mdm {version}, {seconds * 1000:.1f} ms")
