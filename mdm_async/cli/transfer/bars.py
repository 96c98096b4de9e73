"""Transfers as bars on a terminal."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from mdm_async.cli.output import plain
from mdm_async.client.side_by_side import Gauge
from mdm_async.errors import MdmError


class BarMeter:
    """One bar for all files, and one for each that runs."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self.overall = self.progress.add_task("all", total=0)
        self._begun = self._ended = self._bytes = 0

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def begin(self, name: str, size: int | None) -> Gauge:
        self._begun += 1
        self._bytes += size or 0
        self._show()
        return _BarGauge(self, self.progress.add_task(plain(name[-40:]), total=size))

    def one_ended(self) -> None:
        """A file is through, well or not."""
        self._ended += 1
        self._show()

    def _show(self) -> None:
        files = f"{self._ended}/{self._begun} files"
        self.progress.update(self.overall, description=files, total=self._bytes)


@dataclass(frozen=True, slots=True)
class _BarGauge:
    """The bar of one file; it goes when the file is through."""

    meter: BarMeter
    task: TaskID

    def __call__(self, count: int, /) -> None:
        self.meter.progress.advance(self.task, count)
        self.meter.progress.advance(self.meter.overall, count)

    def end(self, error: MdmError | None) -> None:
        self.meter.progress.remove_task(self.task)
        self.meter.one_ended()
