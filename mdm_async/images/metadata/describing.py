"""What is known of entries, told: what a view's bytes say, for whoever may read it, and what users say.

It takes the right 'g'. A view that is named must be readable; of the default one nothing is told to whom it is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mdm_async.catalog.metadata import matches
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import MdmError
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.metadata.identified import identified_values
from mdm_async.images.metadata.rows import Desk
from mdm_async.images.metadata.values import Own, demanded, entry_at, own_of
from mdm_async.images.surls import resolve
from mdm_async.keys.store import KeyStore
from mdm_async.names import IDENTIFIED, OPAQUE, Caller, Right, Surl, View

Said = Mapping[str, Sequence[Any]]
"""Values by keyword."""


@dataclass(frozen=True, slots=True)
class Described:
    """An entry, and what is known of it. `view`: whose bytes say what is `said`; None: no view that may be read."""

    entry: Entry
    own: Own
    view: View | None
    said: Said


async def describe(
    desk: Desk, keys: KeyStore, cipher: CipherPool, caller: Caller, surls: Sequence[str], most: int
) -> list[tuple[str, Described | MdmError]]:
    """Each of these entries. What originals say is told with the right 'i', and that is in the audit.

    Raises TooLarge when users' own values take more than `most` bytes.
    """
    async with desk.database.transaction() as db:
        await desk.views.refresh(db)
        resolved = await resolve(db, caller, surls)
        places = [_place(caller, one) for one in resolved]
        seen = [one for one in places if isinstance(one, Place)]
        own = await own_of(db, seen, most)
        views = [
            _view(caller, one[0], place)
            if isinstance(place, Place) and not isinstance(one, MdmError)
            else None
            for one, place in zip(resolved, places, strict=True)
        ]
        wanted = {
            (entry_at(place).image, view)
            for place, view in zip(places, views, strict=True)
            if isinstance(place, Place) and view is not None
        }
        ready = [(image, view) for image, view in wanted if image is not None and view != IDENTIFIED]
        said: dict[tuple[UUID | None, View | None], Said] = dict(
            zip(ready, await matches.said(db, ready, desk.views.versions), strict=True)
        )
        originals = [
            entry_at(place)
            for place, view in zip(places, views, strict=True)
            if isinstance(place, Place) and view == IDENTIFIED
        ]
        read = [Act(caller, "read metadata", guid=one.guid, view=IDENTIFIED) for one in originals]
        await acts.record(db, read)
    images = list({one.image for one in originals if one.image is not None})
    if images:
        opened = await identified_values(desk.database, keys, cipher, images)
        said |= {(image, IDENTIFIED): values for image, values in opened.items()}
    return [
        (
            surl,
            place
            if isinstance(place, MdmError)
            else Described(
                entry_at(place), own[entry_at(place).id], view, said.get((entry_at(place).image, view), {})
            ),
        )
        for surl, place, view in zip(surls, places, views, strict=True)
    ]


def _place(caller: Caller, found: tuple[Surl, Place] | MdmError) -> Place | MdmError:
    place = demanded(caller, found, Right.GET_METADATA)
    if isinstance(place, Place) and not isinstance(found, MdmError) and found[0].view is not None:
        return demanded(caller, found, Right.READ, found[0].view)
    return place


def _view(caller: Caller, surl: Surl, place: Place) -> View | None:
    """The view that is told of."""
    view = surl.view or place.default_view
    if entry_at(place).is_directory or view == OPAQUE or not acl.allows(caller, place, Right.READ, view):
        return None
    return view
