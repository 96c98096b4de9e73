"""Entries and their files, as a first site sends them: as they are now, directories before what is in them."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson
import structlog
from yarl import URL

from mdm_async.catalog.holdings import images
from mdm_async.catalog.mirrors import changes, had, states
from mdm_async.catalog.mirrors.changes import Change
from mdm_async.catalog.mirrors.states import State
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.client.told_errors import Json
from mdm_async.errors import Conflict, Fenced, MdmError, NoParent, Unavailable
from mdm_async.images.mirroring import metrics, records
from mdm_async.images.mirroring.following import caller_of
from mdm_async.images.mirroring.outfit import AWAY, BUSY, PAGE, Line, demand
from mdm_async.images.mirroring.sent_profiles import SentProfiles, waits_for
from mdm_async.images.mirroring.top import top_of
from mdm_async.images.reading import stream
from mdm_async.names import IDENTIFIED, OPAQUE, View

_HELD: Final = 600.0
"""Seconds that an image is kept from being destroyed while it is sent."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, repr=False)
class SentEntries:
    line: Line

    async def look_inside(self, noted: Sequence[Change]) -> None:
        """What is in directories that were sent for the first time is to be sent, too."""
        name = self.line.mirror.name
        for change in noted:
            assert change.guid is not None
            async with self.line.outfit.database.transaction() as db:
                page = await states.of_page(db, change.guid, change.name or "", PAGE)
                inside = [guid for guid, _ in page]
                await changes.note(db, name, "entry", inside, since=change.at)
                if len(page) == PAGE:
                    rest = page[-1][1]
                    await changes.note(db, name, "inside", [change.guid], rest, since=change.at)
                await changes.done(db, [change])

    async def send(self, noted: Sequence[Change]) -> None:
        name, directory = self.line.mirror.name, self.line.mirror.directory
        wanted = {change.guid: change for change in noted if change.guid is not None}
        since = min(change.at for change in noted)
        async with self.line.outfit.database.transaction() as db:
            found = await states.of_guids(db, directory, wanted)
            there = {one.state.guid for one in found}
            sent = await had.entries(db, name, wanted.keys() | there)
            # Before they are sent, so that whatever becomes of them then is sent, too.
            await had.add_entries(db, name, there - sent)
            await changes.note(db, name, "entry", list(there - sent - wanted.keys()), since=since)
            new = [one.state.guid for one in found if one.state.image is None and one.state.guid not in sent]
            await changes.note(db, name, "inside", new, since=since)
            top = await top_of(db, directory)
            told = [
                top.over(one.state) if one.state.guid == top.guid else one.state
                for one in found
                if one.here and (one.state.guid in wanted or one.state.guid not in sent)
            ]
        lacking = await SentProfiles(self.line).lacking(told)
        for state in told:
            if state.guid in lacking:
                await self._put_off(state, wanted, waits_for(lacking[state.guid]))
        await self._give([state for state in told if state.guid not in lacking], wanted)
        await self._take_away([guid for guid in wanted if guid not in there and guid in sent], wanted)
        offline = {one.state.guid for one in found if not one.here}
        passed = [one for guid, one in wanted.items() if guid in offline or guid not in there | sent]
        async with self.line.outfit.database.acquire() as db:
            await changes.done(db, passed)

    async def _give(self, given: Sequence[State], wanted: Mapping[UUID, Change]) -> None:
        if not given:
            return
        try:
            answers = await self.line.records([{"kind": "entry", **records.told(state)} for state in given])
        except (Conflict, *BUSY, *AWAY):
            raise
        except MdmError as why:
            if len(given) == 1:
                await self._refused(given[0], wanted, why)
                return
            # One of them, or all together: each half is looked at by itself.
            half = len(given) // 2
            await self._give(given[:half], wanted)
            await self._give(given[half:], wanted)
            return
        for state, answer in zip(given, answers, strict=True):
            try:
                demand(answer)
                if "upload" in answer:
                    await self._file(state, answer["upload"])
            except (Fenced, *BUSY, *AWAY):
                raise
            except MdmError as why:
                await self._refused(state, wanted, why)
            else:
                await self._taken(state, wanted)

    async def _taken(self, state: State, wanted: Mapping[UUID, Change]) -> None:
        if (change := wanted.get(state.guid)) is None:
            return
        async with self.line.outfit.database.acquire() as db:
            await changes.done(db, [change])
            if state.image is None and change.failure is not None:
                while await changes.hasten(db, self.line.mirror.name, NoParent.__name__):
                    pass

    async def _refused(self, state: State, wanted: Mapping[UUID, Change], why: MdmError) -> None:
        if not isinstance(why, NoParent):  # Of that directory it has been said.
            _log.warning("a mirror does not take an entry", guid=str(state.guid), reason=why.detail)
        await self._put_off(state, wanted, type(why).__name__)

    async def _put_off(self, state: State, wanted: Mapping[UUID, Change], reason: str) -> None:
        if (change := wanted.get(state.guid)) is not None:
            async with self.line.outfit.database.acquire() as db:
                await changes.put_off(db, [change], reason)

    async def _take_away(self, guids: Collection[UUID], wanted: Mapping[UUID, Change]) -> None:
        if not guids:
            return
        answers = await self.line.records([{"kind": "gone", "guid": str(guid)} for guid in guids])
        for guid, answer in zip(guids, answers, strict=True):
            async with self.line.outfit.database.transaction() as db:
                try:
                    demand(answer)
                except MdmError as why:
                    await changes.put_off(db, [wanted[guid]], type(why).__name__)
                else:
                    await had.remove_entries(db, self.line.mirror.name, [guid])
                    await changes.done(db, [wanted[guid]])

    async def _file(self, state: State, upload: Json) -> None:
        outfit, name = self.line.outfit, self.line.mirror.name
        assert state.image is not None
        async with outfit.database.acquire() as db:
            await had.add_image(db, name, state.image)
            await images.hold(db, [state.image], _HELD)
        view = OPAQUE if state.only_view == OPAQUE else IDENTIFIED
        original = await outfit.shelf.load_one(outfit.database, state.image, View(view))
        said = {
            "size": original.size,
            "sha256": original.record.sha256,
            "issuedBy": original.record.issued_by,
        }
        unreadable: list[MdmError] = []

        async def content() -> AsyncIterator[memoryview]:
            yield memoryview(orjson.dumps(said) + b"\n")
            try:
                async with aclosing(stream.clear(outfit.blobs, original, 0, original.size)) as pieces:
                    async for piece in pieces:
                        yield piece
            except MdmError as why:
                unreadable.append(why)
                raise

        try:
            await self.line.upload(upload, content())
        except Unavailable:
            # To whom it is sent, it looks as if this site had gone away.
            if unreadable:
                raise unreadable[0] from None
            raise
        metrics.FILES.labels(name).inc()
        metrics.BYTES.labels(name).inc(original.size)
        details = {"to": URL(self.line.mirror.url).authority}
        async with outfit.database.acquire() as db:
            await acts.record(db, [Act(caller_of(name), "mirror send", guid=state.guid, details=details)])
