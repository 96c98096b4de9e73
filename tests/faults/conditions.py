"""Waiting for what must become true, and looking for what was left behind."""

import asyncio
import inspect
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mdm_async.blobs import id_file
from tests.conftest import Server
from tests.patience import PATIENCE


async def until(true: Callable[[], Any | Awaitable[Any]], *, within: float = PATIENCE) -> None:
    """Return as soon as the condition holds; fail when it does not in so many seconds."""
    deadline = time.monotonic() + within
    while True:
        holds = true()
        if inspect.isawaitable(holds):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < deadline, f"{inspect.getsource(true).strip()} did not come true"
        await asyncio.sleep(0.01)


def blob_files(data: Path) -> list[Path]:
    """Every file in the blob store of a server's data directory."""
    return [path for path in (data / "blobs").glob("??/*") if path.is_file()]


async def stored(server: Server) -> dict[str, int]:
    """How many rows and files there are of what uploads make."""
    async with server.house.database.acquire() as db:
        counts = {
            table: await db.fetchval(f"select count(*) from {table}")
            for table in ("images", "parts", "views", "blobs", "mdm_keys.image_secrets")
        }
    return counts | {"files": len(blob_files(server.data))}


NOTHING = {"images": 0, "parts": 0, "views": 0, "blobs": 0, "mdm_keys.image_secrets": 0, "files": 0}


async def waiting_for_a_lock(server: Server) -> bool:
    """Whether somebody waits for what another transaction holds."""
    async with server.house.database.acquire() as db:
        return bool(await db.fetchval("select exists (select from pg_locks where not granted)"))


async def nothing_is_stored(server: Server) -> bool:
    return await stored(server) == NOTHING


def open_blobs(data: Path) -> list[str]:
    """What of the blob store this process has open, deleted files included."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:  # closed since
            continue
        if target.startswith(str(data / "blobs") + "/") and not target.endswith(id_file.NAME):
            found.append(target)
    return found


def descriptors() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
