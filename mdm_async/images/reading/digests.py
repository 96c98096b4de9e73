"""Digests of a view that its readers ask for: computed once, and then kept where the view's size is.

So those of the original stay sealed under the secret that opens it, for they identify as its size does.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from weakref import WeakValueDictionary

from mdm_async.blobs.store import BlobStore
from mdm_async.errors import TooManyRequests
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.fairness.shares import Shares
from mdm_async.images.parts.hashing import Hashing
from mdm_async.images.parts.record import KEPT
from mdm_async.images.reading import stream
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.reading.view import ReadyView
from mdm_async.limits import Near
from mdm_async.names import Payer
from mdm_async.postgres.database import Database

_AT_ONCE = 2
"""Views that are read for their digests; for each account one, so that whose files are large keeps nobody waiting."""


@dataclass(slots=True, repr=False)
class Digests:
    """Of one node. `asked`: how many views may be read for this, or wait for that, of all callers and of each."""

    database: Database
    shelf: Shelf
    blobs: BlobStore
    cipher: CipherPool
    asked: Shares
    _reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _accounts: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _views: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """By entity tag: of those that somebody asks about."""

    def near(self) -> Iterable[Near]:
        return [Near("limits.digests", self.asked.used, self.asked.most)]

    async def of(self, view: ReadyView, wanted: Collection[str], payer: Payer) -> Mapping[str, bytes]:
        """The wanted digests, by algorithm, but for those that no record keeps.

        Raises TooManyRequests, Damaged, Unavailable.
        """
        if self._lacking(view.record.digests, wanted):
            with self._asking(payer):
                async with self._accounts.setdefault(payer.account, asyncio.Lock()):
                    return _chosen(await self._found(view, wanted), wanted)
        return _chosen(view.record.digests, wanted)

    async def _found(self, view: ReadyView, wanted: Collection[str]) -> Mapping[str, bytes]:
        # Who asks for the same meanwhile waits, and then finds it.
        async with self._views.setdefault(view.etag, asyncio.Lock()), self._reading:
            record = await self.shelf.record_of(self.database, view)
            known = (record or view.record).digests
            lacking = self._lacking(known, wanted)
            if not lacking:
                return known
            computed = await self._computed(view, lacking)
            await self.shelf.keep_digests(self.database, view, computed)
            return {**known, **computed}

    @staticmethod
    def _lacking(known: Mapping[str, bytes], wanted: Collection[str]) -> set[str]:
        return (set(wanted) & KEPT) - known.keys()

    async def _computed(self, view: ReadyView, algorithms: Collection[str]) -> Mapping[str, bytes]:
        hashing = Hashing(algorithms)
        async for piece in stream.clear(self.blobs, view, 0, view.size):
            await self.cipher.run(partial(hashing.update, piece))
        return hashing.digests()

    @contextmanager
    def _asking(self, payer: Payer) -> Iterator[None]:
        if not self.asked.take(payer):
            raise TooManyRequests("as many digests are computed as may be at once for you", retry_after=5)
        try:
            yield
        finally:
            self.asked.give(payer)


def _chosen(known: Mapping[str, bytes], wanted: Collection[str]) -> Mapping[str, bytes]:
    return {name: value for name, value in known.items() if name in wanted}
