"""What `mdm config check` finds out about key stores: as a start would, and changing nothing."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from mdm_async.errors import MdmError, Unavailable, UnsafeSettings
from mdm_async.keys import proofs
from mdm_async.keys.custodians import HeldByCustodians
from mdm_async.keys.enrolment import Enrolled, demand_identity, demand_no_catalog
from mdm_async.keys.kept_file import KeptKeks
from mdm_async.keys.row_cipher import StoreIdentity
from mdm_async.keys.share_store import in_common, lets_nobody_in
from mdm_async.keys.sources import KekSource
from mdm_async.keys.split import StorePlace
from mdm_async.postgres.database import Connection, connect

_WHICH = """
    select system_identifier::text || '/' || current_database() from pg_control_system()
"""
_WHOSE = "select id, share, installation from mdm_keys.store"
_HAS_TABLES = "select to_regclass('mdm_keys.sharing') is not null"


async def reasons_against_stores(
    places: Sequence[StorePlace], threshold: int, catalog: Enrolled | None = None
) -> list[MdmError]:
    """A store that is away is one only when too few are left. `catalog`: what that knows of them, if it answers."""
    reasons: list[MdmError] = []
    away: list[MdmError] = []
    seen = Seen()
    if catalog is not None:
        seen = Seen(installations={catalog.installation: "the catalog"}, identities=catalog.stores)
    for place in places:
        try:
            await _look(place, seen)
        except Unavailable as why:
            away.append(why)
        except MdmError as why:
            reasons.append(why)
    return reasons + (away if len(places) - len(away) < threshold else [])


@dataclass(frozen=True, slots=True)
class Seen:
    """Of the stores looked at so far, and of the catalog."""

    stores: dict[str, str] = field(default_factory=dict)
    """By what tells their databases, and their keys, from others."""
    installations: dict[UUID, str] = field(default_factory=dict)
    """Who was first to be of one."""
    identities: Mapping[str, StoreIdentity] = field(default_factory=dict)
    """What stores should be, as far as that is known."""


async def look(db: Connection, place: StorePlace, seen: Seen) -> None:
    """Raises UnsafeSettings."""
    _demand_another(seen.stores, place.name, await db.fetchval(_WHICH))
    if await db.fetchval(_HAS_TABLES):
        await demand_no_catalog(db, place.name)
        if (row := await db.fetchrow(_WHOSE)) is not None:
            found = StoreIdentity(row["id"], row["share"], row["installation"])
            _demand_another(seen.stores, place.name, str(found.id))
            _demand_one_installation(seen.installations, place.name, found.installation)
            if (wanted := seen.identities.get(place.name)) is not None:
                demand_identity(place.name, found, wanted, seen.identities)
            await _demand_opening(db, place, found.installation)
    await _demand_own(seen.stores, place)


async def _look(place: StorePlace, seen: Seen) -> None:
    """Raises UnsafeSettings, Unavailable."""
    try:
        async with connect(place.dsn) as db:
            await look(db, place, seen)
    except UnsafeSettings:
        raise
    except Exception as why:  # A DSN can be wrong in many ways, and their words could hold the password.
        raise lets_nobody_in(place.name, why) from None


def _demand_one_installation(installations: dict[UUID, str], name: str, found: UUID) -> None:
    other = next(iter(installations.values()), None)
    if other is not None and found not in installations:
        raise UnsafeSettings(
            f"the database of key store {name} belongs to another installation than {other}",
            remedy="check the store's dsn; a new store begins with an empty database",
        )
    installations.setdefault(found, f"key store {name}")


async def _demand_own(seen: dict[str, str], place: StorePlace) -> None:
    """Whoever has a store's key-encryption keys must not have those of another by that."""
    if not _is_readable(place.source):
        return
    for kek in await place.source.read():
        if (other := seen.setdefault(hashlib.sha256(kek).hexdigest(), place.name)) != place.name:
            raise in_common(other, place.name)


def _demand_another(seen: dict[str, str], name: str, database: str) -> None:
    if (other := seen.setdefault(database, name)) != name:
        raise UnsafeSettings(
            f"the databases of key stores {other} and {name} are the same, or one is a copy of the other",
            remedy="give every store the dsn of its own database",
        )


async def _demand_opening(db: Connection, place: StorePlace, installation: UUID) -> None:
    if not _is_readable(place.source):
        return
    try:
        await proofs.known(db, await place.source.read(), installation)
    except Unavailable as why:
        raise UnsafeSettings(f"key store {place.name}: {why.detail}", remedy=why.remedy) from None


def _is_readable(source: KekSource) -> bool:
    """Whether its keys are there already, and for the one who asks."""
    return not isinstance(source, HeldByCustodians) and (
        not isinstance(source, KeptKeks) or source.is_readable
    )
