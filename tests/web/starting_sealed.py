"""A server of this process that starts sealed, and the means to unseal it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mdm_async.client import Client
from mdm_async.keys.custody import CustodyShare
from tests.conftest import Server, running_server
from tests.faults.conditions import until

HELD = {"kek_custodians": True}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Starting:
    """A server that starts, sealed, on a port that is known."""

    def __init__(self, data: Path, port: int) -> None:
        self.data, self.port = data, port
        self.url = f"http://127.0.0.1:{port}"
        self.ready: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        self.stop = asyncio.Event()

    async def give(self, *shares: CustodyShare | str) -> dict[str, Any]:
        async with Client(data=self.data) as client:
            found: dict[str, Any] = {}
            for share in shares:
                found = await client.keys.unseal(share if isinstance(share, str) else share.text())
            return found

    async def given(self) -> dict[str, Any]:
        async with Client(data=self.data) as client:
            (store,) = (await client.keys.shares())["stores"]
            return dict(store)


@asynccontextmanager
async def starting(
    data: Path,
    dsn: str,
    server: dict[str, Any] | None = None,
    keys: dict[str, Any] | None = None,
    **sections: dict[str, Any],
) -> AsyncIterator[Starting]:
    one = Starting(data, free_port())

    own = (server or {}) | {"port": one.port}

    async def run() -> None:
        async with running_server(data, dsn, keys=keys or HELD, server=own, **sections) as running_:
            one.ready.set_result(running_)
            await one.stop.wait()

    running = asyncio.create_task(run())
    try:
        await until(lambda: (data / "admin.sock").exists() or running.done())
        yield one
        one.stop.set()
        if one.ready.done():
            await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
