"""Where de-identified views are made."""

from dataclasses import dataclass, field, replace
from typing import Self

from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.hooks.hooks import Hooks
from mdm_async.images.parts.depot import Depot
from mdm_async.images.views.announced_sets import AnnouncedSets
from mdm_async.images.views.scrubbing import Scrubber
from mdm_async.keys.derive import BlindIndex, PseudonymFinder
from mdm_async.postgres.database import Database
from mdm_async.settings import ScrubSettings


@dataclass(frozen=True, slots=True)
class Workshop:
    """What makes a view: it scrubs, writes the new parts, and keeps pseudonyms, and originals' values, so that they can
    be found.
    """

    depot: Depot
    scrubber: Scrubber
    finder: PseudonymFinder
    blind: BlindIndex
    hooks: Hooks
    sets: AnnouncedSets = field(default_factory=AnnouncedSets)

    def on(self, database: Database) -> Self:
        """The same, with connections of this lane."""
        return replace(self, depot=replace(self.depot, database=database))

    @property
    def cipher(self) -> CipherPool:
        return self.depot.cipher

    @property
    def limits(self) -> ScrubSettings:
        return self.scrubber.settings
