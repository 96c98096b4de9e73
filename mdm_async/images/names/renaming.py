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


async def follow_patient(
    db: Connection, views: ServedViews, image: UUID, was: str, now: str, *, other_id: bool
) -> set[UUID]:
    """Rename an image's files, whose names were made by a template, in the transaction that gives it its bytes, and has
    locked the rights. `was`, `now`: as `patient_named_by` has them; `other_id`: more than the issuer differs. Research
    projects' entries stay as they are, and so do names that tell no patient.

    What users said of a file was said of another patient's, and so were its own ACL's rights given: both go. The GUIDs
    of those that had an ACL.

    It needs no right: whoever gave the names gave them to what the archive has. Raises WrongContent when that cannot
    be done.
    """
    found = await places.of_entries(db, await paths.own_entries(db, [image], _MOST))
    had: set[UUID] = set()
    for place in found.values():
        assert place.entry is not None
        assert place.entry.parent is not None
        here = place.entry.parent, place.entry.name
        lfn = _renamed(views, place, was, now, other_id)
        to = here if lfn == place.lfn else await _free(db, place.lfn, lfn)
        if place.entry.has_own_acl:
            had.add(place.entry.guid)
        await entries.swap_image(db, *here, image, image, to=to, closed=True, bind=views.bindings.of)
    return had


async def _free(db: Connection, was: Lfn, lfn: Lfn) -> tuple[int, str]:
    """The directory of a name that nothing has yet. Raises WrongContent."""
    to = await places.resolve_one(db, lfn)
    if to.missing > 1:
        with suppress(Exists):  # Of what the server itself does not see.
            await directories.made(db, _anybody_above(was, lfn), split(lfn)[0], to)
        to = await places.resolve_one(db, lfn)
    if to.parent is None:
        raise WrongContent(
            "it is another patient's by now, and registered as that one's already",
            remedy="use that file, and remove this one: mdm rm",
        )
    return to.parent.id, split(lfn)[1]


def _renamed(views: ServedViews, place: Place, was: str, now: str, other_id: bool) -> Lfn:
    served = keyed_by(views, place.default_view)
    if served.mapping is not None and (other_id or served.mapping.tells_issuers):
        # The name may be a subject's, or made of that.
        raise WrongContent(
            "it is another patient's by now, and a mapping names patients here",
            remedy="register it again, and remove this file: mdm rm",
        )
    # The name is by the key of the view that was the default when it was given, and where.
    for key in dict.fromkeys((served.key, *(one.key for one in views))):
        old, new = (pseudonym("patient", one, key) for one in (was, now))
        if old in place.lfn:
            return parse_lfn(place.lfn.replace(old, new))
    return place.lfn


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
