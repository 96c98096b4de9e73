"""What an archive has gets names here, and stays where it is: page by page of its studies, as often as one likes.

The names are of keyed pseudonyms, always the same ones for the same instances: so who does it again finds what is
there, and adds what is new.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

from mdm_async.catalog.holdings import sources, vanished
from mdm_async.catalog.metadata import blind
from mdm_async.catalog.metadata.blind import SealedOriginal
from mdm_async.catalog.namespace import paths
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.dicom import model_json
from mdm_async.dicom.dictionary import tag_of
from mdm_async.dicom.equality import comparable
from mdm_async.dicom.identifiers import linking_values
from mdm_async.dicom.indexed import by_keyword
from mdm_async.dicom.issuers import issuer_of
from mdm_async.errors import BadRequest, Exists, MdmError, NotADirectory
from mdm_async.images.names import directories, registering
from mdm_async.images.names.archived_name import archived_name, keyed_by, patient_named_by
from mdm_async.images.names.path_template import PathTemplate
from mdm_async.images.names.registering import Registration
from mdm_async.images.parts import pacs_source
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.images.reading.served import Served, ServedViews
from mdm_async.images.surls import resolve_one
from mdm_async.images.views.blinding import ISSUED, sealed_original
from mdm_async.images.views.workshop import Workshop
from mdm_async.keys.derive import BlindIndex
from mdm_async.keys.store import KeyStore, Secrets
from mdm_async.names import Caller, Lfn, parse_lfn
from mdm_async.pacs.source import Said, Source
from mdm_async.pacs.sources.archives import Archives
from mdm_async.pacs.sources.asking import Wanted, admitted
from mdm_async.pacs.sources.vanishing import Vanishing
from mdm_async.postgres.database import Database

_PATIENT: Final = tag_of("PatientID")
_STUDIES: Final = 20
_INSTANCES: Final = 500
"""Of one query; and after so many a page of studies ends."""
_COUNTED, _COUNTED_AT_ONCE = 100_000, 1000
"""Studies that are counted beforehand."""


@dataclass(frozen=True, slots=True)
class Page:
    """What became of some studies and their instances. `next`: where to go on; None at the end.

    `failed`: by reason.
    """

    studies: int
    registered: int
    there: int
    vanished: int
    """Images that the archive had, and does not list any more."""
    failed: Mapping[str, int]
    next: int | None
    at: float
    """When it began, by the database's clock (Unix time)."""


@dataclass(frozen=True, slots=True)
class Registrar:
    """What names are given with."""

    database: Database
    archives: Archives
    keys: KeyStore
    views: ServedViews
    workshop: Workshop

    async def count(self, caller: Caller, name: str, wanted: Wanted) -> int | None:
        """How many studies of an archive are wanted; None when they are too many to be counted.

        Raises as `admitted`; SourceAway, PeerFailed.
        """
        source = await admitted(self.database, self.archives, caller, name, wanted, "pacs count")
        counted = 0
        async with aclosing(source.studies(wanted.studies, begin=0, size=_COUNTED_AT_ONCE)) as pages:
            async for page in pages:
                counted += len(page)
                if counted > _COUNTED:
                    return None
        return counted

    async def page(
        self,
        caller: Caller,
        name: str,
        wanted: Wanted,
        directory: str,
        template: PathTemplate,
        begin: int,
    ) -> Page:
        """Register some studies, from that one on. It takes `w` as an upload does.

        Raises as `admitted`; NotADirectory, SourceAway, PeerFailed.
        """
        source = await admitted(self.database, self.archives, caller, name, wanted, "pacs register")
        async with self.database.acquire() as db:
            at = await vanished.now(db)
            await self.views.refresh(db)
            _, place = await resolve_one(db, caller, directory)
        _demand_directory(caller, place)
        served, issuer = keyed_by(self.views, place.default_view), self.archives.named(name).issuer
        assert place.entry is not None
        naming = _Naming(self.workshop, served, place.lfn, template, issuer, place.entry.id)
        done, counts, failed = 0, Counter[str](), Counter[str]()
        async with aclosing(source.studies(wanted.studies, begin=begin, size=_STUDIES)) as pages:
            page: list[Said] = await anext(pages, [])
        for study in page:
            done += 1
            if wanted.has_study(study):
                await self._study(caller, source, wanted, naming, study, counts, failed)
            if counts["seen"] >= _INSTANCES:
                break
        more = begin + done if page else None
        return Page(done, counts["registered"], counts["there"], counts["vanished"], failed, more, at)

    async def vanished(self, caller: Caller, name: str, study: str | None, since: float) -> int | None:
        """Mark what the archive has no more of some studies that were not listed since then; how many images; None when
        all such studies have been asked for. Raises as `admitted`; SourceAway, PeerFailed.
        """
        wanted = Wanted.parse(study, None)
        source = await admitted(self.database, self.archives, caller, name, wanted, "pacs vanished")
        digest = pacs_source.study_digest(study, self.workshop.blind) if study is not None else None
        return await Vanishing(self.database, self.keys, source, caller).studies(digest, since)

    async def _study(
        self,
        caller: Caller,
        source: Source,
        wanted: Wanted,
        naming: "_Naming",
        study: Said,
        counts: Counter[str],
        failed: Counter[str],
    ) -> None:
        index = self.workshop.blind
        digest, listed = pacs_source.study_digest(model_json.study_uid(study), index), set[bytes]()
        async with aclosing(source.instances(study, wanted.modality, size=_INSTANCES)) as pages:
            async for page in pages:
                named: list[Registration] = []
                for said in page:
                    if not wanted.has_instance(said):
                        continue
                    try:
                        named.append(await naming.registration(source.name, study, said))
                    except MdmError as why:
                        failed[why.detail] += 1
                counts["seen"] += len(page)
                moved = await self._moved(source.name, naming, named)
                counts["there"] += len(moved)
                named = [one for one in named if one not in moved]
                await self._register(caller, named, counts, failed)
                uids = [model_json.instance_uid(said) for said in page]
                there = {pacs_source.instance_digest(uid, index) for uid in uids if uid}
                listed |= there
                async with self.database.acquire() as db:
                    await vanished.listed(db, source.name, digest, there)
        if wanted.modality is None:  # else it lists some of them
            vanishing = Vanishing(self.database, self.keys, source, caller)
            counts["vanished"] += await vanishing.instances(digest, listed)

    async def _moved(self, archive: str, naming: "_Naming", named: list[Registration]) -> list[Registration]:
        """Those whose files, once they were brought, named another issuer than the archive's list: they are there,
        under that patient's name."""
        index = self.workshop.blind
        keys = [(one, pacs_source.digests(one.source, index)) for one in named]
        patients = {(one.source.patient, one.source.named_by or "") for one in named}
        async with self.database.acquire() as db:
            found = await sources.registered(db, archive, [digests.instance for _, digests in keys])
            below = set((await paths.own_entries_below(db, [one for _, one in found], naming.below)).values())
            there = set[tuple[str, bytes, bytes]]()
            for patient, named_by in patients if below else ():
                same = await blind.having(db, below, _PATIENT, _digest(index, patient))
                same -= await blind.having(db, same, ISSUED, index.digest(ISSUED, named_by))
                same -= await blind.having(db, same, ISSUED, None)
                there |= {(patient, *key) for key, image in found if image in same}
        return [one for one, of in keys if (one.source.patient, of.series, of.instance) in there]

    async def _register(
        self,
        caller: Caller,
        named: list[Registration],
        counts: Counter[str],
        failed: Counter[str],
    ) -> None:
        refused = await directories.for_files(self.database, caller, [one.surl for one in named])
        failed.update(why.detail for why in refused.values())
        free = [one for one in named if one.surl not in refused]
        made = await registering.register(
            self.database, self.keys, self.workshop.blind, self.views.bindings.of, caller, free
        )
        for _, found in made:
            if isinstance(found, UUID):
                counts["registered"] += 1
            elif isinstance(found, Exists):
                counts["there"] += 1
            else:
                failed[found.detail] += 1


def _digest(index: BlindIndex, patient: str) -> bytes:
    return index.digest(_PATIENT, comparable(by_keyword()["PatientID"], patient))


def _demand_directory(caller: Caller, place: Place) -> None:
    acl.demand_create(caller, place.child("-", None))
    if place.entry is None:
        raise acl.missing(caller)
    if not place.entry.is_directory:
        raise NotADirectory("what an archive has is registered below a directory")


@dataclass(frozen=True, slots=True)
class _Naming:
    workshop: Workshop
    served: Served
    directory: Lfn
    template: PathTemplate
    issued_by: str | None
    below: int
    """The directory's entry."""

    async def registration(self, archive: str, study: Said, instance: Said) -> Registration:
        """Raises BadRequest, Malformed."""
        source = PacsSource(
            archive,
            model_json.study_uid(study),
            model_json.series_uid(instance),
            model_json.instance_uid(instance),
            sop_class=model_json.class_uid(instance),
            issued_by=self.issued_by,
        )
        if model_json.study_uid(instance) not in ("", source.study):
            raise BadRequest("the archive tells of instances of another study than it was asked for")
        head = model_json.head_of(study, instance)
        patient = linking_values(head).get("PatientID", "")
        named_by = patient_named_by(patient, issuer_of(head, self.issued_by))
        source = replace(source, patient=patient, named_by=named_by)
        name = archived_name(self.template, self.served, head, self.issued_by)
        lfn = parse_lfn(f"{self.directory.rstrip('/')}/{name}")
        return Registration(lfn, source, partial(self._said, head))

    async def _said(self, head: bytes, image: UUID, secrets: Secrets) -> SealedOriginal | None:
        """What the archive says, so that it is found by who may identify it."""
        seal = partial(sealed_original, head, image, secrets, self.workshop.blind, self.issued_by)
        return await self.workshop.cipher.run(seal)
