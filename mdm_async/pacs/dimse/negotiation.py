"""What a peer asks for in an A-ASSOCIATE-RQ, and what it gets (PS3.8 §9.3.2, §9.3.3, Annex D). Pure."""

from collections.abc import Container
from dataclasses import dataclass, field
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
    SYNTAX_ITEM,
    USER_ITEM,
    garbled,
    item,
    items,
    longest_of,
    user_items,
)
from mdm_async.pacs.dimse.pdus import HEADER, Kind

ACCEPTED, ABSTRACT_UNKNOWN, SYNTAXES_UNKNOWN = 0, 3, 4
"""Results of a presentation context (PS3.8 table 9-18)."""
_ANY_SYNTAX: Final = "1.2.840.10008.1.2"
"""Stands in the answer to a context that is not accepted, where it means nothing."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A presentation context: an abstract syntax in one of several transfer syntaxes."""

    id: int
    abstract: str
    syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a presentation context; `syntax` counts where it is accepted."""

    id: int
    result: int
    abstract: str
    syntax: str = _ANY_SYNTAX


@dataclass(frozen=True, slots=True)
class Titles:
    """The first bytes of an A-ASSOCIATE-RQ: enough to tell who calls whom."""

    version: int
    called: str
    calling: str


@dataclass(slots=True)
class Request:
    application: str = ""
    contexts: list[Offered] = field(default_factory=list)
    longest: int = 0
    """Bytes of a PDU's variable field that the peer takes; 0: any."""


def parse_titles(body: bytes) -> Titles:
    """Of a PDU's variable field. Raises Broken."""
    if len(body) < FIXED.size:
        raise garbled()
    version, _, called, calling, _ = FIXED.unpack_from(body)
    return Titles(version, _title(called), _title(calling))


def parse_request(body: bytes) -> Request:
    """Of a PDU's variable field. Raises Broken."""
    request = Request()
    for kind, value in items(body[FIXED.size :]):
        if kind == APPLICATION_ITEM:
            request.application = uid_text(value)
        elif kind == OFFERED_ITEM:
            request.contexts.append(_offered(value))
        elif kind == USER_ITEM:
            for inner, told in items(value):
                if inner == LONGEST_ITEM:
                    request.longest = longest_of(told)
    ids = [one.id for one in request.contexts]
    if not ids or len(ids) > MOST_CONTEXTS or len(set(ids)) < len(ids):
        raise garbled()
    return request


def answer(
    request: Request, classes: Container[str], syntaxes: Container[str], verification: str
) -> list[Answered]:
    """Each context with the first transfer syntax offered that is known. `verification` is the class of C-ECHO."""
    answered = []
    for one in request.contexts:
        first = next((syntax for syntax in one.syntaxes if syntax in syntaxes), None)
        if one.abstract != verification and one.abstract not in classes:
            answered.append(Answered(one.id, ABSTRACT_UNKNOWN, one.abstract))
        elif first is None:
            answered.append(Answered(one.id, SYNTAXES_UNKNOWN, one.abstract))
        else:
            answered.append(Answered(one.id, ACCEPTED, one.abstract, first))
    return answered


def accept(body: bytes, answered: list[Answered], longest: int) -> bytes:
    """The A-ASSOCIATE-AC to an A-ASSOCIATE-RQ's variable field; `longest`: bytes of a PDU that this side takes."""
    told = [item(APPLICATION_ITEM, APPLICATION.encode())]
    for one in answered:
        head = bytes((one.id, 0, one.result, 0))
        told.append(item(ANSWERED_ITEM, head + item(SYNTAX_ITEM, one.syntax.encode())))
    told.append(user_items(longest))
    # Titles are sent back as they came (PS3.8 table 9-17).
    variable = b"\0\1\0\0" + body[4 : FIXED.size] + b"".join(told)
    return HEADER.pack(Kind.ASSOCIATE_AC, len(variable)) + variable


def _offered(value: bytes) -> Offered:
    if len(value) < 4 or not value[0] & 1:
        raise garbled()
    abstract, syntaxes = "", []
    for kind, told in items(value[4:]):
        if kind == ABSTRACT_ITEM:
            abstract = uid_text(told)
        elif kind == SYNTAX_ITEM:
            syntaxes.append(uid_text(told))
    return Offered(value[0], abstract, tuple(syntaxes))


def _title(padded: bytes) -> str:
    return padded.decode("ascii", "replace").strip("\0 ")
