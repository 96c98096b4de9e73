"""Names as callers give them: text or a path, one or many; and what became of many.

A single name is never iterated: the letters of "/demo/x" are no names.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeAlias, TypeGuard, TypeVar

from mdm_async.errors import MdmError, WrongContent

T = TypeVar("T")

Name: TypeAlias = str | os.PathLike[str]
"""A path on the server (`/vo/study/a.dcm`, `guid:…`), as text, as a PurePosixPath or as an `Entry`."""
Names: TypeAlias = Name | Iterable[Name]
"""One, or many."""
LocalPath: TypeAlias = str | os.PathLike[str]
"""A file or folder of this machine."""


def name_of(name: Name) -> str:
    """As text. TypeError for what is none, such as bytes."""
    text = os.fspath(name)
    if not isinstance(text, str):
        raise TypeError("names on the server are text, not bytes")
    return text


def is_one(names: Names) -> TypeGuard[Name]:
    """Whether a single name was given; a list of one is many."""
    return isinstance(names, str | os.PathLike)


def names_of(names: Names) -> list[str]:
    """As texts, each once, in the order given."""
    if isinstance(names, str | os.PathLike):
        return [name_of(names)]
    return list(dict.fromkeys(map(name_of, names)))


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of one of many: a result, or an error."""

    name: str
    result: T | None
    error: MdmError | None = None


class SomeFailed(ExceptionGroup[MdmError]):
    """Of the many names that were given, some failed; what could be done for the others was done.

    `outcomes` tells of all of them in order. As of any group, `except*` takes it apart by kinds.
    """

    outcomes: Sequence[Outcome[Any]]

    def __new__(cls, outcomes: Sequence[Outcome[Any]]) -> Self:
        failures = [(outcome.name, outcome.error) for outcome in outcomes if outcome.error is not None]
        for name, error in failures:
            error.add_note(name)
        made = super().__new__(
            cls, f"{len(failures)} of {len(outcomes)} failed", [each for _, each in failures]
        )
        made.outcomes = tuple(outcomes)
        return made

    def derive(self, errors: Sequence[MdmError]) -> ExceptionGroup[MdmError]:  # type: ignore[override]
        return ExceptionGroup(self.message, errors)


def settle(asked: Names, outcomes: Sequence[Outcome[T]]) -> dict[str, T]:
    """The results by name. Of one name asked for its own error is raised; of many, SomeFailed if any failed.

    Of a tree nobody named each file: `asked` is empty then.
    """
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if is_one(asked):
        if failed:
            failed[0].add_note(name_of(asked))
            raise failed[0]
        if len(outcomes) != 1:
            raise WrongContent("the server did not answer for the name that was asked for")
    if failed:
        raise SomeFailed(outcomes)
    return {outcome.name: outcome.result for outcome in outcomes}  # type: ignore[misc]
