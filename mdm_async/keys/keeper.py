"""Keeps the key-encryption keys (KEKs) of one store: a new one comes into use when every live node has it, then all is
wrapped under it, then the older ones go.

Each node has one for each store. What they agree on lies in the store's database.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime

import structlog

from mdm_async.errors import Conflict, MdmError
from mdm_async.keys import nodes, proofs, retiring, rewrapping, rotations
from mdm_async.keys.kept_file import KeptKeks
from mdm_async.keys.key_database import KeyDatabase
from mdm_async.keys.nodes import Node
from mdm_async.keys.sources import KekSource
from mdm_async.seldom import Seldom

_INTERVAL = 5.0
"""Seconds between reports, and between looks for what is to be done. Must be well below nodes.LIVE."""
_SAID_A_MINUTE = 1

_log = structlog.get_logger()


class KekKeeper:
    """Of one node and one store."""

    def __init__(self, store: KeyDatabase, source: KekSource, node: str) -> None:
        self.store, self.source = store, source
        self._node = node
        self._nodes: list[Node] = []
        self._seen: datetime | None = None
        self.went_back: Callable[[], None] = lambda: None
        """Called when the store does not know any more what this node reported: it is one of an earlier time."""
        self._closed: dict[int, bytes] = {}
        self._read: list[bytes] = []
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._poked = asyncio.Event()
        self._said = Seldom(_SAID_A_MINUTE)
        store.source, store.reread = source.name, self._reread_soon

    async def begin(self) -> None:
        """Before anything is wrapped here: others may not have the key yet that this node would use. Again where the
        store may be another one by now."""
        self._read = []
        await self._reread()
        await self.report()

    async def forever(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_reporting())
            group.create_task(self._keep_working())

    async def rotate(self) -> None:
        """Begin to wrap all under a new key, or go on where that was stopped.

        Raises Conflict when the source is the site's and has no new key.
        """
        await self._reread()
        if not await self._is_under_way():
            if not isinstance(self.source, KeptKeks):
                raise Conflict(
                    f"{self.source.name} has no new key-encryption key for the store {self.store.name}",
                    remedy=self.source.how_to_change,
                )
            self.source.add()
            await self._reread()
        await self.report()
        self._poked.set()

    async def strike_off(self, gone: Collection[str]) -> None:
        """Nodes that will not come back. Raises Conflict when one of them is live."""
        if not gone:
            return
        async with self.store.database.acquire() as db:
            await nodes.strike_off(db, gone)
            live = [one.name for one in await nodes.known(db) if one.live and one.name in gone]
        if live:
            raise Conflict(
                f"{', '.join(live)} is live", remedy="stop it first; it is away a minute after that"
            )

    async def work(self) -> None:
        """What can be done now: wrap anew what is under older keys, and end those that nothing is under."""
        await rewrapping.wrap_anew(self.store, self._node)
        await self._retire()

    async def _is_under_way(self) -> bool:
        """Whether a key is there that not everything is wrapped under yet."""
        ring = self.store.cipher.ring
        async with self.store.database.acquire() as db:
            return ring.epoch != ring.epochs[0] or await rotations.is_left(db, ring.older, ring.epoch)

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            try:
                await self.report()
            except MdmError as why:
                self._say(why)

    async def _keep_working(self) -> None:
        while True:
            self._poked.clear()
            try:
                await self.work()
            except MdmError as why:
                self._say(why)
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL):
                    await self._poked.wait()

    def _say(self, why: MdmError) -> None:
        if (more := self._said.tell(why.title)) is not None:
            _log.warning("key-encryption keys", store=self.store.name, reason=str(why), **more)

    async def report(self) -> None:
        """Tell the others what this node has, and use the key that its source wants, once all that live have it."""
        if not await self._tell():
            await self._reread_soon()
            await self._tell()
        self._choose()

    async def _tell(self) -> bool:
        """Whether all keys that something may be under are here."""
        ring = self.store.cipher.ring
        async with self.store.database.transaction(sync=False) as db:
            before, now = await nodes.report(
                db,
                self._node,
                keeps=isinstance(self.source, KeptKeks),
                has=[*ring.epochs, *self._closed],
                in_use=ring.epoch,
            )
            self._nodes = await nodes.known(db)
            has_all = set(await retiring.open_epochs(db)) <= set(ring.epochs)
        if self._seen is not None and (before is None or before < self._seen):
            self.went_back()
        self._seen = now
        return has_all

    def _choose(self) -> None:
        ring = self.store.cipher.ring
        live = [node for node in self._nodes if node.live and node.name != self._node]
        for epoch in ring.epochs:
            if all(epoch in node.has for node in live):
                if epoch != ring.epoch:
                    self.store.cipher.ring = ring.using(epoch)
                    _log.info("a key-encryption key is in use", store=self.store.name, epoch=epoch)
                    self._poked.set()
                return

    async def _reread_soon(self) -> None:
        """For a key that this node does not have. A command is not run each time somebody asks for one."""
        if time.monotonic() - self._read_at >= self.source.seconds:
            await self._reread()

    async def _reread(self) -> None:
        async with self._reading:
            self._read_at = time.monotonic()
            keks = await self.source.read()
            if keks == self._read and not self._closed:
                return
            cipher = self.store.cipher
            async with self.store.database.transaction() as db:
                proven = await proofs.prove(db, keks, cipher.store.installation)
            in_use = cipher.ring.epoch
            # What is new here is not used before all have it: see `_choose`.
            known = in_use in proven.ring.epochs
            cipher.ring = proven.ring.using(in_use) if known else proven.ring
            self._read, self._closed = keks, proven.closed

    async def _retire(self) -> None:
        await self.report()
        ring = self.store.cipher.ring
        if ring.older and all(node.in_use >= ring.epoch for node in self._nodes if node.live):
            async with self.store.database.transaction() as db:
                closed = await retiring.close(db, ring.epoch)
            if closed:
                _log.info("key-encryption keys have ended", store=self.store.name, epochs=closed)
        async with self.store.database.acquire() as db:
            ended = set(ring.epochs) - set(await retiring.open_epochs(db))
        if ended:
            self._read = []
        if ended or self._closed:
            await self._reread_soon()
            await self._destroy()
            await self._tell()
        async with self.store.database.acquire() as db:
            destroyed = await retiring.note_destroyed(db)
        if destroyed:
            _log.info("key-encryption keys are destroyed", store=self.store.name, epochs=destroyed)

    async def _destroy(self) -> None:
        """Closed keys that the server keeps itself are overwritten; others are the site's to remove."""
        if not self._closed:
            return
        if isinstance(self.source, KeptKeks):
            self.source.destroy(self._closed.values())
            await self._reread()
        elif (more := self._said.tell("remove")) is not None:
            numbers = ", ".join(map(str, sorted(self._closed)))
            _log.warning(
                "remove key-encryption keys that are not needed any more",
                store=self.store.name,
                source=self.source.name,
                epochs=numbers,
                **more,
            )
