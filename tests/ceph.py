"""Ceph as Debian ships it: a monitor, a store in memory and an S3 gateway, on ports of its own."""

import asyncio
import os
import secrets
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import CI

_PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_START_SECONDS = 120
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_CONFIG = """[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon}/0
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms bind port min = {low}
ms bind port max = {high}
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
run dir = {folder}
admin socket =
pid file =
crash dir = {folder}
log file = {folder}/$name.log
log to stderr = false
mon cluster log file = {folder}/cluster.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
rgw rados pool pg num min = 4
[mon]
mon data = {folder}/mon
mon allow pool size one = true
mon max pg per osd = 2000
mon data avail crit = 1
mon data avail warn = 2
paxos propose interval = 0.05
paxos min wait = 0.02
[osd]
osd data = {folder}/osd
osd objectstore = memstore
# How long a gateway that was killed is still waited for.
osd client watch timeout = 2
osd default notify timeout = 2
memstore device bytes = {memory}
[client.rgw]
log file = {folder}/rgw.log
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{rgw} tcp_nodelay=1
rgw thread pool size = 64
rgw override bucket index max shards = 1
rgw dynamic resharding = false
rgw gc obj min wait = 1
rgw gc processor period = 1
"""


def demand_ceph() -> None:
    """A test that lacks it is skipped, and fails where everything must be there."""
    if all(shutil.which(program, path=_PATH) for program in _PROGRAMS):
        return
    missing = "Ceph with its S3 gateway (tests/install-peers ceph)"
    if CI:
        pytest.fail(f"missing: {missing}")
    pytest.skip(f"PEERS MISSING: {missing}")


class Ceph:
    """One whose gateway can be killed, frozen and started again; what is stored stays."""

    access_key = "tester"

    def __init__(self, folder: Path) -> None:
        demand_ceph()
        self._folder = folder
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self.secret_key = secrets.token_hex(16)
        self.port = _free_port()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, Any]:
        """The section [s3]."""
        return {"endpoint": self.endpoint, "access_key": self.access_key, "secret_key": self.secret_key}

    async def start(self) -> None:
        mon, low = _free_port(), _free_ports(8)
        facts = {"fsid": uuid4(), "mon": mon, "low": low, "high": low + 7, "rgw": self.port}
        for name in ("mon", "osd", "rgw"):
            (self._folder / name).mkdir()
        self._config.write_text(_CONFIG.format(folder=self._folder, memory=4 << 30, **facts))
        map_, osd = self._folder / "monmap", str(uuid4())
        at = f"[v2:127.0.0.1:{mon}/0]"
        await self._do("monmaptool", "--create", "--fsid", str(facts["fsid"]), "--addv", "a", at, str(map_))
        await self._do("ceph-mon", *self._c, "-i", "a", "--mkfs", "--monmap", str(map_))
        await self._spawn("mon", "ceph-mon", *self._c, "-i", "a", "-f")
        await self._do("ceph", *self._c, "--connect-timeout", "60", "osd", "new", osd, "0")
        await self._do("ceph-osd", *self._c, "-i", "0", "--mkfs", "--osd-uuid", osd)
        await self._spawn("osd", "ceph-osd", *self._c, "-i", "0", "-f")
        await self.user(self.access_key, self.secret_key)
        await self.start_gateway()

    async def user(self, access_key: str, secret_key: str, *more: str) -> None:
        """Somebody else who may have buckets."""
        made = ("--uid", access_key, "--display-name", access_key, "--access-key", access_key)
        await self.admin("user", "create", *made, "--secret-key", secret_key, *more)

    async def admin(self, *words: str) -> None:
        await self._do("radosgw-admin", *self._c, "-n", "client.rgw", *words)

    async def start_gateway(self) -> None:
        await self._spawn("rgw", "radosgw", *self._c, "-n", "client.rgw", "-f")
        await asyncio.wait_for(self._listening(), _START_SECONDS)

    async def kill_gateway(self) -> None:
        await self._kill("rgw")

    def freeze_gateway(self) -> None:
        self._running["rgw"].send_signal(signal.SIGSTOP)

    def thaw_gateway(self) -> None:
        self._running["rgw"].send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        for name in list(self._running):
            await self._kill(name)

    @property
    def _config(self) -> Path:
        return self._folder / "ceph.conf"

    @property
    def _c(self) -> tuple[str, str]:
        return "-c", str(self._config)

    async def _do(self, *command: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *command, env=_environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), _START_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        assert process.returncode == 0, said.decode(errors="replace")[-2000:]

    async def _spawn(self, name: str, *command: str) -> None:
        with (self._folder / f"{name}.out").open("ab") as log:
            self._running[name] = await asyncio.create_subprocess_exec(
                *command, env=_environment(), stdout=log, stderr=log, start_new_session=True
            )

    async def _kill(self, name: str) -> None:
        process = self._running.pop(name)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _listening(self) -> None:
        while True:
            assert self._running["rgw"].returncode is None, "the gateway ended while it started"
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.1)


@asynccontextmanager
async def running_ceph(folder: Path) -> AsyncIterator[Ceph]:
    """Ended at the end."""
    ceph = Ceph(folder)
    try:
        await ceph.start()
        yield ceph
    finally:
        await ceph.stop()


def _environment() -> dict[str, str]:
    return {"PATH": _PATH, "LC_ALL": "C", "HOME": os.environ.get("HOME", "/")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free_ports(count: int) -> int:
    """The first of so many in a row, below those that the system gives out."""
    for first in range(20_000 + os.getpid() % 1000 * 10, 32_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports")
