"""What the caveats of a macaroon leave of its maker's rights.

    activity:LIST,DOWNLOAD     only these            path:/vo/study      only at and below this
    before:2026-12-24T12:00Z   no longer than that   root:/vo            the same
    ip:192.0.2.0/24,2001:db8::1   only from there    home:/vo/ada        says where to begin, and bars nothing
    id:…  iid:…                whose and which it is: the server's own, exactly once each

Caveats of one kind all hold: several paths, activities or networks leave what they have in common. Paths are compared
component by component, in any spelling, and are names of this server's own tree. What is not understood denies.

    LIST      l x g     UPLOAD   w x g      READ_METADATA     x g
    DOWNLOAD  r x g     DELETE   d x g      UPDATE_METADATA   s x g
    STAGE     x g, and to have files brought online
    MANAGE    x g, and to make directories; to rename takes UPLOAD and DELETE, as to overwrite does

UPLOAD makes the directories that are missing on the way to its path, and looks at those. Without an activity a macaroon
gives all that its maker may, but for `p` and `i`: no macaroon changes rights or shows who a patient is, since they are
made to be handed to others.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from mdm_async.errors import BadPath
from mdm_async.names import ROOT, Ability, Lfn, Right, Scope, parse_lfn, parse_rights, parse_surl

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_ACTIVITIES = {
    "LIST": parse_rights("lxg"),
    "DOWNLOAD": parse_rights("rxg"),
    "UPLOAD": parse_rights("wxg"),
    "DELETE": parse_rights("dxg"),
    "MANAGE": parse_rights("xg"),
    "READ_METADATA": parse_rights("xg"),
    "UPDATE_METADATA": parse_rights("sxg"),
    "STAGE": parse_rights("xg"),
}
_ALSO = {
    "UPLOAD": frozenset({Ability.DIRECTORIES}),
    "MANAGE": frozenset({Ability.DIRECTORIES}),
    "STAGE": frozenset({Ability.STAGE}),
}
_EVERY = frozenset(Right) - {Right.PERMISSION, Right.IDENTITY}
_NETWORKS = 64
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII)


class BadCaveat(ValueError):
    """str(self) says what is wrong with one, without what it says."""


@dataclass(frozen=True, slots=True)
class Caveats:
    """What all of them together leave."""

    bound: Scope | None
    """None: paths that have nothing in common leave nothing."""
    before: float | None
    """Unix time."""
    networks: tuple[tuple[Network, ...], ...]
    """The caller is in one of each."""

    def admit(self, source: str) -> bool:
        """Whether a request may come from this address."""
        if not self.networks:
            return True
        try:
            address = ipaddress.ip_address(source)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        return all(any(address in one for one in several) for several in self.networks)


def of(caveats: Iterable[str], names: tuple[str, str] | None) -> Caveats:
    """What they leave. `names`: the `id` and the `iid` that must be there, once each; None: neither may be.

    Raises BadCaveat.
    """
    paths: list[Lfn] = []
    activities: list[frozenset[str]] = []
    moments: list[float] = []
    networks: list[tuple[Network, ...]] = []
    own: list[tuple[str, str]] = []
    take: dict[str, Callable[[str], None]] = {
        "root": lambda text: paths.append(_path(text)),
        "path": lambda text: paths.append(_path(text)),
        "home": lambda text: _refuse_malformed(text),
        "before": lambda text: moments.append(moment(text)),
        "ip": lambda text: networks.append(_networks(text)),
        "activity": lambda text: activities.append(_activities(text)),
        "id": lambda text: own.append(("id", text)),
        "iid": lambda text: own.append(("iid", text)),
    }
    for caveat in caveats:
        kind, colon, text = caveat.partition(":")
        if not colon or kind not in take:
            raise BadCaveat(f"a caveat of a kind that is not known here; known are {', '.join(take)}")
        take[kind](text)
    wanted = [("id", names[0]), ("iid", names[1])] if names is not None else []
    if sorted(own) != wanted:
        raise BadCaveat(
            "an id or iid of its own" if names is None else "another id or iid than it was made with"
        )
    path = _common(paths)
    bound = None if path is None else Scope(path, *_given(activities))
    return Caveats(bound, min(moments, default=None), tuple(networks))


def _given(activities: list[frozenset[str]]) -> tuple[frozenset[Right], None, frozenset[Ability]]:
    if not activities:
        return _EVERY, None, frozenset(Ability)
    left = frozenset.intersection(*activities)
    rights = frozenset[Right]().union(*(_ACTIVITIES[one] for one in left))
    return rights, None, frozenset[Ability]().union(*(_ALSO.get(one, frozenset()) for one in left))


def _common(paths: list[Lfn]) -> Lfn | None:
    """The longest, if it lies at or below all others."""
    longest = max(paths, key=len, default=ROOT)
    return longest if all(Scope(path, frozenset()).covers(longest) for path in paths) else None


def _path(text: str) -> Lfn:
    """A view in front is no part of the name."""
    try:
        return parse_surl(text).lfn if text.startswith("/") else parse_lfn(text)
    except BadPath as why:
        raise BadCaveat(f"a path that is none: {why.detail}") from None


def _refuse_malformed(path: str) -> None:
    _path(path)


def _activities(text: str) -> frozenset[str]:
    named = frozenset(text.split(","))
    if not named <= _ACTIVITIES.keys():
        raise BadCaveat(f"an activity that is not known here; known are {', '.join(_ACTIVITIES)}")
    return named


def moment(text: str) -> float:
    """Unix time, of an ISO 8601 date and time with its zone. Raises BadCaveat."""
    try:
        if not _MOMENT.match(text):
            raise ValueError
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        raise BadCaveat("a time that is none; write 2026-12-24T12:00:00Z") from None


def told_moment(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _networks(text: str) -> tuple[Network, ...]:
    named = text.split(",")
    if len(named) > _NETWORKS:
        raise BadCaveat(f"more than {_NETWORKS} networks")
    try:
        return tuple(ipaddress.ip_network(one.strip(" "), strict=False) for one in named)
    except ValueError:
        raise BadCaveat("a network that is none; write 192.0.2.0/24 or 2001:db8::/32") from None
