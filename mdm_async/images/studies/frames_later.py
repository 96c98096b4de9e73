"""Images whose frames were looked for without an index, to which one is made in the background."""

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from mdm_async.catalog.work import images_to_index
from mdm_async.dicom.part10 import Kind
from mdm_async.dicom.pixels.frames import MOST
from mdm_async.dicom.pixels.placed import Placed
from mdm_async.errors import MdmError
from mdm_async.images.metadata.frames_noting import lacks_note
from mdm_async.images.reading.view import ReadyView
from mdm_async.postgres.database import Database

_REMEMBERED: Final = 10_000
"""Images, each of which is asked for once, as long as it is remembered: some never get one."""


@dataclass(slots=True)
class FramesLater:
    _asked: OrderedDict[UUID, None] = field(default_factory=OrderedDict)

    async def look(self, database: Database, view: ReadyView, pixels: Placed) -> None:
        """Ask for an index, if it lacks one that it could have."""
        if view.image in self._asked or not _lacks(view, pixels):
            return
        self._asked[view.image] = None
        if len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
        with suppress(MdmError):  # frames are found all the same
            async with database.acquire() as db:
                await images_to_index.add(db, view.image)


def _lacks(view: ReadyView, pixels: Placed) -> bool:
    layout = pixels.layout
    if layout is None or not 1 < layout.frames <= MOST or pixels.length is not None:
        return False
    return any(
        lacks_note(part.record, view.index is not None)
        for part in view.parts
        if part.row.kind == Kind.PIXELS.value
    )
