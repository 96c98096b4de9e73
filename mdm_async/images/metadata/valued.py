"""Rows of originals that have a value of one attribute, page by page of the index of values, however many there are."""

from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from mdm_async.catalog.metadata import blind, matches
from mdm_async.catalog.metadata.candidates import Probe
from mdm_async.catalog.metadata.columns import BlindAttribute
from mdm_async.catalog.metadata.matches import Row, Wanted
from mdm_async.catalog.namespace import paths, places
from mdm_async.images.metadata.rows import Desk, known_of, place_of
from mdm_async.names import Caller, Scope

PAGE: Final = 500
"""Images that are looked at at once."""
_NIL: Final = UUID(int=0)


@dataclass(slots=True)
class Valued:
    """What matches at and below a path, of those that a look into the index gives, in no order of names.

    Each page is what the caller may know when it is made.
    """

    _desk: Desk
    _caller: Caller
    _path: str | None
    _wanted: Wanted
    _probe: Probe
    _value: int = 0
    _after: UUID = field(default=_NIL)

    @property
    def is_over(self) -> bool:
        return self._value == len(self._probe.values)

    async def next(self) -> list[Row] | None:
        """Raises as `place_of`."""
        if self.is_over:
            return None
        attribute, views = self._probe.attribute, self._desk.views
        assert isinstance(attribute, BlindAttribute)
        digest = bytes.fromhex(str(self._probe.values[self._value]))
        async with self._desk.database.acquire() as db:
            await views.refresh(db)
            place = await place_of(db, self._caller, self._path)
            images = await blind.with_value(db, attribute.tag, digest, self._after, PAGE)
            if len(images) == PAGE:
                self._after = images[-1]
            else:
                self._value, self._after = self._value + 1, _NIL
            below = Scope(place.lfn, frozenset())
            found = await places.resolve(
                db, [one for one in await paths.of_images(db, images) if below.covers(one)]
            )
            wanted = replace(self._wanted, versions=views.versions)
            return await matches.among(db, known_of(self._caller, wanted, found), wanted)
