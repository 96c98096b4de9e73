"""What a peer asks for in an A-ASSOCIATE-RQ, and what it gets (PS3.8 §9.3.2, §9.3.3, Annex D). Pure."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from mdm_async.dicom.filemeta import uid_text
from mdm_async.dicom.quirks import EXPLICIT_SYNTAX
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
from mdm_async.pacs.dimse.pdus import HEADER, Kind

ACCEPTED, NOT_FOR_YOU, ABSTRACT_UNKNOWN, SYNTAXES_UNKNOWN = 0, 1, 3, 4
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
    takes: bool = False
    """By it the peer takes images too: it is an SCP of its class (PS3.7 §D.3.3.4)."""


class Role(NamedTuple):
    """Whether the peer is to be an SCU, an SCP, of a class: bytes 0 or 1."""

    scu: int
    scp: int


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
    roles: dict[str, Role] = field(default_factory=dict)
    """By class."""


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
                elif inner == ROLES_ITEM:
                    sop_class, role = _role(told)
                    request.roles[sop_class] = role
    ids = [one.id for one in request.contexts]
    if not ids or len(ids) > MOST_CONTEXTS or len(set(ids)) < len(ids):
        raise garbled()
    return request


def answer(
    request: Request,
    syntaxes: Callable[[str], Collection[str] | None],
    taken: Callable[[str], bool] = lambda _: False,
) -> list[Answered]:
    """Each context with the first transfer syntax offered that is known.

    `syntaxes`: those known of a class, none where it is not for this peer; None for a class that is not known.
    `taken`: of which classes the peer may be an SCP, if it asks for that. What is sent to it comes of all kinds of
    files, so of what it offers explicit VR is chosen first, in which all can be written that is not compressed.
    """
    answered = []
    for one in request.contexts:
        known = syntaxes(one.abstract)
        if not known:
            unknown = ABSTRACT_UNKNOWN if known is None else NOT_FOR_YOU
            answered.append(Answered(one.id, unknown, one.abstract))
            continue
        role = request.roles.get(one.abstract)
        takes = role is not None and role.scp > 0 and taken(one.abstract)
        offered = [syntax for syntax in one.syntaxes if syntax in known]
        if not offered:
            answered.append(Answered(one.id, SYNTAXES_UNKNOWN, one.abstract))
        else:
            chosen = EXPLICIT_SYNTAX if takes and EXPLICIT_SYNTAX in offered else offered[0]
            answered.append(Answered(one.id, ACCEPTED, one.abstract, chosen, takes))
    return answered


def accept(
    body: bytes, answered: list[Answered], longest: int, roles: Mapping[str, Role] = MappingProxyType({})
) -> bytes:
    """The A-ASSOCIATE-AC to an A-ASSOCIATE-RQ's variable field; `longest`: bytes of a PDU that this side takes;
    `roles`: those asked for."""
    told = [item(APPLICATION_ITEM, APPLICATION.encode())]
    for one in answered:
        head = bytes((one.id, 0, one.result, 0))
        told.append(item(ANSWERED_ITEM, head + item(SYNTAX_ITEM, one.syntax.encode())))
    granted = dict.fromkeys(one.abstract for one in answered if one.takes)
    more = b"".join(item(ROLES_ITEM, _encoded_role(one, roles[one])) for one in granted)
    told.append(user_items(longest, more))
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


def _role(value: bytes) -> tuple[str, Role]:
    end = 2 + int.from_bytes(value[:2])
    if len(value) != end + 2:
        raise garbled()
    return uid_text(value[2:end]), Role(value[end], value[end + 1])


def _encoded_role(sop_class: str, role: Role) -> bytes:
    return len(sop_class).to_bytes(2) + sop_class.encode() + bytes(min(one, 1) for one in role)


def _title(padded: bytes) -> str:
    return padded.decode("ascii", "replace").strip("\0 ")
