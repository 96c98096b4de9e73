"""Where pixels lie that were asked for lately: frames are asked for one by one, and heads of many frames are long."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from mdm_async.dicom.pixels.placed import Placed
from mdm_async.images.reading.view import ReadyView

_MOST: Final = 16 << 20
"""Bytes that are kept."""
_EACH: Final = 1 << 11
"""Bytes of one beside its offset tables."""


@dataclass(slots=True, repr=False)
class KnownPixels:
    """By a view's head, which never changes. Not for threads: only the event loop may ask."""

    most: int = _MOST
    _kept: OrderedDict[UUID, Placed] = field(default_factory=OrderedDict)
    _weight: int = 0

    def of(self, view: ReadyView) -> Placed | None:
        found = self._kept.get(_head(view))
        if found is not None:
            self._kept.move_to_end(_head(view))
        return found

    def keep(self, view: ReadyView, found: Placed) -> None:
        """What was asked for longest ago makes room."""
        if _head(view) in self._kept:
            return
        self._kept[_head(view)] = found
        self._weight += _bytes(found)
        while self._weight > self.most:
            self._weight -= _bytes(self._kept.popitem(last=False)[1])


def _head(view: ReadyView) -> UUID:
    return view.parts[0].row.id


def _bytes(placed: Placed) -> int:
    return _EACH + sum(map(len, placed.extended or ()))
