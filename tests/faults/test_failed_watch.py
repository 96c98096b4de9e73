"""What runs beside the server: when it fails, somebody is told, and the node stops."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Never

import pytest
import structlog.testing

from mdm_async.app import running
from mdm_async.auditing.reads import Reads
from mdm_async.auditing.refusals import Refusals
from mdm_async.auditing.sealing import Sealer
from mdm_async.identity.certificates import Trust
from mdm_async.identity.mapping import Mapping
from mdm_async.images.disks import Disks
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.transfers.watch import TurlWatch
from mdm_async.images.upkeep.sweep import Sweeper
from mdm_async.settings import load
from mdm_async.watches import Watches
from mdm_async.web.http.accepting import Accepting
from mdm_async.web.http.certificate import Certificate
from mdm_async.web.http.connections import Connections
from tests.identity.grid_pki import new_grid
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests


async def test_a_watch_that_fails_is_told_of_and_one_that_is_stopped_is_not() -> None:
    async def watch_of_a_name(patient: str) -> None:
        raise LookupError(patient)

    watches = Watches()
    with structlog.testing.capture_logs() as logged:
        async with watches.running() as beside:
            beside(asyncio.sleep(3600))
            beside(watch_of_a_name("Doe^John"))
            await asyncio.wait_for(watches.failed.wait(), PATIENCE)
    [line] = logged
    assert line["log_level"] == "error"
    assert line["kind"] == "LookupError"
    assert "watch_of_a_name" in line["job"]
    assert "Doe" not in str(line)


async def _die(*_: object) -> Never:
    raise LookupError("Doe^John")


WATCHES = [
    (TurlWatch, "watch"),
    (TurlWatch, "_end_unwatched"),
    (Trust, "watch"),
    (Mapping, "watch"),
    (Certificate, "watch"),
    (Sealer, "run_forever"),
    (Reads, "write_forever"),
    (Refusals, "write_forever"),
    (Sweeper, "forever"),
    (ServedViews, "watch"),
    (Disks, "watch"),
    (Connections, "watch"),
    (Accepting, "_accept"),
]


@pytest.mark.parametrize(("whose", "what"), WATCHES, ids=lambda one: getattr(one, "__name__", one))
async def test_each_watch_that_dies_is_one_without_which_the_node_does_not_go_on(
    postgres: PostgresForTests,
    migrated: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whose: type,
    what: str,
) -> None:
    grid = new_grid(tmp_path)
    host = grid.host.write(tmp_path / "host.pem")
    settings = {
        "data": tmp_path / "data",
        "server": {"port": 0, "tls_port": 0, "tls_cert": host, "tls_key": host},
        "database": {"dsn": await postgres.fresh_database(migrated)},
        "identity": {"ca_directory": grid.authorities},
        "blobs": {"reserve_free": 0},
    }
    monkeypatch.setattr(whose, what, _die)
    watches = Watches()
    async with running(load(overrides=settings), watches):
        await asyncio.wait_for(watches.failed.wait(), PATIENCE)


_DIES_LATER = """
import asyncio
from mdm_async.images.transfers.watch import TurlWatch

async def die(self):
    await asyncio.sleep(0.5)
    raise LookupError("Doe^John")

TurlWatch.watch = die
from mdm_async.cli.main import run
run()
"""


async def test_a_node_whose_watch_dies_ends_with_a_failure_and_says_why(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    settings = {
        "MDM_DATABASE__DSN": await postgres.fresh_database(migrated),
        "MDM_SERVER__DRAIN_SECONDS": "600",
        "MDM_LOG__FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _DIES_LATER, "serve", "--data", str(tmp_path / "data"), "--port", "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | settings,
    )
    try:
        told = (await asyncio.wait_for(process.communicate(), PATIENCE))[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 1, told
    assert "mdm: ready at" in told
    assert "what runs beside the server failed; this node stops" in told
    assert "it must not run without" in told
    assert "Doe" not in told
