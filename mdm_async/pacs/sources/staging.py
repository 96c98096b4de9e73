"""Images are brought from an archive for those who wait for them: each once, and no more at once than it allows.

The line is rows of the catalog. A node that dies leaves its rows to others, or to itself, once their leases lapse. An
archive that does not answer is left alone for a while, longer each time; whoever waits goes on waiting.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from mdm_async.catalog.grants import waiting
from mdm_async.catalog.holdings import images, locality, profiles, sources
from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.namespace import paths
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import images_to_stage, views_to_make
from mdm_async.catalog.work.queue import Row
from mdm_async.crypt4gh.segment import padded
from mdm_async.dicom.identifiers import linking_values
from mdm_async.errors import (
    Damaged,
    Gone,
    MdmError,
    NotDicom,
    NotFound,
    PeerFailed,
    SourceAway,
    TooLarge,
    Truncated,
    Unavailable,
    WrongContent,
)
from mdm_async.images.intake.draft import Draft, Registered
from mdm_async.images.intake.intake import Intake
from mdm_async.images.metrics import INGESTED, STAGED
from mdm_async.images.parts import pacs_source
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.images.shift import Shift, over_and_over
from mdm_async.images.transfers.staging import Line, Waiters
from mdm_async.keys.store import IDENTITY
from mdm_async.names import Caller, Payer, View
from mdm_async.pacs.dicomweb.client import DicomWebSource
from mdm_async.pacs.sources.settling import dropped, settle
from mdm_async.postgres.database import Connection, Database

_LOOK: Final = 1.0
"""Seconds between looks for those whom other nodes have put into the line."""
_ATTEMPTS: Final = 4
"""After so many an answer that is wrong is taken for the archive's last word."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds that an archive is left alone which does not answer; doubled each time."""
_SERVER: Final = Caller("mdm", frozenset())

_log = structlog.get_logger()


@dataclass(slots=True)
class Bringer:
    """Of one archive, on one node."""

    source: DicomWebSource
    line: Line
    intake: Intake
    waiters: Waiters
    node: str
    _pause: float = 0.0
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def _database(self) -> Database:
        return self.intake.database

    async def forever(self) -> None:
        await over_and_over(f"bringing images from {self.source.name}", self._bring, _LOOK)

    async def _bring(self) -> None:
        queue = images_to_stage.of_archive(self.source.name)
        async with Shift(self._database, queue, self.node, 1) as shift, asyncio.TaskGroup() as tasks:
            while True:
                self.line.more.clear()
                await self._room()
                if row := await self._next(shift):
                    task = tasks.create_task(self._attempt(shift, row))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                else:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.line.more.wait(), _LOOK)

    async def _next(self, shift: Shift) -> Row | None:
        """None also while the catalog is away: what is running goes on."""
        with suppress(Unavailable):
            return next(iter(await shift.page()), None)
        return None

    async def _attempt(self, shift: Shift, row: Row) -> None:
        # What the catalog cannot be told now it is told by the lease, which lapses.
        with suppress(Unavailable):
            await shift.attempt(row, partial(self._one, shift))

    async def _room(self) -> None:
        """Returns when one more image may be asked for; one alone tries an archive that was away."""
        while True:
            if (left := self.line.away_until - _now()) > 0:
                await asyncio.sleep(left)
            elif len(self._running) >= (1 if self.line.away_for else self.line.at_once):
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            else:
                return

    async def _one(self, shift: Shift, row: Row) -> None:
        """Bring one image, unless nobody waits any more, and let those have it who do."""
        image: UUID = row.key[0]
        while True:
            async with self._database.acquire() as db:
                where = (await locality.of_images(db, [image])).get(image)
                waits = where is not None and await waiting.begun(db, image)
            failure: MdmError | None = None
            if where is None:
                failure = Gone("the file has just been deleted")
            elif not where.is_online:
                if not waits:
                    if await dropped(self._database, row):
                        return
                    continue  # somebody has come meanwhile, for whom it is to be brought
                try:
                    failure = await self._brought(row, image)
                except SourceAway as why:
                    await self._away(image, why)
                    await shift.put_back([row], self._pause)
                    return
                if failure is not None:
                    STAGED.labels("lost" if isinstance(failure, Damaged) else "refused").inc()
            await settle(self.waiters, row, failure)
            return

    async def _brought(self, row: Row, image: UUID) -> MdmError | None:
        """Why the image cannot be had, for good. Raises SourceAway, and what may be otherwise at the next attempt."""
        begun = time.monotonic()
        try:
            await self._fetch(image)
        except Gone as why:  # removed meanwhile, or brought by somebody else
            async with self._database.acquire() as db:
                where = (await locality.of_images(db, [image])).get(image)
            return None if where is not None and where.is_online else why
        except Damaged as why:
            return why
        except NotFound:
            async with self._database.acquire() as db:
                await sources.found(db, image, Locality.LOST)
            return Damaged(
                "the file is lost: the archive that it was registered at has it no more",
                remedy="ask who runs the archive; put the file itself, or remove its name: mdm rm",
            )
        except Truncated:
            return PeerFailed(
                "the file that the archive keeps is cut short", remedy="ask who runs the archive"
            )
        except (WrongContent, TooLarge, NotDicom) as why:
            return PeerFailed(f"what the archive sent is not taken: {why.detail}", remedy=why.remedy)
        except PeerFailed as why:
            async with self._database.acquire() as db:
                attempts = await images_to_stage.attempts(db, row)
            if attempts < _ATTEMPTS:
                raise
            return why
        self.line.took(time.monotonic() - begun)
        self._answers()
        return None

    async def _fetch(self, image: UUID) -> None:
        """Raises Gone; NotFound when the archive has it no more; and as `DicomWebSource.instance`, `Draft.fill`."""
        registered, source = await self._registered(image)
        async with self._database.acquire() as db:
            await self.intake.shelf.served.refresh(db)
            wanted = await profiles.wanted_of(db, image)
        served = [one for view in wanted if (one := self.intake.shelf.served.get(View(view))) is not None]
        payer = Payer(f"pacs:{self.source.name}", self.source.name)
        (await self.intake.room(payer)).demand(None)
        try:
            async with (
                self.source.instance(source) as chunks,
                self.intake.filling(registered, served, chunks, payer) as draft,
            ):
                says = await self.intake.workshop.cipher.run(partial(linking_values, draft.head))
                _demand_same(source, says)
                await self._stored(draft)
        except NotFound:
            # Not because its URL leads nowhere any more.
            if await self.source.has(source):
                raise PeerFailed("the archive lists an instance that it does not give") from None
            raise

    async def _stored(self, draft: Draft) -> None:
        shelf = self.intake.shelf
        async with self._database.transaction() as db:
            # Before any entry is locked, as whoever moves one does.
            await views_to_make.share_demands(db)
            await draft.fill_registered(db)
            await shelf.served.refresh(db, now=True)
            wanted = await profiles.wanted_of(db, draft.image)
            await views_to_make.add_lacking(db, [draft.image], wanted, shelf.served.newest)
            await acts.record(db, await self._acts(db, draft))
        draft.keep()
        STAGED.labels("brought").inc()
        INGESTED.labels(draft.state).inc()

    async def _acts(self, db: Connection, draft: Draft) -> list[Act]:
        """Of each name that the image has."""
        details = {"archive": self.source.name}
        # An original's exact size would identify it.
        size = padded(draft.size)
        return [
            Act(_SERVER, "stage", guid=guid, bytes=size, details=details)
            for _, guid, _ in await paths.entries_of_images(db, [draft.image])
        ]

    async def _registered(self, image: UUID) -> tuple[Registered, PacsSource]:
        async with self._database.acquire() as db:
            registration = await images.registration(db, image)
            sealed = await sources.of_image(db, image)
        fetched = await self.intake.shelf.keys.fetch([registration], identity=True)
        secrets = fetched.of(image, registration)
        if secrets is None or sealed is None:
            raise Gone("the image has just been deleted")
        id_, text = sealed
        return Registered(image, secrets), pacs_source.unseal(text, secrets.of(IDENTITY), image, id_)

    async def _away(self, image: UUID, why: SourceAway) -> None:
        """Leave the archive alone for a while. Of several that fail together the first counts."""
        if self.line.away_until <= _now():
            self._pause = min(2 * self._pause, _LONGEST_PAUSE) if self._pause else _FIRST_PAUSE
            self.line.away_until = _now() + self._pause
            if not self.line.away_for:
                _log.warning("an archive is away", archive=self.source.name, reason=why.detail)
            self.line.away_for = why.detail
        STAGED.labels("away").inc()
        async with self._database.acquire() as db:
            await sources.found(db, image, Locality.UNAVAILABLE)

    def _answers(self) -> None:
        if self.line.away_for:
            _log.info("an archive is back", archive=self.source.name)
        self._pause, self.line.away_until, self.line.away_for = 0.0, 0.0, ""
        self.line.has_answered = True


def _demand_same(source: PacsSource, says: Mapping[str, str]) -> None:
    """Return when a file is the one that was registered: its name, a pseudonym, is made of what this tells of it."""
    asked = (source.study, source.series, source.instance)
    if asked != tuple(says.get(f"{of}InstanceUID") for of in ("Study", "Series", "SOP")):
        raise WrongContent("the archive sent another instance than the one asked for")
    # Outside ASCII the same text may be written in other bytes.
    if source.patient and source.patient.isascii() and says.get("PatientID") != source.patient:
        raise WrongContent("the archive sent the file of another patient than it had told")


def _now() -> float:
    return asyncio.get_running_loop().time()
