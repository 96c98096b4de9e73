"""A rejection note that gets a name hides the instances that it names (IHE RAD TF, Imaging Object Change Management).

It counts where whoever brings it could have taken the instances back otherwise: of what he brought himself and may
still write, and of what he may destroy, which takes `d` and `i`. An image is asked about at the oldest of its names:
who links or copies it elsewhere neither hides it nor keeps it from being hidden.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import structlog

from mdm_async.catalog.holdings import rejections
from mdm_async.catalog.holdings.rejections import Named
from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.dicom.rejection_notes import QUALITY
from mdm_async.names import Caller
from mdm_async.postgres.database import Connection

HIDDEN: Final = "hide"
"""For the audit: a file is hidden by a rejection note."""
_PAGE: Final = 1000
_log = structlog.get_logger()


async def reject(db: Connection, caller: Caller, note: UUID, guid: UUID, directory: int, writer: str) -> None:
    """Hide what a note names, in the transaction that gives it its name, under `rejections.lock`.

    `guid`: of the note's file; `directory`: below which it counts for what comes later.
    """
    allowed: list[UUID] = []
    after: bytes | None = b""
    while after is not None:
        named, after = await rejections.named_by(db, note, writer, after, _PAGE)
        where = await places.of_entries(db, {one.entry for one in named if one.entry is not None})
        allowed += [one.image for one in named if _may_reject(caller, one, where)]
    await rejections.lock_files(db, [note, *allowed])
    hidden = 0
    for start in range(0, len(allowed), _PAGE):
        hidden += await hide(db, caller, note, guid, allowed[start : start + _PAGE])
    of_whom = await _of_whom(db, caller, directory, writer)
    code = await rejections.apply_later(db, note, guid, directory, of_whom)
    if code != QUALITY:
        await hide(db, caller, note, guid, [note])
    _log.info("a rejection note came", guid=str(guid), code=code, hidden=hidden)


async def hide(db: Connection, caller: Caller, note: UUID, guid: UUID, images: list[UUID]) -> int:
    """Hide images by a note, whose file is `guid`: how many files that are."""
    if not images:
        return 0
    files = await rejections.hide(db, note, images)
    details = {"note": str(guid)}
    await acts.record(
        db,
        [Act(caller, HIDDEN, guid=file, details=details | {"code": code}) for file, code in files.items()],
    )
    return len(files)


def _may_reject(caller: Caller, named: Named, where: Mapping[int, Place]) -> bool:
    if named.entry is None:  # A cohort alone has it.
        return named.is_own
    if (place := where.get(named.entry)) is None:
        return False
    return (named.is_own and acl.may_create(caller, place)) or acl.may_shred(caller, place)


async def _of_whom(db: Connection, caller: Caller, directory: int, writer: str) -> str | None:
    """Whose instances the note hides below the directory when they come later; None: anybody's."""
    place = (await places.of_entries(db, [directory])).get(directory)
    return None if place is not None and acl.may_shred(caller, place.child("", None)) else writer
