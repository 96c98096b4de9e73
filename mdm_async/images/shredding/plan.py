"""What shredding would destroy: looked at before it, and again under locks when it is done."""

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

from mdm_async.catalog.grants import shredding as transfers
from mdm_async.catalog.holdings import rejections, replicas, shredding
from mdm_async.catalog.holdings.replicas import Replica
from mdm_async.catalog.holdings.shredding import Whole
from mdm_async.catalog.namespace import paths, places
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import deliveries
from mdm_async.catalog.trail.deliveries import Delivery
from mdm_async.errors import BadRequest
from mdm_async.names import Caller
from mdm_async.postgres.database import Connection

MOST: Final = 50_000
"""Images that one shred destroys."""
_AT_ONCE: Final = 500
"""Images looked at between two turns of the event loop."""


@dataclass(slots=True, repr=False)
class Plan:
    """All that goes with some images, in all projects. `entries` are (entry's id, GUID, image).

    `hidden`: entries that the caller does not see. `barred`: entries at which the caller lacks `d` or `i`.
    """

    images: list[Whole] = field(default_factory=list)
    entries: list[tuple[int, UUID, UUID]] = field(default_factory=list)
    hidden: int = 0
    barred: int = 0
    urls: int = 0
    """Transfer URLs that are alive."""
    replicas: dict[int, list[Replica]] = field(default_factory=dict)
    """By entry."""
    pins: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(GUID, image) of members of cohorts."""
    delivered: list[Delivery] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """What it is a plan of: another when an image or an entry has come or gone."""
        lines = [f"{one.image}" for one in self.images]
        lines += sorted(f"{image} {guid}" for _, guid, image in self.entries)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def told(self) -> dict[UUID, dict[str, Any]]:
        """What the receipt says of each image."""
        entries: dict[UUID, list[tuple[int, UUID]]] = defaultdict(list)
        for entry, guid, image in self.entries:
            entries[image].append((entry, guid))
        pins: dict[UUID, list[UUID]] = defaultdict(list)
        for guid, image in self.pins:
            pins[image].append(guid)
        delivered: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
        for one in self.delivered:
            delivered[one.guid].append(_told(one))
        return {
            image.image: {
                "image": str(image.image),
                "entries": sorted(str(guid) for _, guid in entries[image.image]),
                "views": [{"name": name, "version": version} for name, version, _ in image.views],
                "parts": image.parts,
                "blobs": len(image.blobs),
                "bytes": image.size,
                "replicas": sum(len(self.replicas.get(entry, ())) for entry, _ in entries[image.image]),
                "cohorts": len(pins[image.image]),
                "delivered": [
                    one
                    for guid in sorted({*(guid for _, guid in entries[image.image]), *pins[image.image]})
                    for one in delivered[guid]
                ],
            }
            for image in self.images
        }


def _told(one: Delivery) -> dict[str, Any]:
    return {
        "to": one.caller,
        "entry": str(one.guid),
        "view": one.view,
        "first": moment(one.first),
        "last": moment(one.last),
        "bytes": one.bytes,
        "sealed": one.sealed,
        "recipients": list(one.recipients),
        "servers": list(one.servers),
    }


def moment(time: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def plan(db: Connection, caller: Caller, images: Collection[UUID]) -> Plan:
    """Of images that are there; those that are gone are left out. Raises BadRequest when they are too many."""
    if len(images) > MOST:
        raise BadRequest(
            f"these are more than {MOST} images", remedy="shred some of them by their names first"
        )
    made = Plan()
    ids = sorted(images)
    for start in range(0, len(ids), _AT_ONCE):
        await _add(db, caller, ids[start : start + _AT_ONCE], made)
        await asyncio.sleep(0)
    return made


async def lock(db: Connection, images: Collection[UUID]) -> None:
    """Keep what is planned as it is until the transaction ends. Notes and entries first, as for who removes them."""
    await rejections.lock_notes(db, images)
    await paths.lock_entries_of_images(db, images)
    await shredding.lock(db, images)


async def _add(db: Connection, caller: Caller, images: Sequence[UUID], made: Plan) -> None:
    found = await shredding.wholes(db, images)
    created = {one.image: one.created for one in found}
    named = await paths.entries_of_images(db, created)
    entries = [entry for entry, _, _ in named]
    where = await places.of_entries(db, entries)
    made.images += found
    made.entries += named
    made.hidden += sum(not acl.sees(caller, place) for place in where.values())
    made.barred += sum(not acl.may_shred(caller, place) for place in where.values())
    made.urls += await transfers.live(db, created)
    made.replicas |= await replicas.of_entries(db, entries)
    pins = await shredding.pins(db, created)
    made.pins += pins
    # What a cohort gives is told of under the GUID of the entry, which may be gone.
    given = {guid: created[image] for _, guid, image in named} | {
        guid: created[image] for guid, image in pins
    }
    made.delivered += await deliveries.of_entries(db, given)


@dataclass(frozen=True, slots=True)
class Counts:
    """A plan for people, who may not see all that it is of."""

    images: int
    entries: int
    hidden: int
    barred: int
    views: int
    parts: int
    blobs: int
    bytes: int
    urls: int
    replicas: int
    cohorts: int
    """Members of cohorts that these images are."""
    callers: int
    """Who had bytes of these images before."""
    digest: str

    @classmethod
    def of(cls, plan: Plan) -> Self:
        sums: Counter[str] = Counter()
        for one in plan.images:
            sums.update(views=len(one.views), parts=one.parts, blobs=len(one.blobs), bytes=one.size)
        return cls(
            images=len(plan.images),
            entries=len(plan.entries),
            hidden=plan.hidden,
            barred=plan.barred,
            views=sums["views"],
            parts=sums["parts"],
            blobs=sums["blobs"],
            bytes=sums["bytes"],
            urls=plan.urls,
            replicas=sum(map(len, plan.replicas.values())),
            cohorts=len(plan.pins),
            callers=len({one.caller for one in plan.delivered}),
            digest=plan.digest,
        )
