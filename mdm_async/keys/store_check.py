"""What `mdm config check` finds out about key stores: as a start would, and changing nothing."""

from collections.abc import Sequence
from uuid import UUID

from mdm_async.errors import MdmError, Unavailable, UnsafeSettings
from mdm_async.keys import proofs
from mdm_async.keys.custodians import HeldByCustodians
from mdm_async.keys.kept_file import KeptKeks
from mdm_async.keys.share_store import lets_nobody_in
from mdm_async.keys.split import StorePlace
from mdm_async.postgres.database import Connection, connect

_WHICH = """
    select system_identifier::text || '/' || current_database() from pg_control_system()
"""
_WHOSE = "select id, installation from mdm_keys.store"


async def reasons_against_stores(places: Sequence[StorePlace], threshold: int) -> list[MdmError]:
    """A store that is away is one only when too few are left."""
    reasons: list[MdmError] = []
    away: list[MdmError] = []
    seen: dict[str, str] = {}
    for place in places:
        try:
            await _look(place, seen)
        except Unavailable as why:
            away.append(why)
        except MdmError as why:
            reasons.append(why)
    return reasons + (away if len(places) - len(away) < threshold else [])


async def look(db: Connection, place: StorePlace, seen: dict[str, str]) -> None:
    """`seen`: stores by what tells their databases from others. Raises UnsafeSettings."""
    _demand_another(seen, place.name, await db.fetchval(_WHICH))
    if await proofs.are_there(db) and (row := await db.fetchrow(_WHOSE)) is not None:
        _demand_another(seen, place.name, str(row["id"]))
        await _demand_opening(db, place, row["installation"])


async def _look(place: StorePlace, seen: dict[str, str]) -> None:
    """Raises UnsafeSettings, Unavailable."""
    try:
        async with connect(place.dsn) as db:
            await look(db, place, seen)
    except UnsafeSettings:
        raise
    except Exception as why:  # A DSN can be wrong in many ways, and their words could hold the password.
        raise lets_nobody_in(place.name, why) from None


def _demand_another(seen: dict[str, str], name: str, database: str) -> None:
    if (other := seen.setdefault(database, name)) != name:
        raise UnsafeSettings(
            f"the databases of key stores {other} and {name} are the same, or one is a copy of the other",
            remedy="give every store the dsn of its own database",
        )


async def _demand_opening(db: Connection, place: StorePlace, installation: UUID) -> None:
    if isinstance(place.source, HeldByCustodians) or (
        isinstance(place.source, KeptKeks) and not place.source.is_readable
    ):
        return
    try:
        await proofs.known(db, await place.source.read(), installation)
    except Unavailable as why:
        raise UnsafeSettings(f"key store {place.name}: {why.detail}", remedy=why.remedy) from None
