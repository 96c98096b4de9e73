"""What ACLs give a caller: of every ACL that names one of his principals, what he may list, traverse and read by it.

An ACL is kept under its id for ever and never changed, so a verdict never becomes wrong. One that is older than the
ACLs lacks some, and what is not in it gives nothing.
"""

from collections import OrderedDict
from dataclasses import dataclass

from mdm_async.catalog.namespace.places import NEWEST_ACL, rules_of
from mdm_async.catalog.rights import acl
from mdm_async.names import Caller
from mdm_async.postgres.database import Connection
from mdm_async.postgres.inverted import bitmap_scans

_CALLERS = 1000
_VERDICTS = 200_000
"""Of all callers together, about 100 bytes each."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """By the id of an ACL, as text, what it gives: `acl.gives`. What gives nothing is left out."""

    newest_acl: int
    """The id of the newest ACL when it was made: they are made one transaction after the other."""
    acls: dict[str, list[str]]


_Key = tuple[frozenset[str], bool, frozenset[str] | None]


class Verdicts:
    """Those of this node's callers, each made once while no ACLs come; the least recently used go first."""

    def __init__(self) -> None:
        # The key is all that a verdict hangs on: one person has other groups by another credential, or later.
        self._kept: OrderedDict[_Key, Verdict] = OrderedDict()
        self._size = 0

    async def of(self, db: Connection, caller: Caller, newest_acl: int) -> Verdict:
        """With all ACLs up to this one."""
        bound = caller.bound.rights if caller.bound is not None else None
        key = (caller.principals, caller.limited, bound)
        kept = self._kept.get(key)
        if kept is not None and kept.newest_acl >= newest_acl:
            self._kept.move_to_end(key)
            return kept
        made = await _made(db, caller)
        self._forget(key)
        self._kept[key] = made
        self._size += len(made.acls)
        while len(self._kept) > 1 and (len(self._kept) > _CALLERS or self._size > _VERDICTS):
            self._forget(next(iter(self._kept)))
        return made

    def _forget(self, key: _Key) -> None:
        gone = self._kept.pop(key, None)
        self._size -= len(gone.acls) if gone is not None else 0


async def _made(db: Connection, caller: Caller) -> Verdict:
    # First: ACLs that come in between are in the verdict, and it is thought older than it is.
    newest: int = await db.fetchval(f"select {NEWEST_ACL}")
    async with bitmap_scans(db):
        rows = await db.fetch(
            "select a.id, a.rules from unnest($1::text[]) as named cross join lateral (select id, rules from acls"
            "  where rules @> jsonb_build_array(jsonb_build_object('principal', named)) offset 0) a",
            list(caller.principals),
        )
    acls: dict[str, list[str]] = {}
    for row in rows:
        given: set[str] = set()
        for rule in rules_of(row["rules"]):
            if rule.principal in caller.principals:
                given |= acl.gives(rule.rights, rule.views, limited=caller.limited, bound=caller.bound)
        if given:
            acls[str(row["id"])] = sorted(given)
    return Verdict(newest, acls)
