"""Debian's nginx with two workers, for comparison: the same bytes as a plain file, by sendfile."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.load import request_head
from bench.orthanc import free_port
from bench.plan import Exchange
from bench.usage import Meter

NAME = "nginx"
_START_SECONDS = 10
_CONFIG = """
{user}
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/nginx-files; }}
}}
"""


def executable() -> str | None:
    """Where nginx is; None when it is not installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx."""

    port: int
    files: Path
    meter: Meter

    def get(self, name: str, content: bytes, adler32: int) -> Exchange:
        """A file of its own; the request for it."""
        (self.files / name).write_bytes(content)
        return Exchange(
            "nginx", request_head("GET", f"/{name}", "127.0.0.1"), None, len(content), None, adler32
        )


@asynccontextmanager
async def running_nginx(folder: Path) -> AsyncIterator[Nginx]:
    """On the loopback, its files below `folder`; ended at the end."""
    program = executable()
    if program is None:
        raise FileNotFoundError("nginx is not installed (Debian: apt install nginx)")
    port, files = free_port(), folder / "nginx-files"
    files.mkdir()
    config = folder / "nginx.conf"
    # Where root starts it, its workers would be a user who may not read the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(_CONFIG.format(folder=folder, port=port, user=user))
    process = await asyncio.create_subprocess_exec(program, "-c", str(config), start_new_session=True)
    try:
        async with asyncio.timeout(_START_SECONDS):
            await _listening(process, port)
        yield Nginx(port, files, Meter(process.pid))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    while process.returncode is None:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise RuntimeError("nginx ended while it started")
