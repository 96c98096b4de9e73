"""The capabilities of a WLCG token, as scopes that the decision point understands (WLCG profile §2.2.1).

    storage.read:/p     r l x g        storage.stage:/p    l x g, and to have files brought online
    storage.create:/p   w l x g        storage.poll:/p     x, and to ask where files are
    storage.modify:/p   w d l x g s

`create` neither overwrites nor deletes, but renames files; `modify` does not read, `stage` does not read, whatever
wlcg.ver says. Both `create` and `modify` look at the directories that lead to their path, make those that are missing,
and see nothing else there. All but `poll` may be told what is there. None gives `p` or `i`, nor any view but a
directory's default one.
"""

import re
from urllib.parse import unquote

from mdm_async.errors import BadPath
from mdm_async.names import ROOT, Ability, Lfn, Right, Scope, parse_lfn, parse_rights

_RIGHTS: dict[str, frozenset[Right]] = {
    "storage.read": parse_rights("rlxg"),
    "storage.create": parse_rights("wlxg"),
    "storage.modify": parse_rights("wdlxgs"),
    "storage.stage": parse_rights("lxg"),
    "storage.poll": parse_rights("x"),
}
_ALSO: dict[str, frozenset[Ability]] = {
    "storage.create": frozenset({Ability.DIRECTORIES, Ability.RENAME}),
    "storage.modify": frozenset({Ability.DIRECTORIES}),
    "storage.stage": frozenset({Ability.STAGE}),
    "storage.poll": frozenset({Ability.POLL}),
}
_CAPABILITY = re.compile(r"(?:storage|compute)\.")


class BadCapability(ValueError):
    """str(self) says, without repeating the path, what is wrong with a capability."""


def has_capabilities(scope: str) -> bool:
    """True also for capabilities that mean nothing here: a token that has any is a restriction of its bearer."""
    return any(_CAPABILITY.match(word) for word in scope.split())


def scopes_of(scope: str, base: Lfn) -> tuple[Scope, ...]:
    """What the `scope` claim allows; its paths are relative to `base`. Raises BadCapability."""
    return tuple(_scope(word, base) for word in scope.split() if word.startswith("storage."))


def _scope(word: str, base: Lfn) -> Scope:
    name, _, path = word.partition(":")
    if not path:
        raise BadCapability("a storage capability without a path")
    # A name is checked as it stands and as what it stands for: the issuer escapes it (RFC 3986 §2).
    try:
        parse_lfn(path)
        within = parse_lfn(unquote(path, errors="strict"))
        whole = within if base == ROOT else base if within == ROOT else parse_lfn(base + within)
    except BadPath as why:
        raise BadCapability(f"a storage capability with a bad path: {why.detail}") from None
    except UnicodeDecodeError:
        raise BadCapability(
            "a storage capability with a bad path: percent-decoded, it is not UTF-8"
        ) from None
    return Scope(whole, _RIGHTS.get(name, frozenset()), None, _ALSO.get(name, frozenset()))
