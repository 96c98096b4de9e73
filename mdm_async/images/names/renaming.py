"""Files whose patient is another by now get the names that they would have had for that one from the first."""

from contextlib import suppress
from typing import Final
from uuid import UUID

from mdm_async.catalog.namespace import entries, paths, places
from mdm_async.catalog.namespace.places import Place
from mdm_async.errors import Exists, WrongContent
from mdm_async.images.names import directories
from mdm_async.images.names.archived_name import keyed_by
from mdm_async.images.names.path_template import pseudonym
from mdm_async.images.reading.served import ServedViews
from mdm_async.names import Ability, Caller, Lfn, Right, Scope, parse_lfn, split
from mdm_async.postgres.database import Connection

_MOST: Final = 100
"""Names of one image."""


async def follow_patient(db: Connection, views: ServedViews, image: UUID, was: str, now: str) -> None:
    """Rename an image's files, whose names were made by a template, in the transaction that gives it its bytes. `was`,
    `now`: Patient IDs, as `patient_named_by` has them. Research projects' entries, and names that tell no patient, stay
    as they are.

    It needs no right: whoever gave the names gave them to what the archive has. Raises WrongContent when that cannot
    be done.
    """
    found = await places.of_entries(db, await paths.own_entries(db, [image], _MOST))
    for place in found.values():
        lfn = _renamed(views, place, was, now)
        if lfn == place.lfn:
            continue
        to = await places.resolve_one(db, lfn)
        if to.missing > 1:
            with suppress(Exists):  # Of what the server itself does not see.
                await directories.made(db, _anybody_above(place.lfn, lfn), split(lfn)[0], to)
            to = await places.resolve_one(db, lfn)
        if place.entry is None or place.entry.parent is None or to.parent is None:
            raise WrongContent(
                "it is another patient's by now, and registered as that one's already",
                remedy="use that file, and remove this one: mdm rm",
            )
        await entries.swap_image(
            db, place.entry.parent, place.entry.name, image, image, to=(to.parent.id, split(lfn)[1])
        )


def _renamed(views: ServedViews, place: Place, was: str, now: str) -> Lfn:
    served = keyed_by(views, place.default_view)
    if served.mapping is not None:
        # The name may be a subject's, or made of that.
        raise WrongContent(
            "it is another patient's by now, and a mapping names patients here",
            remedy="register it again, and remove this file: mdm rm",
        )
    old, new = (pseudonym("patient", one, served.key) for one in (was, now))
    return parse_lfn(place.lfn.replace(old, new))


def _anybody_above(was: Lfn, now: Lfn) -> Caller:
    """Who makes the directories: nobody but the server, below what both names have in common."""
    parts = was.split("/")
    first = next(n for n, (one, other) in enumerate(zip(parts, now.split("/"), strict=False)) if one != other)
    top = Lfn("/".join(parts[:first]) or "/")
    return Caller(
        "mdm",
        frozenset({"mdm"}),
        (Scope(top, frozenset({Right.WRITE}), also=frozenset({Ability.DIRECTORIES})),),
    )
