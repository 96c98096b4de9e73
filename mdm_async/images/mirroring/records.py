"""What a first site says of an entry, as JSON: all that it is now, never what was done to it."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from mdm_async.catalog.mirrors.applying import Acls
from mdm_async.catalog.mirrors.states import State
from mdm_async.catalog.namespace.places import rules_of
from mdm_async.dicom.rejection_notes import REASONS
from mdm_async.errors import BadRequest
from mdm_async.names import parse_lfn
from mdm_async.rules import Rules, rule

Told = dict[str, Any]

_FIELDS = [field.name for field in fields(State)]
_IDS, _TIMES = ("guid", "parent", "image"), ("created", "modified")


def told(state: State) -> Told:
    said: Told = {name: getattr(state, name) for name in _FIELDS}
    for name in _IDS:
        said[name] = str(said[name]) if said[name] is not None else None
    for name in _TIMES:
        said[name] = said[name].isoformat()
    return said | {"notes": [str(note) for note in state.notes]}


def read(said: Mapping[str, Any]) -> State:
    """As `told`, of a mapping whose values have their types already, or are as JSON has them. Raises BadRequest."""
    state = {name: said[name] for name in _FIELDS}
    _demand_name(str(state["name"]))
    for acl in ("acl", "default_acl"):
        for one in state[acl] or ():
            rule(one["principal"], one["rights"], one.get("views"))
    if state["rejected"] is not None and state["rejected"] not in REASONS:
        raise BadRequest("an entry is rejected for a reason that is not known here")
    for name in _IDS:
        state[name] = UUID(str(state[name])) if state[name] is not None else None
    for name in _TIMES:
        state[name] = datetime.fromisoformat(state[name]) if isinstance(state[name], str) else state[name]
    state["notes"] = [UUID(str(note)) for note in state["notes"]]
    state["released"] = [(view, revision) for view, revision in state["released"]]
    return State(**state)


def rules(state: State) -> list[Rules]:
    """Of its ACLs."""
    return [rules_of(acl) for acl in (state.acl, state.default_acl) if acl is not None]


def acls(state: State, ids: Mapping[Rules, int]) -> Acls:
    """`ids`: of its `rules`."""
    own, default = (ids[rules_of(acl)] if acl is not None else None for acl in (state.acl, state.default_acl))
    return Acls(own, default)


def _demand_name(name: str) -> None:
    """Return when it is one that an entry may have here, too."""
    lead = "/in/"
    if "/" in name or parse_lfn(lead + name) != lead + name:
        raise BadRequest("an entry's name is none that a file or directory may have")
