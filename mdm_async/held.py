"""Whether a connection is held here: nothing slow may be waited for then, or a few who wait keep everybody out.

Slow is what others decide: another connection, the key store, a job on a pool, a scrubber.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_open: ContextVar[list[bool] | None] = ContextVar("held", default=None)
"""A cell, for tasks begun meanwhile inherit it, and it is emptied when the connection is given back."""

on_waiting: Callable[[str], None] | None = None
"""Told when something slow is waited for while a connection is held; tests set it, and fail."""


@contextmanager
def holding() -> Iterator[None]:
    cell, outer = [True], _open.get()
    _open.set(cell)
    try:
        yield
    finally:
        cell[0] = False
        _open.set(outer)


def may_wait(what: str) -> None:
    """Call it before waiting for something slow."""
    if on_waiting is not None and (cell := _open.get()) is not None and cell[0]:
        on_waiting(what)
