"""Rights as the three modes that SRM v2.2 knows (TPermissionMode) and grid clients show: read, write, execute.

Nobody owns an entry here: the owner that SRM speaks of is whoever asks. Others are all who show a credential. A mode
is set by letters of rights alone, so `p`, `g`, `s` and `i` stay as they are, and callers without a credential only lose
by it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from mdm_async import rules
from mdm_async.catalog.namespace.places import Acl, Place
from mdm_async.catalog.rights import acl
from mdm_async.errors import BadRequest
from mdm_async.names import ANYONE, AUTHENTICATED, Caller, Right, View
from mdm_async.rules import Kind, Rule, Rules, Step


class Mode(StrEnum):
    """TPermissionMode."""

    NONE = "NONE"
    X = "X"
    W = "W"
    WX = "WX"
    R = "R"
    RX = "RX"
    RW = "RW"
    RWX = "RWX"

    @classmethod
    def of(cls, *, read: bool, write: bool, execute: bool) -> "Mode":
        return cls(("R" * read + "W" * write + "X" * execute) or "NONE")

    @property
    def rights(self) -> str:
        return "".join(rights for letter, rights in _RIGHTS.items() if letter in self.letters)

    @property
    def letters(self) -> str:
        return "" if self is Mode.NONE else self.value

    @property
    def bits(self) -> int:
        """As POSIX has them."""
        return sum(bit for letter, bit in _BITS.items() if letter in self.letters)


_RIGHTS: Final = {"R": "rl", "W": "wd", "X": "x"}
_BITS: Final = {"R": 4, "W": 2, "X": 1}
_ALL: Final = Mode.RWX.rights
_OTHERS: Final = Caller(AUTHENTICATED, frozenset({AUTHENTICATED, ANYONE}))
_USERS: Final = ("dn:", "sub:", "user:")
_GROUPS: Final = ("fqan:", "group:")


@dataclass(frozen=True, slots=True)
class Seen:
    """What an entry's modes look like to whoever asks: their own, that of one group of theirs, and the others'."""

    owner: str
    owner_mode: Mode
    group: str | None
    group_mode: Mode
    other_mode: Mode


@dataclass(slots=True)
class SeenBy:
    """The modes of many entries, as one caller sees them."""

    caller: Caller
    _known: dict[tuple[int, tuple[int, ...], bool, View, View | None], Seen] = field(default_factory=dict)

    def __call__(self, place: Place) -> Seen:
        if self.caller.scopes:  # these go by names
            return self._look(place)
        path = tuple(above.id for above in place.path)
        like = (place.acl.id, path, _is_directory(place), place.default_view, place.only_view)
        if like not in self._known:
            self._known[like] = self._look(place)
        return self._known[like]

    def _look(self, place: Place) -> Seen:
        group = min((one for one in self.caller.principals if one.startswith(_GROUPS)), default=None)
        of_group = Caller(group, frozenset({group})) if group is not None else None
        return Seen(
            self.caller.name,
            mode_of(self.caller, place),
            group,
            mode_of(of_group, place) if of_group is not None else Mode.NONE,
            mode_of(_OTHERS, place),
        )


def mode_of(caller: Caller, place: Place) -> Mode:
    """Of a directory, reading is to list it; of a file, to read its default view."""
    return Mode.of(
        read=acl.allows(caller, place, Right.LIST if _is_directory(place) else Right.READ),
        write=acl.allows(caller, place, Right.WRITE),
        execute=acl.allows(caller, place, Right.EXECUTE),
    )


def _is_directory(place: Place) -> bool:
    return place.entry is not None and place.entry.is_directory


@dataclass(frozen=True, slots=True)
class Told:
    """An ACL in modes: what its rules say of each principal, whatever others give them besides."""

    owner: str
    owner_mode: Mode
    users: Mapping[str, Mode]
    groups: Mapping[str, Mode]
    other_mode: Mode


def told(caller: Caller, place: Place, in_force: Rules) -> Told:
    found = {
        principal: mode_of(Caller(principal, frozenset({principal})), _alone(place, in_force))
        for principal in sorted({one.principal for one in in_force} - {ANYONE, AUTHENTICATED})
    }
    return Told(
        caller.name,
        found.pop(caller.name, Mode.NONE),
        {one: mode for one, mode in found.items() if one.startswith(_USERS)},
        {one: mode for one, mode in found.items() if one.startswith(_GROUPS)},
        mode_of(_OTHERS, _alone(place, in_force)),
    )


def _alone(place: Place, in_force: Rules) -> Place:
    """The place as if everybody could traverse what leads there: an ACL is told as it is written."""
    return replace(place, acl=Acl(place.acl.id, in_force), path=())


def asked(
    caller: Caller,
    owner: Mode | None,
    users: Iterable[tuple[str, Mode]],
    groups: Iterable[tuple[str, Mode]],
    other: Mode | None,
) -> dict[str, Mode]:
    """The principals that a request names by SRM's words, with their modes. Raises BadRequest."""
    named = {} if owner is None else {caller.name: owner}
    named |= {_principal(one, _USERS): mode for one, mode in users}
    named |= {_principal(one, _GROUPS): mode for one, mode in groups}
    if other is not None:
        named[AUTHENTICATED] = other
    return named


def _principal(text: str, kinds: tuple[str, ...]) -> str:
    """As it is, or a bare DN or FQAN. Raises BadRequest."""
    if text.startswith("/"):
        text = kinds[0] + text.removesuffix("/Capability=NULL").removesuffix("/Role=NULL")
    if not text.startswith(kinds):
        raise BadRequest(
            "a user or group is named in a way that is not known here",
            remedy=f"name principals that begin with {', '.join(kinds)}, or a bare DN or FQAN",
        )
    return rules.parse_principal(text)


def steps(kind: Kind, modes: Mapping[str, Mode]) -> tuple[Step, ...]:
    """What is to be done with an ACL so that these principals have these modes, or more (ADD), or less (REMOVE)."""
    more, less = [], []
    for principal, mode in modes.items():
        taken = mode.rights if kind is Kind.REMOVE else ""
        if kind is Kind.CHANGE:
            taken = "".join(right for right in _ALL if right not in mode.rights)
        if taken:
            less.append(Rule(principal, taken))
            if principal == AUTHENTICATED:
                less.append(Rule(ANYONE, taken))
        if kind is not Kind.REMOVE and mode.rights:
            more.append(Rule(principal, mode.rights))
    found = (Step(Kind.REMOVE, tuple(less)), Step(Kind.ADD, tuple(more)))
    return tuple(step for step in found if step.rules)
