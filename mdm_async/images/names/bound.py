"""Whether an entry points to the image it was given: whoever reads by its name gets no other patient's."""

from uuid import UUID

from mdm_async.errors import Damaged
from mdm_async.images.reading.suspects import suspect
from mdm_async.keys.derive import EntryBindings


def demand_bound(
    bindings: EntryBindings, guid: UUID, image: UUID, only_view: str | None, binding: bytes | None
) -> None:
    """Raises Damaged."""
    if not bindings.fits(guid, image, only_view, binding):
        suspect(image)
        raise Damaged(
            "the file's name points to another image than it was given",
            remedy="it was changed in the database, not by mdm: put the file again, or remove its name",
        )
