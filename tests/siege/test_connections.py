"""Connections that wait for nothing, or for ever, keep nobody out, and what they held is given back."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from tests.faults.conditions import blob_files, until
from tests.faults.serving import Serve
from tests.postgres.for_tests import PostgresForTests
from tests.siege import attacks_connections as attacks
from tests.siege.attacks_connections import HALF_BODY, HALF_HEADER, IDLE, SILENT, flood, open_ones
from tests.siege.besieged import Besieged, besieged

ANY = pytest.mark.parametrize(
    "begun", [SILENT, HALF_HEADER, HALF_BODY, IDLE], ids=["silent", "half header", "half body", "idle"]
)
_SHORT = {"limits__head_seconds": "2", "limits__idle_seconds": "2", "limits__pace_seconds": "2"}


class _Narrow(Serve):
    """May have few descriptors, before it has opened any."""

    limits: ClassVar[tuple[int, int]]

    async def spawn(self, *, stderr: int | None) -> asyncio.subprocess.Process:
        process = await super().spawn(stderr=stderr)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, self.limits)
        return process


@asynccontextmanager
async def narrow(
    folder: Path, dsn: str, image: bytes, soft: int, hard: int, **settings: str
) -> AsyncIterator[Besieged]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Narrow, "limits", (soft, hard), raising=False)
        patch.setattr("tests.siege.besieged.Serve", _Narrow)
        async with besieged(folder / "data", dsn, image, log=folder / "log", **settings) as server:
            yield server


@pytest.fixture(scope="module")
async def hasty(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory, ct: bytes
) -> AsyncIterator[Besieged]:
    """A server with the usual soft limit of descriptors, whose waits are short."""
    dsn = await postgres.fresh_database(migrated)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with narrow(tmp_path_factory.mktemp("hasty"), dsn, ct, 1024, hard, **_SHORT) as server:
        yield server


@ANY
async def test_five_hundred_that_wait_are_cut_and_nobody_notices(hasty: Besieged, begun: bytes) -> None:
    """Before: all open after 560 s, and 500 of them reset every later client."""
    with flood(hasty, attacks.MANY, begun) as lines:
        async with hasty.neighbour.served_well():
            await until(lambda: open_ones(lines) == 0)


async def test_a_thousand_and_more_are_within_what_was_raised(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, ct: bytes
) -> None:
    """Before: at the usual soft limit of 1,024 descriptors everybody was locked out."""
    dsn = await postgres.fresh_database(migrated)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with narrow(tmp_path, dsn, ct, 1024, hard) as castle:
        with flood(castle, 1_200, SILENT):
            await until(lambda: castle.descriptors > 1_024)
            async with castle.neighbour.served_well():
                pass


async def test_a_low_hard_limit_is_said_and_keeps_nobody_out(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, ct: bytes
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with narrow(tmp_path, dsn, ct, 512, 512) as castle:
        assert "the hard limit of open files is too low" in (tmp_path / "log").read_text()
        with flood(castle, 600, SILENT) as lines:
            async with castle.neighbour.served_well():
                await until(lambda: open_ones(lines) < 200)
            assert castle.descriptors < 400


async def test_that_nobody_can_be_accepted_is_said(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, ct: bytes
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with narrow(tmp_path, dsn, ct, 4096, 4096) as castle:
        said = "connections cannot be accepted"
        assert said not in (tmp_path / "log").read_text()
        resource.prlimit(castle.pid, resource.RLIMIT_NOFILE, (16, 4096))
        with flood(castle, 20, HALF_BODY):
            await until(lambda: said in (tmp_path / "log").read_text())
            resource.prlimit(castle.pid, resource.RLIMIT_NOFILE, (4096, 4096))
            async with castle.neighbour.served_well():
                pass


async def test_stalled_uploads_are_cut_and_hold_nothing(hasty: Besieged) -> None:
    """Before: open for ever, their leases renewed."""
    async with hasty.neighbour.served_well():
        lines = await attacks.stalled(hasty, 20)
        await until(lambda: open_ones(lines) == 0)
        for line in lines:
            line.close()
    await until(lambda: len(blob_files(hasty.process.data)) == 0)


async def test_what_broken_uploads_held_is_given_back(hasty: Besieged) -> None:
    """Before: 89 → 1,914 MiB after 100 of them a round."""
    calm = hasty.resident
    await attacks.broken_uploads(hasty)
    await until(lambda: hasty.resident < 1.5 * calm)
