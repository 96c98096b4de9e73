"""How transfers go, as a command shows it, and what is done when somebody interrupts them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdm_async.cli.exit_codes import Interrupted
from mdm_async.cli.output import complain, stderr_console
from mdm_async.client.side_by_side import Gauge, Meter
from mdm_async.errors import MdmError

if TYPE_CHECKING:
    from rich.console import Console

    from mdm_async.cli.transfer.bars import BarMeter


class Tally:
    """Counts the files that are through, and says what failed: at once, for a line that scrolls by is better than none.

    `shown`: bars on a terminal, which then show the rest.
    """

    def __init__(self, shown: "BarMeter | None" = None) -> None:
        self.begun = self.done = 0
        self._shown = shown

    def begin(self, name: str, size: int | None) -> Gauge:
        self.begun += 1
        return _Tallied(self, name, self._shown.begin(name, size) if self._shown else None)


@dataclass(frozen=True, slots=True)
class _Tallied:
    tally: Tally
    name: str
    shown: Gauge | None

    def __call__(self, count: int, /) -> None:
        if self.shown is not None:
            self.shown(count)

    def end(self, error: MdmError | None) -> None:
        if self.shown is not None:
            self.shown.end(error)
        if error is None:
            self.tally.done += 1
        else:
            complain(error, self.name)


@contextmanager
def metered(others: str, go_on: str, console: "Console | None" = None) -> Iterator[Meter]:
    """Bars on a terminal, plain lines elsewhere; Ctrl-C tells how far it came, and how to go on."""
    console = console or stderr_console()
    tally = Tally()
    running: AbstractContextManager[object] = nullcontext()
    if console.is_terminal:
        from mdm_async.cli.transfer.bars import BarMeter

        running = bars = BarMeter(console)
        tally = Tally(bars)
    try:
        with running:
            yield tally
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; {tally.done} of {tally.begun} files begun are done, {others}", remedy=go_on
        ) from None
