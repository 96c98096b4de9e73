"""How a view leaves a place: in the clear, over TLS or the loopback, or only sealed for a recipient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl, kept_acls
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import Forbidden, NotADirectory
from mdm_async.images.changed import ChangedHere
from mdm_async.images.rights.origins import Origin, lineages, seen_by
from mdm_async.images.surls import existing, resolve_one
from mdm_async.names import IDENTIFIED, Caller, Right, View
from mdm_async.postgres.database import Connection, Database
from mdm_async.settings import DeliverySettings

Kind = Literal["identified", "deidentified"]
Value = Literal["clear", "sealed"]
KINDS: Sequence[Kind] = ("identified", "deidentified")


def policy(standing: DeliverySettings, place: Place, kind: Kind) -> str:
    """`clear` or `sealed`: what the nearest directory that says so says, or else the server's settings."""
    return place.delivery.get(kind) or getattr(standing, kind)


def demands_sealed(standing: DeliverySettings, place: Place, view: View) -> bool:
    return policy(standing, place, "identified" if view == IDENTIFIED else "deidentified") == "sealed"


def demand_delivery(standing: DeliverySettings, place: Place, view: View, recipient: bytes | None) -> None:
    """Raises Forbidden when this view may leave only sealed, and nobody was named to seal it for."""
    if recipient is None and demands_sealed(standing, place, view):
        raise Forbidden(
            f"the view '{view}' is delivered sealed only",
            remedy='name a Crypt4GH recipient key: mdm get --sealed, "recipient" in prepareToGet, or mdm recipient set',
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """How views of one kind leave a directory."""

    value: str
    by_settings: bool
    """No directory says so: the server's settings do."""
    origin: Origin | None
    """The directory that says so, when whoever asks may list it."""


async def get_delivery(
    database: Database, standing: DeliverySettings, caller: Caller, surl: str
) -> dict[Kind, Policy]:
    """What is in force at a directory, told to whoever sees it. Raises NotFound, NotADirectory."""
    async with database.acquire() as db:
        _, place = await resolve_one(db, caller, surl)
        acl.demand_seen(caller, place)
        return await _in_force(standing, db, caller, _directory(caller, place))


async def set_delivery(
    database: Database,
    standing: DeliverySettings,
    changed: ChangedHere,
    caller: Caller,
    surl: str,
    said: Mapping[Kind, Value | None],
) -> dict[Kind, Policy]:
    """What a directory says from now on; None: what is said above. Transfers in the clear end where it is sealed.

    It needs the permission right. Only administrators let identified views leave in the clear.
    """
    async with database.acquire() as db:  # who may change nothing makes nobody wait
        await existing(db, caller, surl, Right.PERMISSION)
    async with database.transaction() as db:
        await kept_acls.lock(db)
        before, _ = await existing(db, caller, surl, Right.PERMISSION)
        entry = _directory(caller, before).entry
        assert entry is not None
        own = {str(kind): said.get(kind, (entry.delivery or {}).get(kind)) for kind in KINDS}
        await kept_acls.set_delivery(
            db, entry.id, {k: str(v) for k, v in own.items() if v is not None} or None
        )
        _, after = await resolve_one(db, caller, before.lfn)
        if "clear" in (said.get("identified"), _changed_to(standing, before, after)):
            await acl.demand_administrator(db, caller)
        assert after.entry is not None
        details = {"before": entry.delivery or {}, "after": after.entry.delivery or {}}
        await acts.record(db, [Act(caller, "set delivery", guid=entry.guid, details=details)])
        told = await _in_force(standing, db, caller, after)
    changed.everything()
    return told


def _changed_to(standing: DeliverySettings, before: Place, after: Place) -> str | None:
    """How identified views leave now, if they left otherwise before."""
    now = policy(standing, after, "identified")
    return now if now != policy(standing, before, "identified") else None


async def _in_force(
    standing: DeliverySettings, db: Connection, caller: Caller, place: Place
) -> dict[Kind, Policy]:
    assert place.entry is not None
    line = (await lineages(db, [place]))[place.entry.id]
    told: dict[Kind, Policy] = {}
    for kind in KINDS:
        says = next((p for p in reversed(line.places) if p.entry and kind in (p.entry.delivery or {})), None)
        origin = seen_by(caller, says) if says is not None else None
        told[kind] = Policy(policy(standing, place, kind), says is None, origin)
    return told


def _directory(caller: Caller, place: Place) -> Place:
    if place.entry is None:
        raise acl.missing(caller)
    if not place.entry.is_directory:
        raise NotADirectory("delivery is set for directories", remedy="name the file's directory")
    return place
