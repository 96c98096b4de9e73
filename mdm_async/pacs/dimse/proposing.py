"""What this side asks for in an A-ASSOCIATE-RQ, and what it is given (PS3.8 §9.3.2 to §9.3.4, Annex D). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.filemeta import uid_text
from mdm_async.pacs.dimse.association_items import (
    ABSTRACT_ITEM,
    ANSWERED_ITEM,
    APPLICATION,
    APPLICATION_ITEM,
    FIXED,
    LONGEST_ITEM,
    MOST_CONTEXTS,
    OFFERED_ITEM,
    ROLES_ITEM,
    SYNTAX_ITEM,
    USER_ITEM,
    garbled,
    item,
    items,
    longest_of,
    user_items,
)
from mdm_async.pacs.dimse.pdus import HEADER, Kind, Rejection

_VERSION: Final = 1
_TITLE: Final = 16


@dataclass(frozen=True, slots=True)
class Proposed:
    """A presentation context. `scp`: in it the peer asks, and this side serves (PS3.7 §D.3.3.4)."""

    abstract: str
    syntaxes: tuple[str, ...]
    scp: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """A presentation context that both sides have agreed on. `scp`: this side serves in it."""

    id: int
    abstract: str
    syntax: str
    scp: bool


@dataclass(frozen=True, slots=True)
class Agreed:
    """What an A-ASSOCIATE-AC gives; `longest`: bytes of a PDU's variable field that the peer takes; 0: any."""

    contexts: tuple[Context, ...]
    longest: int


def request(called: str, calling: str, proposed: Sequence[Proposed], longest: int) -> bytes:
    """The A-ASSOCIATE-RQ. Titles have at most 16 characters of ASCII; there are 128 contexts at most."""
    assert 0 < len(proposed) <= MOST_CONTEXTS
    told = [item(APPLICATION_ITEM, APPLICATION.encode())]
    for number, one in enumerate(proposed):
        syntaxes = b"".join(item(SYNTAX_ITEM, syntax.encode()) for syntax in one.syntaxes)
        head = bytes((_id(number), 0, 0, 0))
        told.append(item(OFFERED_ITEM, head + item(ABSTRACT_ITEM, one.abstract.encode()) + syntaxes))
    # One for each class, however many contexts it has.
    roles = {one.abstract: item(ROLES_ITEM, _roles(one.abstract)) for one in proposed if one.scp}
    told.append(user_items(longest, b"".join(roles.values())))
    titles = [title.encode("ascii").ljust(_TITLE) for title in (called, calling)]
    variable = FIXED.pack(_VERSION, 0, *titles, bytes(32)) + b"".join(told)
    return HEADER.pack(Kind.ASSOCIATE_RQ, len(variable)) + variable


def parse_accept(body: bytes, proposed: Sequence[Proposed]) -> Agreed:
    """Of an A-ASSOCIATE-AC's variable field, what of it was proposed. Raises Broken."""
    if len(body) < FIXED.size:
        raise garbled()
    syntaxes: dict[int, str] = {}
    serves: set[str] = set()
    longest = 0
    for kind, value in items(body[FIXED.size :]):
        if kind == ANSWERED_ITEM:
            _take_answer(value, syntaxes)
        elif kind == USER_ITEM:
            for inner, told in items(value):
                if inner == LONGEST_ITEM:
                    longest = longest_of(told)
                elif inner == ROLES_ITEM and (served := _served(told)):
                    serves.add(served)
    contexts = []
    for number, one in enumerate(proposed):
        syntax = syntaxes.pop(_id(number), None)
        if syntax is None:
            continue
        if syntax not in one.syntaxes:
            raise garbled()
        # A peer that does not agree to the role takes this side for one that asks.
        if not one.scp or one.abstract in serves:
            contexts.append(Context(_id(number), one.abstract, syntax, one.scp))
    if syntaxes:
        raise garbled()
    return Agreed(tuple(contexts), longest)


def parse_rejection(body: bytes) -> Rejection:
    """Of an A-ASSOCIATE-RJ's variable field. Raises Broken."""
    if len(body) != 4:
        raise garbled()
    return Rejection(*body[1:])


def _take_answer(value: bytes, syntaxes: dict[int, str]) -> None:
    """The transfer syntax of an accepted context, by its id."""
    if len(value) < 4 or value[0] in syntaxes:
        raise garbled()
    if value[2] == 0:
        syntaxes[value[0]] = next(
            (uid_text(told) for kind, told in items(value[4:]) if kind == SYNTAX_ITEM), ""
        )


def _roles(abstract: str) -> bytes:
    return len(abstract).to_bytes(2) + abstract.encode() + b"\0\1"


def _served(told: bytes) -> str:
    """The class that this side may serve by an item of roles; "" when it may not."""
    end = 2 + int.from_bytes(told[:2])
    if len(told) != end + 2:
        raise garbled()
    return uid_text(told[2:end]) if told[end + 1] else ""


def _id(number: int) -> int:
    return 2 * number + 1
