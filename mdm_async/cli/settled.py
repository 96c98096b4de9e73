"""What became of many names, whether or not some failed."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from mdm_async.cli.connection import complete
from mdm_async.client.one_or_many import Outcome, SomeFailed

T = TypeVar("T")


def settled(work: Coroutine[Any, Any, dict[str, T]]) -> list[Outcome[T]]:
    """Run it to the end; the outcome of each name, in the order given."""
    try:
        return [Outcome(name, result) for name, result in complete(work).items()]
    except SomeFailed as some:
        return list(some.outcomes)
