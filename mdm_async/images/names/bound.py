"""Whether an entry points to the image it was given: whoever reads by its name gets no other patient's."""

from uuid import UUID

from mdm_async.catalog.namespace.entries import Entry
from mdm_async.errors import Damaged
from mdm_async.images.reading.suspects import suspect
from mdm_async.keys.derive import EntryBindings


def is_bound(bindings: EntryBindings, entry: Entry) -> bool:
    """Whether it points to what it was given; directories do. What it points to is suspect else."""
    if entry.image is None or bindings.fits(entry.guid, entry.image, entry.only_view, entry.binding):
        return True
    suspect(entry.image)
    return False


def astray() -> Damaged:
    return Damaged(
        "the file's name points to another image than it was given",
        remedy="it was changed in the database, not by mdm: put the file again, or remove its name",
    )


def demand_bound(
    bindings: EntryBindings, guid: UUID, image: UUID, only_view: str | None, binding: bytes | None
) -> None:
    """Raises Damaged."""
    if not bindings.fits(guid, image, only_view, binding):
        suspect(image)
        raise astray()
