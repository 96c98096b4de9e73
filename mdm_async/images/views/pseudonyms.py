"""Finding a patient again: the hospital looks up whose pseudonym it is."""

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from mdm_async.catalog.holdings import stored_views
from mdm_async.catalog.namespace import paths, places
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts as audit
from mdm_async.catalog.trail.acts import Act
from mdm_async.dicom.identifiers import linking_values
from mdm_async.errors import Damaged, Gone, Malformed, NotDicom, NotFound, NotOnline, ViewPending, ViewRefused
from mdm_async.images.reading import stream
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.views.originals import original_head
from mdm_async.images.views.workshop import Workshop
from mdm_async.names import Caller, Right, View
from mdm_async.postgres.database import Connection, Database

_LOOKED_AT = 500
_OPENED = 10
"""Images whose originals are opened: a pseudonym's original is the same in all of them."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a pseudonym stands for: the attribute's keyword, its original value, the view that it is from."""

    attribute: str
    original: str
    view: View


async def lookup(workshop: Workshop, shelf: Shelf, caller: Caller, pseudonym: str) -> list[Match]:
    """Whose pseudonym this is, as far as the caller has the right `i` on a file of theirs; audited.

    Raises NotFound, also to a caller who may not know.
    """
    pseudonym = pseudonym.strip()
    database = workshop.depot.database
    found = await _permitted(database, shelf.served, caller, workshop.finder.digest(pseudonym))
    matches: dict[Match, UUID] = {}
    for image, name, guid in found:
        for match in await _matches(workshop, shelf, image, name, pseudonym):
            matches.setdefault(match, guid)
    async with database.transaction() as db:
        acts = [
            Act(
                caller,
                "pseudonym lookup",
                guid=guid,
                view=match.view,
                details={"attribute": match.attribute},
            )
            for match, guid in matches.items()
        ]
        await audit.record(db, acts or [Act(caller, "pseudonym lookup", "failure")])
    if not matches:
        raise NotFound("no image that you may identify has this pseudonym")
    return list(matches)


async def _permitted(
    database: Database, served: ServedViews, caller: Caller, digest: bytes
) -> list[tuple[UUID, View, UUID]]:
    """(image, view, GUID of an entry) of views that hold the pseudonym: the first few that the caller may identify."""
    permitted: list[tuple[UUID, View, UUID]] = []
    after = UUID(int=0)
    async with database.acquire() as db:
        await served.refresh(db)
        while len(permitted) < _OPENED:
            found = await stored_views.with_pseudonym(db, digest, served.versions, after, _LOOKED_AT)
            if not found:
                break
            guids = await identified_by(db, caller, {image for image, _, _ in found})
            permitted += [(image, View(name), guids[image]) for image, name, _ in found if image in guids]
            after = found[-1][0]
    return permitted[:_OPENED]


async def identified_by(db: Connection, caller: Caller, wanted: set[UUID]) -> dict[UUID, UUID]:
    """Of these images those that the caller may identify, each with the GUID of an entry of it."""
    guids: dict[UUID, UUID] = {}
    for place in await places.resolve(db, await paths.of_images(db, wanted)):
        entry = place.entry
        if entry is not None and entry.image is not None and acl.allows(caller, place, Right.IDENTITY):
            guids.setdefault(entry.image, entry.guid)
    return guids


async def _matches(workshop: Workshop, shelf: Shelf, image: UUID, name: View, pseudonym: str) -> list[Match]:
    try:
        head = await original_head(workshop, shelf, image)
        ready = await shelf.load_one(workshop.depot.database, image, name)
        originals = await workshop.cipher.run(partial(linking_values, head or b""))
        made = await stream.first_part(workshop.depot.blobs, ready)
        given = await workshop.cipher.run(partial(linking_values, made))
    except (ViewPending, ViewRefused, NotOnline, Gone, Damaged, Malformed, NotDicom):
        return []  # another image of theirs may tell
    return [
        Match(attribute, originals[attribute], name)
        for attribute, value in given.items()
        if value == pseudonym and attribute in originals
    ]
