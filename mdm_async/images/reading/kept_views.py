"""Views that were opened lately, kept open: whoever prepares one again needs neither its parts nor the key store.

What is kept stands for nothing but itself: it is given only for a holding that is the very one that it was opened from,
as the catalog tells it now. So one of a deleted image, under other keys or in another version, is not found.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mdm_async.catalog.holdings.stored_views import Holding
from mdm_async.images.reading.view import ReadyView

_BYTES: Final = 64 << 20
"""In memory, of their parts."""

Key = tuple[UUID, str]
"""An image and the name of its view."""


@dataclass(slots=True, repr=False)
class _Kept:
    holding: Holding
    view: ReadyView
    weight: int
    used: float


class KeptViews:
    """`most` of them, the least recently used forgotten first."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key, holding: Holding) -> ReadyView | None:
        """The view that was opened from this."""
        kept = self._kept.get(key)
        if kept is None or kept.holding != holding:
            return None
        kept.used = self._clock()
        self._kept.move_to_end(key)
        return kept.view

    def keep(self, key: Key, holding: Holding, view: ReadyView) -> None:
        self._drop(key)
        self._kept[key] = _Kept(holding, view, view.weight, self._clock())
        self._weight += view.weight
        while self._kept and (len(self._kept) > self._most or self._weight > _BYTES):
            self._drop(next(iter(self._kept)))

    def let_go(self, since: float) -> None:
        """Forget all that were not used since that moment (`clock`), and the keys that open them."""
        while self._kept and (oldest := next(iter(self._kept.items())))[1].used <= since:
            self._drop(oldest[0])

    def forget(self, images: Collection[UUID] | None = None) -> None:
        """Those of these images, or all."""
        for key in [key for key in self._kept if images is None or key[0] in images]:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        if (dropped := self._kept.pop(key, None)) is not None:
            self._weight -= dropped.weight
