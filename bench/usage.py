"""What a process uses: resident memory and CPU time, its children apart. From /proc, so Linux only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_SAMPLE = 0.005


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds, user and system."""

    server: float
    """Of the process itself."""
    workers: float
    """Of its children that are not Postgres: those that scrub large heads."""
    postgres: float

    def __sub__(self, before: "Cpu") -> "Cpu":
        return Cpu(
            self.server - before.server, self.workers - before.workers, self.postgres - before.postgres
        )


@dataclass(slots=True)
class Growth:
    """Bytes of resident memory: before, the most meanwhile, after."""

    before: int
    peak: int = 0
    """As the kernel remembers it (VmHWM)."""
    sampled: int = 0
    """The largest that was seen."""
    after: int = 0

    @property
    def added(self) -> int:
        return max(self.peak, self.sampled) - self.before


class Meter:
    """Reads one process and those below it."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._folder = Path("/proc") / str(pid)

    def resident(self) -> int:
        return self._status("VmRSS")

    def cpu(self) -> Cpu:
        own = self._process.cpu_times()
        workers = postgres = 0.0
        for child in self._process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                # With what its own children used that have ended: a Postgres has a backend for each connection.
                used = times.user + times.system + times.children_user + times.children_system
                if child.name().startswith("postgres"):
                    postgres += used
                else:
                    workers += used
        return Cpu(own.user + own.system, workers, postgres)

    @asynccontextmanager
    async def growth(self) -> AsyncIterator[Growth]:
        """Measures the memory that the body's work adds."""
        (self._folder / "clear_refs").write_text("5")  # The remembered peak begins anew.
        growth = Growth(self.resident())
        sampling = asyncio.create_task(self._sample(growth))
        try:
            yield growth
        finally:
            sampling.cancel()
            growth.peak, growth.after = self._status("VmHWM"), self.resident()

    async def _sample(self, growth: Growth) -> None:
        while True:
            growth.sampled = max(growth.sampled, self.resident())
            await asyncio.sleep(_SAMPLE)

    def _status(self, name: str) -> int:
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) << 10
        raise ProcessLookupError(name)
