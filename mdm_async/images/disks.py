"""The disks that a node writes to, looked at each second: whoever runs it is told when one is full, and while the
catalog's is, nothing is taken in, so that there is room to serve and to delete."""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import structlog

from mdm_async.errors import DatabaseFull, MdmError
from mdm_async.images.metrics import DISK_FREE, DISK_FULL
from mdm_async.limits import Near
from mdm_async.postgres.embedded.ballast import Ballast
from mdm_async.postgres.lanes import Lanes
from mdm_async.settings import Settings

_LOOK: Final = 1.0
_PROBE: Final = 5.0
"""Seconds between two questions to a Postgres that has said that its disk is full."""
BLOBS: Final = "blobs"
DATABASE: Final = "database"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Disk:
    """`reserve` bytes of it are to stay free, as this setting says."""

    name: str
    directory: Path
    reserve: int
    setting: str


@dataclass(frozen=True, slots=True)
class Room:
    """How a disk stands, in bytes."""

    disk: Disk
    size: int
    free: int

    @property
    def full(self) -> bool:
        return self.free <= self.disk.reserve

    def __str__(self) -> str:
        mebibytes = f"{self.free >> 20} MiB are free and {self.disk.reserve >> 20} MiB are to stay so"
        return f"disk full ({self.disk.name}): {mebibytes} ({self.disk.setting})"


class Disks:
    """Of one node. `ballast`: what is kept for the day on which the embedded Postgres's disk is full."""

    def __init__(
        self, watched: Sequence[Disk], lanes: Lanes, pool: ThreadPoolExecutor, ballast: Ballast | None
    ) -> None:
        self._watched, self._lanes, self._pool, self._ballast = watched, lanes, pool, ballast
        self._probed = float("-inf")
        self._said = False
        """Postgres has said that its disk is full, and not yet shown that it is no more."""
        self.rooms: list[Room] = []
        self.full: dict[str, str] = {}
        """By name, why."""

    @classmethod
    def of(cls, settings: Settings, lanes: Lanes, pool: ThreadPoolExecutor, ballast: Ballast | None) -> Self:
        """That of the blobs' directory, where they lie in one, and the embedded Postgres's. `ballast`:
        the latter's, if this process keeps it."""
        watched = []
        if settings.blobs.url is None:
            own = settings.blobs.reserve_free
            watched.append(Disk(BLOBS, settings.blobs_directory, own, "blobs.reserve_free"))
        if settings.database.dsn is None:
            own = settings.database.reserve_free
            watched.append(Disk(DATABASE, settings.database_directory, own, "database.reserve_free"))
        return cls(watched, lanes, pool, ballast)

    def reserve(self, directory: Path) -> int:
        """Bytes that are to stay free of the disk on which this directory lies, whoever else needs them."""
        here = _made(directory).stat().st_dev
        return max(disk.reserve for disk in self._watched if _made(disk.directory).stat().st_dev == here)

    def demand_room(self) -> None:
        """Return when the catalog may grow by what an upload writes there. Raises DatabaseFull."""
        if DATABASE in self.full:
            raise DatabaseFull(remedy="free space on its disk", retry_after=60)

    def near(self) -> Iterator[Near]:
        """How much of each disk is used, and what may be."""
        for room in self.rooms:
            yield Near(
                room.disk.setting, max(0, room.size - room.free), max(0, room.size - room.disk.reserve)
            )

    async def watch(self) -> None:
        """For ever; what cannot be looked at now is looked at again."""
        while True:
            try:
                await self.look()
            except (MdmError, OSError) as why:
                _log.warning("the disks cannot be looked at", kind=type(why).__name__)
            await asyncio.sleep(_LOOK)

    async def look(self) -> None:
        self.rooms = await asyncio.get_running_loop().run_in_executor(self._pool, self._look)
        full = {room.disk.name: str(room) for room in self.rooms if room.full}
        await self._ask_postgres()
        if self._said:
            full.setdefault(DATABASE, "disk full (database): Postgres says so")
        for name in full.keys() - self.full.keys():
            _log.error("disk full", disk=name, reason=full[name])
        for name in self.full.keys() - full.keys():
            _log.info("disk has room again", disk=name)
        self.full = full
        for room in self.rooms:
            DISK_FREE.labels(room.disk.name).set(room.free)
        for name in {DATABASE, *(disk.name for disk in self._watched)}:
            DISK_FULL.labels(name).set(name in full)

    def _look(self) -> list[Room]:
        if self._ballast is not None:
            self._ballast.trim()
        found = []
        for disk in self._watched:
            stat = os.statvfs(_made(disk.directory))
            found.append(Room(disk, stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize))
        return found

    async def _ask_postgres(self) -> None:
        """One elsewhere is believed until it can write again: it has no other way to tell."""
        if not self._said and self._lanes.full_at <= self._probed:
            return
        self._said = True
        if time.monotonic() - self._probed < _PROBE:
            return
        self._probed = time.monotonic()
        try:
            await self._lanes.control.demand_room()
        except DatabaseFull:
            return
        self._said = False


def _made(directory: Path) -> Path:
    """It, or the nearest above it while it has not been made."""
    return next(place for place in (directory.absolute(), *directory.absolute().parents) if place.exists())
