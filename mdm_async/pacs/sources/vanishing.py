"""What an archive has no more is marked: what it did not list, and does not have when it is asked for just that.

So a listing that was cut, or changed while it was read, marks nothing.
"""

from collections.abc import Sequence, Set
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mdm_async.catalog.holdings import vanished
from mdm_async.catalog.namespace import paths
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import PeerFailed
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.keys.store import KeyStore
from mdm_async.names import Caller
from mdm_async.pacs.source import Source
from mdm_async.pacs.sources.fetching import sources_of
from mdm_async.postgres.database import Database

_AT_ONCE: Final = 500
_STUDIES: Final = 20
_MOST_ASKED: Final = 500
"""Instances of one study that are asked for one by one; the rest of what is not listed another time."""


@dataclass(frozen=True, slots=True)
class Vanishing:
    """Of one archive, looked for by a caller: what vanished is in the audit, by each of its names' GUIDs."""

    database: Database
    keys: KeyStore
    source: Source
    caller: Caller

    async def instances(self, study: bytes, listed: Set[bytes]) -> int:
        """Of a study that the archive has listed; how many were marked. Raises SourceAway, PeerFailed."""
        unlisted, after = dict[UUID, bytes](), UUID(int=0)
        while len(unlisted) < _MOST_ASKED:
            page = await self._page(study, after)
            if not page:
                break
            after = page[-1][0]
            unlisted |= {image: instance for _, image, instance in page if instance not in listed}
        gone = []
        for image, asked in (
            await sources_of(self.database, self.keys, list(unlisted)[:_MOST_ASKED])
        ).items():
            if not await self.source.has(asked):
                gone.append(image)
        await self._mark(gone)
        return len(gone)

    async def studies(self, study: bytes | None, since: float) -> int | None:
        """Of some studies that the archive has not listed since then, or of that one; how many images were marked; None
        when there are no more such studies. Raises SourceAway, PeerFailed.
        """
        async with self.database.acquire() as db:
            unlisted = await vanished.not_listed(db, self.source.name, study, since, _STUDIES)
        if not unlisted:
            return None
        # One that has lost its index, say, lists nothing, and has not lost its images.
        if not await self._lists([]):
            raise PeerFailed("the archive lists no study at all, so none is taken for vanished")
        return sum([await self._study(one) for one in unlisted])

    async def _study(self, study: bytes) -> int:
        page = await self._page(study, UUID(int=0))
        asked = await sources_of(self.database, self.keys, [image for _, image, _ in page[:1]])
        for one in asked.values():
            if await self._has_study(one):
                async with self.database.acquire() as db:
                    await vanished.listed(db, self.source.name, study, ())
                return 0
        if not asked:  # nor can it be asked for
            page = []
        count = 0
        while page:
            await self._mark([image for _, image, _ in page])
            count += len(page)
            page = await self._page(study, page[-1][0])
        async with self.database.acquire() as db:
            await vanished.forget_study(db, self.source.name, study)
        return count

    async def _has_study(self, source: PacsSource) -> bool:
        # Whatever it answers: it may match by less than it was given.
        return await self._lists([("StudyInstanceUID", source.study)])

    async def _lists(self, matching: Sequence[tuple[str, str]]) -> bool:
        """Whether there is any such study."""
        async with aclosing(self.source.studies(matching, begin=0, size=1)) as pages:
            async for page in pages:
                if page:
                    return True
        return False

    async def _page(self, study: bytes, after: UUID) -> list[tuple[UUID, UUID, bytes]]:
        async with self.database.acquire() as db:
            return list(await vanished.believed_there(db, self.source.name, study, after, _AT_ONCE))

    async def _mark(self, images: list[UUID]) -> None:
        if images:
            async with self.database.transaction() as db:
                await vanished.mark(db, images)
                about: dict[str, object] = {"archive": self.source.name}
                named = await paths.entries_of_images(db, images)
                await acts.record(
                    db, [Act(self.caller, "vanished", guid=guid, details=about) for _, guid, _ in named]
                )
