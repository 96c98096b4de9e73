"""What a worker answers, written so that reading it runs nothing: a worker may have been taken over by what it read.

A tree of JSON, in which large byte strings are left out and follow one by one. Of objects it holds the names of classes
of the DICOM room and their fields; they are made without calling anything of theirs but a profile's own constructor.
Pickle would let whoever writes it run code in the server.
"""

import enum
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import orjson

from mdm_async.errors import MdmError, ScrubRefused

_ROOM: Final = "mdm_async.dicom."
_APART: Final = 1 << 12
"""Bytes from which on a byte string follows by itself."""
_TREE: Final = 64 << 20
"""Bytes of JSON at the most."""
_REASON: Final = 2000
"""Characters of a reason at the most."""
_PLAIN: Final = frozenset({str, bool, int, float, type(None)})
_COLLECTIONS: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "t": tuple,
    "l": list,
    "s": set,
    "f": frozenset,
}


class Unreadable(Exception):
    """A worker has answered what no worker of ours would."""


class Mistake(Exception):
    """An error of ours at a job: the name of its type, for its words could quote the file."""


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """`kind`: done, refused, quarantined, malformed or mistake; with `value`, or the reason."""

    kind: str
    value: Any


def of(job: Any) -> Answer:
    """Raises MemoryError only."""
    try:
        return Answer("done", job.run())
    except ScrubRefused as refusal:
        return Answer("quarantined" if refusal.quarantined else "refused", str(refusal))
    except MdmError as broken:
        return Answer("malformed", broken.detail)
    except MemoryError:
        raise
    except Exception as mistake:
        return Answer("mistake", type(mistake).__name__)


def send(pipe: Connection, answer: Answer, job: Any) -> None:
    """What of the answer is a field of the job itself is only named."""
    given = {id(getattr(job, each.name)): each.name for each in fields(job)}
    apart: list[bytes] = []
    try:
        tree = orjson.dumps([answer.kind, _tree(answer.value, given, apart)])
    except Unreadable as mistake:
        tree, apart = orjson.dumps(["mistake", str(mistake)]), []
    pipe.send_bytes(tree)
    for one in apart:
        pipe.send_bytes(one)


def receive(pipe: Connection, job: Any, most: int) -> Answer:
    """`most`: bytes of byte strings. Raises Unreadable; EOFError or OSError when the worker ends."""
    try:
        match orjson.loads(_message(pipe, _TREE)):
            case ["done", tree]:
                return Answer("done", _Reading(pipe, job, most).value(tree))
            case [("refused" | "quarantined" | "malformed" | "mistake") as kind, str(reason)]:
                return Answer(kind, reason[:_REASON])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as why:
        raise Unreadable(type(why).__name__) from None
    raise Unreadable("no answer")


def _message(pipe: Connection, most: int) -> bytes:
    try:
        return pipe.recv_bytes(most)
    except EOFError:
        raise
    except OSError as why:
        if why.errno is None:  # it announced more than that
            raise Unreadable("too long") from None
        raise


def _tree(value: Any, given: dict[int, str], apart: list[bytes]) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if (name := given.get(id(value))) is not None:
        return ["j", name]
    if kind is bytes:
        if len(value) < _APART:
            return ["b", value.decode("latin-1")]
        apart.append(value)
        return ["a", len(value)]
    if kind is tuple and _is_plain(value):
        return ["p", value]
    for tag, collection in _COLLECTIONS.items():
        if kind is collection:
            return [tag, *(_tree(one, given, apart) for one in value)]
    if kind is dict:
        pairs = value.items()
        return ["d", *([_tree(key, given, apart), _tree(one, given, apart)] for key, one in pairs)]
    name = f"{kind.__module__}:{kind.__qualname__}"
    if not name.startswith(_ROOM):
        raise Unreadable(name)
    if isinstance(value, enum.Enum):
        return ["e", name, value.name]
    if isinstance(value, tuple):
        return ["n", name, *(_tree(one, given, apart) for one in value)]
    if is_dataclass(value):
        names = [each.name for each in fields(value) if each.init]
        return ["o", name, *(_tree(getattr(value, one), given, apart) for one in names)]
    if "__reduce__" in vars(kind):  # there is one of each, and this tells its name
        return ["c", name, value.__reduce__()]
    return ["v", name, *([key, _tree(one, given, apart)] for key, one in vars(value).items())]


def _is_plain(value: tuple[Any, ...]) -> bool:
    """Whether it holds nothing but what JSON has, and tuples."""
    return all(type(one) in _PLAIN or (type(one) is tuple and _is_plain(one)) for one in value)


def _tuples(tree: list[Any]) -> tuple[Any, ...]:
    return tuple([_tuples(one) if type(one) is list else one for one in tree])


class _Reading:
    """A tree made into what it stands for, with the byte strings that follow it."""

    def __init__(self, pipe: Connection, job: Any, most: int) -> None:
        self._pipe, self._job, self._left = pipe, job, most

    def value(self, tree: Any) -> Any:
        if not isinstance(tree, list):
            return tree
        tag, *rest = tree
        match tag:
            case "b":
                return rest[0].encode("latin-1")
            case "p":
                return _tuples(rest[0])
            case "a":
                return self._apart(rest[0])
            case "j":
                return {each.name: getattr(self._job, each.name) for each in fields(self._job)}[rest[0]]
            case "d":
                return {self.value(key): self.value(one) for key, one in rest}
            case "e":
                return _named(rest[0], enum.Enum)[rest[1]]
            case "c":
                return _constant(*rest)
            case "n":
                return _named(rest[0], tuple)._make(map(self.value, rest[1:]))
            case "o":
                return self._object(*rest)
            case "v":
                found = object.__new__(_named(rest[0], object))
                vars(found).update((str(key), self.value(one)) for key, one in rest[1:])
                return found
        return _COLLECTIONS[tag]([self.value(one) for one in rest])

    def _apart(self, announced: int) -> bytes:
        if not 0 <= announced <= self._left:
            raise Unreadable("too long")
        self._left -= announced
        found = _message(self._pipe, announced)
        if len(found) != announced:
            raise Unreadable("another length")
        return found

    def _object(self, name: str, *values: Any) -> Any:
        kind = _named(name, object)
        names = [each.name for each in fields(kind) if each.init]
        given = [self.value(one) for one in values]
        if any(not each.init for each in fields(kind)):
            return kind.built(*given)
        found = object.__new__(kind)
        for field, value in zip(names, given, strict=True):
            object.__setattr__(found, field, value)
        return found


def _constant(name: str, which: str) -> Any:
    """One of the constants of a class, beside it. Raises KeyError."""
    kind = _named(name, object)
    found = vars(sys.modules[kind.__module__])[which]
    if type(found) is not kind:
        raise KeyError(which)
    return found


def _named(name: str, base: type) -> Any:
    """A class of the DICOM room, by its name. Raises KeyError."""
    module, _, qualified = name.partition(":")
    if not module.startswith(_ROOM):
        raise KeyError(name)
    found = vars(sys.modules[module])[qualified]
    if not (isinstance(found, type) and issubclass(found, base) and found.__module__ == module):
        raise KeyError(name)
    return found
