"""Which view of a file a caller may have, and how it leaves: rights, view, and delivery policy."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.errors import BadRequest, IsADirectory, MdmError
from mdm_async.images.names.bound import demand_bound
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.rights.delivery import demand_delivery, demands_sealed
from mdm_async.images.rights.opaque_views import demand_offered
from mdm_async.images.rights.recipients import RegisteredKey
from mdm_async.images.surls import resolve, resolve_together
from mdm_async.images.transfers.live_index import Way
from mdm_async.images.transfers.rounds import Rounds
from mdm_async.names import Caller, Right, Surl, View
from mdm_async.postgres.database import Connection
from mdm_async.settings import DeliverySettings


@dataclass(frozen=True, slots=True)
class Readable:
    """A view of a file that the caller may have: sealed for a recipient (an X25519 key), or clear."""

    entry: Entry
    image: UUID
    view: View
    recipient: bytes | None
    way: Way


async def readable(
    served: ServedViews,
    delivery: DeliverySettings,
    db: Connection,
    caller: Caller,
    surls: Sequence[str],
    *,
    view: View | None,
    recipient: bytes | None,
    delivered: bool = True,
) -> list[Readable | MdmError]:
    """Of each SURL what the caller may read, or why not; `view` is of those that name none.

    `delivered`: its bytes are to leave, so that the delivery policy counts, and a registered key where none is given.
    """
    await served.refresh(db)
    resolved = await resolve(db, caller, surls)
    key = RegisteredKey(db, caller).key
    return await _readable(served, delivery, caller, resolved, key, view, recipient, delivered=delivered)


async def readable_together(
    served: ServedViews,
    delivery: DeliverySettings,
    rounds: Rounds,
    caller: Caller,
    surls: Sequence[str],
    *,
    view: View | None,
    recipient: bytes | None,
) -> list[Readable | MdmError]:
    """As `readable`, with whoever else asks."""
    resolved = await resolve_together(rounds.database, rounds.places, caller, surls)

    async def key() -> bytes | None:
        async with rounds.database.acquire() as db:
            return await RegisteredKey(db, caller).key()

    return await _readable(served, delivery, caller, resolved, key, view, recipient, delivered=True)


async def _readable(
    served: ServedViews,
    delivery: DeliverySettings,
    caller: Caller,
    resolved: Sequence[tuple[Surl, Place] | MdmError],
    registered: Callable[[], Awaitable[bytes | None]],
    view: View | None,
    recipient: bytes | None,
    *,
    delivered: bool,
) -> list[Readable | MdmError]:
    found: list[Readable | MdmError] = []
    for one in resolved:
        try:
            if isinstance(one, MdmError):
                raise one
            surl, place = one
            entry, image, name = viewed(served, caller, surl, place, view, delivered=delivered)
            key = recipient
            if delivered and key is None and demands_sealed(delivery, place, name):
                key = await registered()
                demand_delivery(delivery, place, name, key)
        except MdmError as why:
            found.append(why)
        else:
            found.append(Readable(entry, image, name, key, place.way))
    return found


def viewed(
    served: ServedViews,
    caller: Caller,
    surl: Surl,
    place: Place,
    asked: View | None,
    *,
    delivered: bool = True,
) -> tuple[Entry, UUID, View]:
    """The file, its image, and the view that the caller may read of it; not `delivered`, or have brought online."""
    named = surl.view or asked
    if named is not None:
        _demand_view(served, named)
    demand_offered(caller, place, named)
    if delivered or place.entry is None or not acl.may_stage(caller, place, named):
        acl.demand(caller, place, Right.READ, named)
    if place.entry is None:
        raise acl.missing(caller)
    # Only now: whether there is a default view would tell that the entry exists.
    name = named or place.default_view
    _demand_view(served, name)
    entry, image = place.entry, place.entry.image
    if image is None:
        raise IsADirectory("a directory cannot be read as a file", remedy="list it, or get it with -r")
    demand_bound(served.bindings, entry.guid, image, entry.only_view, entry.binding)
    return entry, image, name


def _demand_view(served: ServedViews, name: View) -> None:
    if not served.exists(name):
        raise BadRequest("there is no such view here", remedy="`mdm profile list` names those that are")
