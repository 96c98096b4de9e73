"""Asking for rights: the ACL in force, what it gives to whom, and the caller's own.

Reading an ACL needs the permission right at the entry. One's own rights are told to whoever sees the entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.errors import MdmError
from mdm_async.identity.mapping import Mapping
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.rights.effective import Effective, bearer_of, effective
from mdm_async.images.rights.modes import Mode, mode_of
from mdm_async.images.rights.origins import Lineage, Origin, lineages, seen_by
from mdm_async.images.surls import resolve
from mdm_async.names import IDENTIFIED, Caller, Right, View
from mdm_async.postgres.database import Database
from mdm_async.rules import Rules


@dataclass(frozen=True, slots=True)
class Told:
    """An ACL in force, and what is handed down to entries below."""

    place: Place
    rules: Rules
    is_own: bool
    origin: Origin | None
    """The ancestor that gives it, when the caller may list that; None too when it is the entry's own."""
    default: Rules | None
    """None: a file, which hands nothing down."""
    default_is_own: bool
    effective: Effective | None = None
    """What the principals that were asked about may do."""


@dataclass(frozen=True, slots=True)
class OwnRights:
    """A caller's rights at an entry, these as a mode, and the views that `r` covers there."""

    letters: str
    mode: Mode
    views: tuple[View, ...]


async def get_permission(
    database: Database, mapping: Mapping, caller: Caller, surls: Sequence[str], principals: Sequence[str] = ()
) -> list[tuple[str, Told | MdmError]]:
    """Each entry's ACL; with principals (all of one person) their rights by it, and what gives or bars these."""
    async with database.acquire() as db:
        found = [_readable(caller, one) for one in await resolve(db, caller, surls)]
        lines = await lineages(db, [one for one in found if isinstance(one, Place)])
    whose = _whose(mapping, principals) if principals else None
    return [
        (surl, one if isinstance(one, MdmError) else _told(caller, one, lines, whose))
        for surl, one in zip(surls, found, strict=True)
    ]


def _whose(mapping: Mapping, principals: Sequence[str]) -> Caller:
    """Whoever has these: also local groups that are asked about by themselves, which the mapping gives to nobody."""
    known = mapping.apply(bearer_of(principals))
    return replace(known, principals=known.principals | set(principals))


def _readable(caller: Caller, found: tuple[object, Place] | MdmError) -> Place | MdmError:
    if isinstance(found, MdmError):
        return found
    try:
        acl.demand(caller, found[1], Right.PERMISSION)
    except MdmError as why:
        return why
    return found[1] if found[1].entry is not None else acl.missing(caller)


def _told(caller: Caller, place: Place, lines: dict[int, Lineage], whose: Caller | None) -> Told | MdmError:
    entry = place.entry
    line = lines.get(entry.id) if entry is not None else None
    if entry is None or line is None:
        return acl.missing(caller)
    is_own = entry.acl is not None
    return Told(
        place=place,
        rules=place.acl.rules,
        is_own=is_own,
        origin=None if is_own else seen_by(caller, line.acl_from),
        default=place.heritage.rules if entry.is_directory else None,
        default_is_own=entry.default_acl is not None,
        effective=effective(caller, whose, line) if whose is not None else None,
    )


async def check_permission(
    database: Database, served: ServedViews, caller: Caller, surls: Sequence[str]
) -> list[tuple[str, OwnRights | MdmError]]:
    """The caller's own rights on each SURL that they may see, and the views that they may read."""
    async with database.acquire() as db:
        await served.refresh(db)
        found = await resolve(db, caller, surls)
    return [
        (text, one if isinstance(one, MdmError) else _own(served, caller, one[1]))
        for text, one in zip(surls, found, strict=True)
    ]


def _own(served: ServedViews, caller: Caller, place: Place) -> OwnRights | MdmError:
    try:
        acl.demand_seen(caller, place)
    except MdmError as why:
        return why
    if place.entry is None:
        return acl.missing(caller)
    views = tuple(
        view
        for view in (IDENTIFIED, *(each.view for each in served))
        if acl.allows(caller, place, Right.READ, view)
    )
    return OwnRights(acl.rights_of(caller, place), mode_of(caller, place), views)
