"""Connections that come and go, on the port for devices and on that of HTTPS: memory and descriptors stay flat.

`python -m tests.siege.connects --count 100000` is what `make soak` runs of it.
"""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import orjson
import psutil
import trustme
import typer

from tests.faults.conditions import until
from tests.faults.serving import Serve, free_port
from tests.pacs.devices import calling, request

_AT_ONCE, _WARM = 16, 1_000
"""Before memory is looked at first, what a server keeps in any case has been used."""
_MOST_MEMORY, _MOST_DESCRIPTORS = 24 << 20, 8
_ASSOCIATE, _ABORT = request(ae="CT"), bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class Ports:
    pid: int
    devices: int
    https: int
    trusting: ssl.SSLContext

    @property
    def figures(self) -> tuple[int, int]:
        """Bytes that the server holds, and its descriptors."""
        process = psutil.Process(self.pid)
        return process.memory_info().rss, process.num_fds()


@asynccontextmanager
async def ports(folder: Path, **settings: str) -> AsyncIterator[Ports]:
    authority, devices, https = trustme.CA(), free_port(), free_port()
    issued, trusting = authority.issue_cert("localhost"), ssl.create_default_context()
    authority.configure_trust(trusting)
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "key.pem").chmod(0o600)
    own = {
        "server__tls_cert": str(folder / "cert.pem"),
        "server__tls_key": str(folder / "key.pem"),
        "server__tls_port": str(https),
        "pacs__port": str(devices),
        "pacs__calling": orjson.dumps([calling("CT")]).decode(),
        "log__level": "error",
    }
    server = Serve(folder / "data", **(own | settings))
    server.environment["MDM_SERVER__PUBLIC_URL"] = server.url
    await server.start(folder / "log")
    try:
        yield Ports(server.process.pid, devices, https, trusting)
    finally:
        server.process.terminate()
        await server.process.wait()


async def _bare(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.transport.abort()


async def _associated(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_ASSOCIATE)
    with suppress(ConnectionError):  # A server that has enough of them says no.
        assert await reader.read(1) in (b"\2", b"\3", b"")
        writer.write(_ABORT)
    writer.close()


async def _asked(to: Ports) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", to.https, ssl=to.trusting, server_hostname="localhost"
    )
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.transport.abort()


async def _many(count: int, ways: list[Callable[[], Awaitable[None]]]) -> None:
    left = iter(range(count))

    async def one_after_the_other() -> None:
        for number in left:
            await ways[number % len(ways)]()

    await asyncio.gather(*(one_after_the_other() for _ in range(_AT_ONCE)))


async def come_and_go(to: Ports, count: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Memory and descriptors after some, and after all of so many connections; both must be about the same."""
    ways = [
        lambda: _bare(to.devices),
        lambda: _associated(to.devices),
        lambda: _bare(to.https),
        lambda: _asked(to),
    ]
    await _many(_WARM, ways)
    await asyncio.sleep(0)
    before = to.figures
    await _many(count - _WARM, ways)
    await until(lambda: to.figures[1] <= before[1] + _MOST_DESCRIPTORS)
    after = to.figures
    assert after[0] - before[0] < _MOST_MEMORY, (before, after)
    return before, after


async def _main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="mdm-connects-") as folder:
        async with ports(Path(folder)) as to:
            (memory, open_then), (later, open_now) = await come_and_go(to, count)
    print(
        f"{count} connections: memory {memory / 2**20:.1f} → {later / 2**20:.1f} MiB,"
        f" descriptors {open_then} → {open_now}"
    )


def main(count: Annotated[int, typer.Option(help="Connections in all.")] = 100_000) -> None:
    """Connect and close, on the port for devices and on that of HTTPS, half of them without a word.

    Example: python -m tests.siege.connects --count 100000
    """
    asyncio.run(_main(count))


if __name__ == "__main__":
    typer.run(main)
