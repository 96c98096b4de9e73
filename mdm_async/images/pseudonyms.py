"""Finding a patient again: the hospital looks up whose pseudonym it is."""

from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog import acl, audit, entries, images, paths
from mdm_async.catalog.audit import Act
from mdm_async.catalog.database import Connection
from mdm_async.dicom.linking import linking_values
from mdm_async.errors import MdmError, NotFound
from mdm_async.images import stream, view
from mdm_async.images.archive import Archive
from mdm_async.images.originals import original_head
from mdm_async.names import Caller, Right, View

_LOOKED_AT = 100
"""Images at the most: a pseudonym's original is the same in all of them, unless the key has been used wrongly."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a pseudonym stands for: the attribute's keyword, its original value, the view that it is from."""

    attribute: str
    original: str
    view: View


async def lookup(archive: Archive, caller: Caller, pseudonym: str) -> list[Match]:
    """Whose pseudonym this is, as far as the caller has the right `i` on a file of theirs; audited.

    Raises NotFound, also to a caller who may not know.
    """
    async with archive.database.acquire() as db:
        await archive.views.refresh(db)
        found = await images.with_pseudonym(db, archive.finder.digest(pseudonym.strip()), _LOOKED_AT)
        found = [one for one in found if archive.views.serves(one[1], one[2])]
        guids = await _identifiable(db, caller, {image for image, _, _ in found})
    matches: dict[Match, UUID] = {}
    for image, name, _ in found:
        if image in guids:
            for match in await _matches(archive, image, View(name), pseudonym.strip()):
                matches.setdefault(match, image)
    if not matches:
        raise NotFound("no image that you may identify has this pseudonym")
    async with archive.database.transaction() as db:
        acts = [
            Act(
                caller.name,
                "pseudonym lookup",
                guid=guids[image],
                view=match.view,
                details={"attribute": match.attribute},
            )
            for match, image in matches.items()
        ]
        await audit.record(db, acts)
    return list(matches)


async def _identifiable(db: Connection, caller: Caller, wanted: set[UUID]) -> dict[UUID, UUID]:
    """Of these images those that the caller may identify, each with the GUID of an entry of it."""
    guids: dict[UUID, UUID] = {}
    for place in await entries.resolve(db, await paths.of_images(db, wanted)):
        entry = place.entry
        if entry is not None and entry.image is not None and acl.allows(caller, place, Right.IDENTITY):
            guids.setdefault(entry.image, entry.guid)
    return guids


async def _matches(archive: Archive, image: UUID, name: View, pseudonym: str) -> list[Match]:
    try:
        head = await original_head(archive, image)
        async with archive.database.acquire() as db:
            ready = await view.load_one(archive, db, image, name)
        originals = linking_values(head or b"")
        given = linking_values(await stream.first_part(archive, ready))
    except MdmError:
        return []
    return [
        Match(attribute, originals[attribute], name)
        for attribute, value in given.items()
        if value == pseudonym and attribute in originals
    ]
