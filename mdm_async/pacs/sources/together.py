"""Images of one series that wait together come in one request: each is stored, and told of, as it arrives.

Whatever does not come so (the answer broke off, or has it otherwise than it was registered) is asked for by itself.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from mdm_async.catalog.grants import waiting
from mdm_async.catalog.holdings import locality, sources
from mdm_async.catalog.work import images_to_stage
from mdm_async.catalog.work.queue import Row
from mdm_async.dicom.filemeta import MetaReader
from mdm_async.errors import Damaged, Gone, MdmError, NotDicom, PeerFailed, SourceAway, TooLarge, WrongContent
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.images.shift import Shift
from mdm_async.images.transfers.staging import Waiters
from mdm_async.pacs.sources.fetching import Fetcher, sources_of
from mdm_async.pacs.sources.settling import settle

_MOST: Final = 2000
"""Images that are asked for together; of a series that has more than twice as many each is asked for by itself."""
_AT_ONCE: Final = 100
_GROWING, _GROWS = 0.1, 10
"""Seconds between looks whether still more of a series is waited for; how often at the most."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Series:
    """Of one archive, for one who brings images."""

    fetcher: Fetcher
    waiters: Waiters
    shift: Shift

    async def taken(self, row: Row) -> list[Row]:
        """The row, which is the shift's, and all that wait of its series; none when it is better asked for alone."""
        if not self.fetcher.source.gives_series:
            return []
        image, pacs = row.key[0], self.fetcher.source.name
        count = -1
        for _ in range(_GROWS):
            before = count
            async with self.fetcher.database.acquire() as db:
                count = await images_to_stage.with_it(db, pacs, image, _MOST - 1)
                all_ = await sources.in_series(db, image, 2 * _MOST + 1) if count else 0
            if count == before or count + 1 >= all_:
                break
            # A request of many files is put into the line piece by piece.
            await asyncio.sleep(_GROWING)
        # All of a series comes, also what nobody waits for: that is to be the smaller part.
        if not count or 2 * (count + 1) < all_:
            return []
        async with self.fetcher.database.acquire() as db:
            others = await images_to_stage.take_with_it(db, pacs, row, _MOST - 1)
        self.shift.join(others)
        return [row, *others] if others else []

    async def bring(self, rows: list[Row]) -> list[Row]:
        """Those that did not come. Raises SourceAway when none did for that reason. What begins to be waited for while
        the series comes is added to the rows.
        """
        left = dict.fromkeys(rows)
        try:
            wanted = await self._wanted(rows)
            if len(wanted) > 1:
                _, asked = next(iter(wanted.values()))
                async with self.fetcher.source.series(asked) as parts:
                    passed = 0
                    while await parts.begin() and wanted and passed <= len(rows):
                        async with aclosing(parts.data()) as data:
                            instance, whole = await _instance_of(data)
                            # Or it is the last: then nothing else would be looked at.
                            if (instance not in wanted or len(wanted) == 1) and (
                                more := await self._joined(next(iter(left)), _MOST - len(rows))
                            ):
                                rows += more
                                left |= dict.fromkeys(more)
                                wanted |= await self._wanted(more)
                            row, _ = wanted.pop(instance, (None, None))
                            if row is None:
                                passed += 1
                            elif await self._takes(row, whole):
                                del left[row]
        except SourceAway:
            if len(left) == len(rows):
                raise
        except MdmError as why:
            _log.warning("a series came in part", archive=self.fetcher.source.name, reason=why.detail)
        except Exception as why:  # a mistake of ours; its message could quote the file
            _log.error("a series came in part", archive=self.fetcher.source.name, kind=type(why).__name__)
        return list(left)

    async def _joined(self, one: Row, most: int) -> list[Row]:
        """What waits of its series by now, too."""
        async with self.fetcher.database.acquire() as db:
            rows = await images_to_stage.take_with_it(db, self.fetcher.source.name, one, most)
        self.shift.join(rows)
        return rows

    async def leave(self, rows: Sequence[Row]) -> None:
        """Each of them is asked for by itself, as soon as there is room."""
        if rows:
            async with self.fetcher.database.acquire() as db:
                await images_to_stage.alone(db, [row.key[0] for row in rows])
            await self.shift.put_back(rows, 0)

    async def _wanted(self, rows: Sequence[Row]) -> dict[str, tuple[Row, PacsSource]]:
        """By its SOP Instance UID, what somebody waits for. Copies of one instance are not brought together."""
        waited: dict[object, Row] = {}
        for start in range(0, len(rows), _AT_ONCE):
            some = {row.key[0]: row for row in rows[start : start + _AT_ONCE]}
            async with self.fetcher.database.acquire() as db:
                away = [
                    image for image, at in (await locality.of_images(db, some)).items() if not at.is_online
                ]
                waited |= {image: some[image] for image in away if await waiting.anybody(db, image)}
        keys, away = self.fetcher.intake.shelf.keys, [row.key[0] for row in waited.values()]
        found = await sources_of(self.fetcher.database, keys, away)
        return {source.instance: (waited[image], source) for image, source in found.items()}

    async def _takes(self, row: Row, chunks: AsyncIterator[bytes]) -> bool:
        """Whether this is the image, and is stored by now."""
        try:
            registered, source = await self.fetcher.registered(row.key[0])
            await self.fetcher.demand_room()
            await self.fetcher.take(registered, source, chunks)
        except (NotDicom, WrongContent, TooLarge, Gone, Damaged, PeerFailed):
            return False
        await self.shift.attempt(row, partial(settle, self.waiters, failure=None))
        return True


async def _instance_of(data: AsyncGenerator[bytes, None]) -> tuple[str, AsyncGenerator[bytes, None]]:
    """Which instance a part says it is, and all of its bytes."""
    meta = MetaReader()
    try:
        async for chunk in data:
            if meta.feed(chunk):
                break
    except NotDicom:
        pass
    return meta.sop_instance or "", _behind(bytes(meta.data), data)


async def _behind(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield first
    async for chunk in rest:
        yield chunk
