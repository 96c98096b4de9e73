"""One image is taken from an archive: the one that was registered, and no other."""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from mdm_async.catalog.holdings import images, profiles, rejections, sources, vanished
from mdm_async.catalog.namespace import paths, places
from mdm_async.catalog.rights import kept_acls
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import views_to_make
from mdm_async.crypt4gh.segment import padded
from mdm_async.dicom.identifiers import linking_values
from mdm_async.dicom.issuers import issuer_of
from mdm_async.dicom.scrub import SECURITY_FLOOR
from mdm_async.errors import Gone, NotFound, PeerFailed, WrongContent
from mdm_async.images.intake.draft import Draft, Registered
from mdm_async.images.intake.intake import Intake
from mdm_async.images.intake.rejecting import reject
from mdm_async.images.metrics import FILED, INGESTED, STAGED
from mdm_async.images.names.archived_name import patient_named_by
from mdm_async.images.names.renaming import follow_patient
from mdm_async.images.parts import pacs_source
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.images.transfers.cache import Cache
from mdm_async.images.transfers.filing import ACL_DROPPED, Outcome
from mdm_async.keys.store import IDENTITY, KeyStore
from mdm_async.names import ROOT, Caller, Payer, Right, Scope, View
from mdm_async.pacs.source import Source
from mdm_async.pacs.sources.room import Coming, coming
from mdm_async.postgres.database import Connection, Database

_SERVER: Final = Caller("mdm", frozenset())
_ARCHIVE: Final = Caller("mdm", frozenset(), (Scope(ROOT, frozenset({Right.WRITE})),))
"""Who brings an archive's rejection notes: they count for what is that archive's, wherever it has a name."""
_AT_ONCE: Final = 200
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Of one archive."""

    source: Source
    intake: Intake
    cache: Cache

    @property
    def database(self) -> Database:
        return self.intake.database

    async def fetch(self, image: UUID) -> None:
        """Raises as `take`, CacheFull before it is asked for; NotFound when the archive has it no more; and as
        `Source.instance`.
        """
        registered, source = await self.registered(image)
        await self.demand_room()
        try:
            async with coming(self.cache, image) as room, self.source.instance(source) as chunks:
                await self._take(registered, source, chunks, room)
        except NotFound:
            # Not because its URL leads nowhere any more.
            if await self.source.has(source):
                raise PeerFailed("the archive lists an instance that it does not give") from None
            raise

    async def demand_room(self) -> None:
        """Raises NoSpace, DatabaseFull."""
        (await self.intake.room(self._payer)).demand(None)

    async def take(self, registered: Registered, source: PacsSource, chunks: AsyncIterator[bytes]) -> None:
        """Store these bytes as the image's. Raises WrongContent when they are another's; Gone when it was removed, or
        is here by now; CacheFull; and as `Draft.fill`.
        """
        async with coming(self.cache, registered.image) as room:
            await self._take(registered, source, chunks, room)

    async def _take(
        self, registered: Registered, source: PacsSource, chunks: AsyncIterator[bytes], room: Coming
    ) -> None:
        async with self.database.acquire() as db:
            await self.intake.shelf.served.refresh(db)
            wanted = await profiles.wanted_of(db, registered.image)
            served = [one for view in wanted if (one := self.intake.shelf.served.get(View(view))) is not None]
            released = [
                one.view
                for one in served
                # Somebody has looked at the pixels that came before: only these are let go, and `_now` compares them.
                if source.content
                and await profiles.is_released(db, registered.image, one.view, SECURITY_FLOOR)
            ]
        registered = replace(registered, released=frozenset(released))
        async with self.intake.filling(
            registered, served, room.ahead_of(chunks), self._payer, source.issued_by
        ) as draft:
            says = await self.intake.workshop.cipher.run(partial(linking_values, draft.head))
            _demand_same(source, says)
            await room.take(draft.stored_size)
            was, now = await self.intake.workshop.cipher.run(partial(_was_and_now, source, says, draft))
            await self._stored(draft, registered, was, now)

    @property
    def _payer(self) -> Payer:
        return Payer(f"pacs:{self.source.name}", self.source.name)

    async def _stored(
        self, draft: Draft, registered: Registered, source: PacsSource, now: PacsSource
    ) -> None:
        """`now`: what is known of it by what came; another patient's, if patients were merged at the archive since it
        was registered, a study was moved, or the archive's list does not tell who has issued the Patient ID.
        """
        shelf = self.intake.shelf
        moved = source.named_by != now.named_by
        async with self.database.transaction() as db:
            # Before any entry is locked, as whoever moves one does.
            await views_to_make.share_demands(db)
            if moved:
                await kept_acls.lock(db)
            if draft.rejected is not None:
                await rejections.put(db, draft.image, draft.rejected)
                await rejections.lock(db, draft.image)
            open_before: set[UUID] = set()
            if moved:
                assert source.named_by is not None
                assert now.named_by is not None
                open_before = await follow_patient(
                    db,
                    shelf.served,
                    draft.image,
                    source.named_by,
                    now.named_by,
                    other_id=source.patient != now.patient,
                )
            if source != now:
                await self._note_source(db, registered, now)
            await draft.fill_registered(db)
            if not source.content:
                await profiles.forget_releases(db, draft.image)
            await vanished.given(db, draft.image)
            await shelf.served.refresh(db, now=True)
            wanted = await profiles.wanted_of(db, draft.image)
            await views_to_make.add_lacking(db, [draft.image], wanted, shelf.served.newest)
            done = await self._acts(db, draft, moved, open_before)
            await acts.record(db, done)
            if draft.rejected is not None:
                await self._reject(db, draft.image)
        draft.keep()
        if moved or draft.rejected is not None:
            self.intake.placing.changed.everything()
        if moved:
            FILED.labels(Outcome.MOVED).inc()
            guids = [str(act.guid) for act in done]
            _log.warning(
                "a registered image is another patient's by now", guids=guids, archive=self.source.name
            )
        STAGED.labels("brought").inc()
        INGESTED.labels(draft.state).inc()

    async def _reject(self, db: Connection, note: UUID) -> None:
        """Hide what a rejection note of the archive's names."""
        root, named = await places.resolve_one(db, ROOT), await paths.entries_of_images(db, [note])
        if named:
            _, guid, _ = min(named)
            await reject(db, _ARCHIVE, note, guid, root.ancestor.id, f"pacs:{self.source.name}")

    async def _note_source(self, db: Connection, registered: Registered, source: PacsSource) -> None:
        if (row := await sources.of_image(db, registered.image)) is None:
            raise Gone("the image has just been deleted")
        identity = registered.secrets.of(IDENTITY)
        await sources.reseal(db, row[0], pacs_source.seal(source, identity, registered.image, row[0]))

    async def _acts(
        self, db: Connection, draft: Draft, moved: bool, open_before: Collection[UUID]
    ) -> list[Act]:
        """Of each name that the image has. `open_before`: the GUIDs of those that had ACLs of their own."""
        details = {"archive": self.source.name} | ({"outcome": Outcome.MOVED} if moved else {})
        # An original's exact size would identify it.
        size = padded(draft.size)
        return [
            Act(
                _SERVER,
                "stage",
                guid=guid,
                bytes=size,
                details=details | (ACL_DROPPED if guid in open_before else {}),
            )
            for _, guid, _ in await paths.entries_of_images(db, [draft.image])
        ]

    async def registered(self, image: UUID) -> tuple[Registered, PacsSource]:
        """The image's secrets, and what it is asked by. Raises Gone, Damaged."""
        async with self.database.acquire() as db:
            registration = await images.registration(db, image)
            sealed = await sources.of_image(db, image)
        fetched = await self.intake.shelf.keys.fetch([registration], identity=True)
        secrets = fetched.of(image, registration)
        if secrets is None or sealed is None:
            raise Gone("the image has just been deleted")
        id_, text = sealed
        return Registered(image, secrets), pacs_source.unseal(text, secrets.of(IDENTITY), image, id_)


async def sources_of(database: Database, keys: KeyStore, wanted: Collection[UUID]) -> dict[UUID, PacsSource]:
    """What these images are asked by; those that are gone are left out."""
    found: dict[UUID, PacsSource] = {}
    ordered = list(wanted)
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        async with database.acquire() as db:
            registrations = await images.registrations(db, some)
            sealed = await sources.sealed_of(db, some)
        fetched = await keys.fetch(list(registrations.values()), identity=True)
        for image in sealed.keys() & registrations.keys():
            if (secrets := fetched.of(image, registrations[image])) is not None:
                id_, text = sealed[image]
                found[image] = pacs_source.unseal(text, secrets.of(IDENTITY), image, id_)
    return found


def _demand_same(source: PacsSource, says: Mapping[str, str]) -> None:
    """Return when a file is the one that was registered."""
    asked = (source.study, source.series, source.instance)
    if asked != tuple(says.get(f"{of}InstanceUID") for of in ("Study", "Series", "SOP")):
        raise WrongContent("the archive sent another instance than the one asked for")


def _was_and_now(source: PacsSource, says: Mapping[str, str], draft: Draft) -> tuple[PacsSource, PacsSource]:
    """What was known of an instance, and what is by what has come. Raises as `_now`."""
    now = _now(source, says, draft)
    if source.named_by is None:
        # It was not noted yet: who issues the Patient ID now counts as who did.
        issuer = issuer_of(draft.head, source.issued_by)
        source = replace(source, named_by=patient_named_by(source.patient, issuer))
    return source, now


def _now(source: PacsSource, says: Mapping[str, str], draft: Draft) -> PacsSource:
    """What is known of an instance that has come. Raises WrongContent when it was brought before, with other pixels:
    what was found of those, or released, is not of these."""
    content = (draft.sameness.content if draft.sameness is not None else None) or ""
    if source.content and content != source.content:
        raise WrongContent(
            "the archive has other pixels under the instance's UID than before, or has compressed them otherwise",
            remedy="ask who runs the archive; remove this file (mdm rm), and register it again",
        )
    patient = source.patient
    # Outside ASCII the same text may be written in other bytes.
    if patient and patient.isascii():
        patient = says.get("PatientID", "")
    named_by = patient_named_by(patient, issuer_of(draft.head, source.issued_by))
    return replace(source, patient=patient, content=content, named_by=named_by)
