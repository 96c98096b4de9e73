"""What images of one series share: looked for in the catalog once, and not again for each of its files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mdm_async.catalog.metadata import index
from mdm_async.catalog.metadata.index import IndexedView
from mdm_async.catalog.metadata.sets import chain_of
from mdm_async.postgres.database import Database

_MOST: Final = 4096
"""Series that are remembered."""


@dataclass(frozen=True, slots=True)
class AnnouncedSets:
    """The digests of series' sets that were there lately. One that has gone since is made where it is named."""

    _lately: dict[bytes, None] = field(default_factory=dict)

    async def announce(self, database: Database, views: Sequence[IndexedView]) -> None:
        """As `index.announce`."""
        series = dict.fromkeys(chain_of(view.attributes)[2].digest for view in views)
        if series.keys() <= self._lately.keys():
            return
        async with database.acquire() as db:
            await index.announce(db, views)
        self._lately.update(series)
        while len(self._lately) > _MOST:
            del self._lately[next(iter(self._lately))]
