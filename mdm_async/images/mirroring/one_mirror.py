"""What a first site sends to one mirror: what has changed is read as it is now, and sent, until nothing is left.

Nothing is held of the catalog while the mirror is waited for.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import orjson
import structlog
from yarl import URL

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog import installation
from mdm_async.catalog.holdings import images
from mdm_async.catalog.mirrors import mirrors, states
from mdm_async.catalog.mirrors.mirrors import Change, Mirror
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.client.second_site import SecondSite
from mdm_async.client.told_errors import Json, error_from_details
from mdm_async.crypt4gh.stream import Sealer
from mdm_async.errors import (
    BadRequest,
    Conflict,
    Fenced,
    MdmError,
    NoSpace,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.mirroring import metrics
from mdm_async.images.mirroring.following import caller_of
from mdm_async.images.mirroring.mirrored_profiles import MirroredProfiles
from mdm_async.images.mirroring.records import Record
from mdm_async.images.mirroring.standing import Standing
from mdm_async.images.mirroring.top import top_of
from mdm_async.images.reading import stream
from mdm_async.images.reading.shelf import Shelf
from mdm_async.names import BASIC, IDENTIFIED, OPAQUE, View
from mdm_async.postgres.database import Database

_PAGE: Final = 256
"""Records of one request."""
_TURN: Final = 300.0
"""Seconds after which another node may send."""
_LOOK_AGAIN, _LOOK_FOR_SHREDS, _SAY_HELLO = 1.0, 0.5, 2.0
_HELD: Final = 600.0
"""Seconds that an image is kept from being destroyed while it is sent."""
_BUSY = (TooManyRequests, NoSpace, Conflict)
"""What a mirror says of itself, and not of what was sent: shreds still go."""
_AWAY = (Unavailable, Unauthenticated)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, repr=False)
class Outfit:
    """What a node sends with."""

    database: Database
    shelf: Shelf
    blobs: BlobStore
    cipher: CipherPool
    profiles: MirroredProfiles
    node: str


@dataclass(slots=True, repr=False)
class Sending:
    """To one mirror, while it is this node's."""

    outfit: Outfit
    standing: Standing
    mirror: Mirror
    site: SecondSite
    apart: SecondSite
    """For what waits for no file."""
    _heard: float = float("-inf")

    async def run(self) -> None:
        await self._hello(None)
        ended = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._shred(ended))
                both.create_task(self._send(ended))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _hello(self, complete: datetime | None) -> None:
        database, name = self.outfit.database, self.mirror.name
        async with database.acquire() as db:
            own = await installation.identity(db)
        told = {"installation": str(own), "epoch": self.mirror.epoch}
        await self.site.hello(told | {"complete": complete.isoformat() if complete is not None else None})
        async with database.acquire() as db:
            await mirrors.heard(db, self.mirror, self.outfit.node)
            lag = await mirrors.lag(db, name)
        self.standing.measure(name, lag)
        self._heard = asyncio.get_running_loop().time()

    async def _send(self, ended: asyncio.Event) -> None:
        now = asyncio.get_running_loop().time
        until = now() + _TURN
        try:
            while now() < until:
                try:
                    await asyncio.sleep(0 if await self._some() else _LOOK_AGAIN)
                except Fenced:
                    raise
                except _BUSY as why:
                    await asyncio.sleep(await self.standing.put_off(self.mirror, why))
        finally:
            ended.set()

    async def _some(self) -> bool:
        """Whether there may be more to send."""
        async with self.outfit.database.acquire() as db:
            complete = await mirrors.complete(db, self.mirror.name)
            changes = await mirrors.changes(db, self.mirror.name, _PAGE, shreds=False)
        if asyncio.get_running_loop().time() - self._heard >= _SAY_HELLO:
            await self._hello(complete)
        if changes:
            await self._changes(changes)
        more = await self._tell_acts() if not changes else True
        await self.standing.goes_on(self.mirror)
        return more

    async def _shred(self, ended: asyncio.Event) -> None:
        while True:
            async with self.outfit.database.acquire() as db:
                changes = await mirrors.changes(db, self.mirror.name, _PAGE, shreds=True)
            if changes:
                images_ = [change.guid for change in changes if change.guid is not None]
                await self.apart.shred(self.mirror.epoch, images_)
                await self._done(changes)
            elif ended.is_set():
                return
            else:
                await asyncio.sleep(_LOOK_FOR_SHREDS)

    async def _tell_acts(self) -> bool:
        """Whether there may be more."""
        async with self.outfit.database.acquire() as db:
            rows, upto = await mirrors.acts_to_tell(db, self.mirror, _PAGE)
        if not upto:
            return False
        if rows:
            await self.site.acts(self.mirror.epoch, rows)
        async with self.outfit.database.acquire() as db:
            await mirrors.told(db, self.mirror, upto)
        return True

    async def _done(self, changes: Collection[Change]) -> None:
        async with self.outfit.database.acquire() as db:
            await mirrors.done(db, [change.id for change in changes])

    async def _changes(self, changes: Sequence[Change]) -> None:
        await self._look_inside([change for change in changes if change.kind == "inside"])
        await self._anew([change for change in changes if change.kind in ("profile", "mapping")])
        if entries := [change for change in changes if change.kind == "entry"]:
            await self._entries(entries)

    async def _look_inside(self, changes: Sequence[Change]) -> None:
        """What is in directories that were sent for the first time is to be sent, too."""
        for change in changes:
            assert change.guid is not None
            async with self.outfit.database.transaction() as db:
                page = await states.of_page(db, change.guid, change.name or "", _PAGE)
                inside = [guid for guid, _ in page]
                await mirrors.note(db, self.mirror.name, "entry", inside, since=change.at)
                if len(page) == _PAGE:
                    rest = page[-1][1]
                    await mirrors.note(db, self.mirror.name, "inside", [change.guid], rest, since=change.at)
                await mirrors.done(db, [change.id])

    async def _anew(self, changes: Sequence[Change]) -> None:
        """Profiles that the mirror has, and that are others by now, or have another mapping."""
        if not changes:
            return
        named = {change.name for change in changes}
        async with self.outfit.database.acquire() as db:
            sent = await mirrors.profiles_sent(db, self.mirror.name)
        for name in sent:
            told = await self.outfit.profiles.told(name)
            if told is not None and (name in named or orjson.loads(told)["project"] in named):
                await self._profile(told)
        await self._done(changes)

    async def _entries(self, changes: Sequence[Change]) -> None:
        name, directory = self.mirror.name, self.mirror.directory
        wanted: dict[UUID, list[int]] = {change.guid: [] for change in changes if change.guid is not None}
        for change in changes:
            if change.guid is not None:
                wanted[change.guid].append(change.id)
        async with self.outfit.database.transaction() as db:
            found = await states.of_guids(db, directory, wanted)
            sent = await mirrors.sent_entries(db, name, [*wanted, *(one.guid for one in found)])
            fresh = [one.guid for one in found if one.guid not in sent]
            # Before it is sent, so that whatever becomes of it then is sent, too.
            await mirrors.sending_entries(db, name, fresh)
            new = [one.guid for one in found if one.image is None and one.guid not in sent]
            await mirrors.note(db, name, "inside", new, since=min(change.at for change in changes))
            top = await top_of(db, directory)
            records = [
                top.over(Record.of(one)) if one.guid == top.guid else Record.of(one)
                for one in found
                if one.guid in wanted or one.guid not in sent
            ]
        there = {one.guid for one in found}
        await self._profiles_of(records)
        online = {one.guid for one in found if one.image is None or one.online}
        await self._give([one for one in records if one.guid in online], wanted)
        gone = [guid for guid in wanted if guid not in there]
        await self._take_away([guid for guid in gone if guid in sent])
        passed = [guid for guid in wanted if guid not in online]
        async with self.outfit.database.acquire() as db:
            await mirrors.done(db, [id_ for guid in passed for id_ in wanted[guid]])

    async def _profiles_of(self, records: Sequence[Record]) -> None:
        """What the mirror must know before it makes views of these."""
        named = {BASIC: None} | {
            view: None
            for record in records
            for view in (*(record.views or ()), record.default_view, record.only_view)
            if view not in (None, IDENTIFIED, OPAQUE)
        }
        for name in named:
            assert name is not None
            async with self.outfit.database.acquire() as db:
                new = await mirrors.is_new_profile(db, self.mirror.name, name)
            if not new:
                continue
            try:
                told = await self.outfit.profiles.told(name)
                if told is not None:
                    await self._profile(told)
            except BaseException:
                async with self.outfit.database.acquire() as db:
                    await mirrors.forget_profile(db, self.mirror.name, name)
                raise

    async def _profile(self, told: bytes) -> None:
        (answer,) = await self.site.records(self.mirror.epoch, [{"kind": "profile"}])
        _demand(answer)
        upload = answer["upload"]

        async def content() -> AsyncIterator[memoryview]:
            yield memoryview(told)

        await self._upload(upload, content())

    async def _give(self, records: Sequence[Record], wanted: dict[UUID, list[int]]) -> None:
        if not records:
            return
        told = [{"kind": "entry", **record.told()} for record in records]
        try:
            answers = await self.site.records(self.mirror.epoch, told)
        except (BadRequest, TooLarge) as why:
            if len(records) == 1:
                await self._put_off(records[0], wanted, why)
                return
            # One of them, or all together: each half is looked at by itself.
            half = len(records) // 2
            await self._give(records[:half], wanted)
            await self._give(records[half:], wanted)
            return
        for record, answer in zip(records, answers, strict=True):
            ids = wanted.get(record.guid, [])
            try:
                _demand(answer)
                if "upload" in answer:
                    await self._file(record, answer["upload"])
            except (*_BUSY, *_AWAY):
                raise
            except MdmError as why:
                await self._put_off(record, wanted, why)
            else:
                async with self.outfit.database.acquire() as db:
                    await mirrors.done(db, ids)

    async def _put_off(self, record: Record, wanted: dict[UUID, list[int]], why: MdmError) -> None:
        _log.warning("a mirror does not take an entry", guid=str(record.guid), reason=why.detail)
        async with self.outfit.database.acquire() as db:
            await mirrors.put_off(db, wanted.get(record.guid, []), type(why).__name__)

    async def _take_away(self, guids: Sequence[UUID]) -> None:
        if not guids:
            return
        answers = await self.site.records(
            self.mirror.epoch, [{"kind": "gone", "guid": str(guid)} for guid in guids]
        )
        for answer in answers:
            _demand(answer)
        async with self.outfit.database.acquire() as db:
            await mirrors.gone_entries(db, self.mirror.name, guids)

    async def _file(self, record: Record, upload: Json) -> None:
        """Its original, sealed to the key that the mirror has just made for it."""
        outfit, name = self.outfit, self.mirror.name
        assert record.image is not None
        async with outfit.database.acquire() as db:
            await mirrors.sending_image(db, name, record.image)
            await images.hold(db, [record.image], _HELD)
        view = OPAQUE if record.only_view == OPAQUE else IDENTIFIED
        original = await outfit.shelf.load_one(outfit.database, record.image, View(view))
        said = {
            "size": original.size,
            "sha256": original.record.sha256,
            "issuedBy": original.record.issued_by,
        }

        async def content() -> AsyncIterator[memoryview]:
            yield memoryview(orjson.dumps(said) + b"\n")
            async with aclosing(stream.clear(outfit.blobs, original, 0, original.size)) as pieces:
                async for piece in pieces:
                    yield piece

        await self._upload(upload, content())
        metrics.FILES.labels(name).inc()
        metrics.BYTES.labels(name).inc(original.size)
        async with outfit.database.transaction() as db:
            await mirrors.note_if_shredded(db, name, record.image)
            details = {"to": URL(self.mirror.url).authority}
            await acts.record(db, [Act(caller_of(name), "mirror send", guid=record.guid, details=details)])

    async def _upload(self, upload: Json, content: AsyncIterator[memoryview]) -> None:
        await self.site.upload(upload["id"], self._sealed(bytes.fromhex(upload["recipient"]), content))

    async def _sealed(
        self, recipient: bytes, content: AsyncIterator[memoryview]
    ) -> AsyncIterator[bytes | bytearray]:
        sealer = Sealer(recipient)
        yield sealer.header()
        async for piece in content:
            for sealed in await self.outfit.cipher.run(partial(sealer.feed, piece)):
                yield sealed
        for sealed in sealer.close():
            yield sealed


def _demand(answer: Json) -> None:
    """Raises what the mirror says of one record."""
    if (error := answer.get("error")) is not None:
        raise error_from_details(int(error["status"]), error, {})
