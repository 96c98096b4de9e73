"""A file that gets its name from what is in it: who pushes images, by C-STORE or STOW-RS, knows no paths here.

It is built of what a PUT by name is built of. The name is a path of keyed pseudonyms below a directory, known only once
the head has come; what else differs is that a name that other bytes have is no failure: these are kept apart from them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple, Self
from uuid import UUID

import structlog

from mdm_async.catalog.holdings import rejections
from mdm_async.catalog.namespace import entries, places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl, kept_acls
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import views_to_make
from mdm_async.crypt4gh.segment import padded
from mdm_async.dicom.identifiers import linking_values
from mdm_async.dicom.sop_common import SopCommon, sop_common
from mdm_async.errors import Exists, NotADirectory, TooLarge, TooManyRequests, WrongContent
from mdm_async.images.intake.draft import Draft
from mdm_async.images.intake.intake import Intake
from mdm_async.images.intake.placing import Bytes, Same
from mdm_async.images.intake.rejecting import reject
from mdm_async.images.intake.target import Target
from mdm_async.images.metrics import FILED, INGESTED
from mdm_async.images.names import directories
from mdm_async.images.names.archived_name import archived_name, keyed_by
from mdm_async.images.names.path_template import PathTemplate
from mdm_async.images.reading.served import Served
from mdm_async.images.transfers import known
from mdm_async.images.transfers.admission import Admission
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.known import Alike, Known
from mdm_async.images.transfers.made_name import beside, chosen_in
from mdm_async.images.transfers.storing import demand_unrevoked, unkept
from mdm_async.names import Caller, Lfn, parse_lfn, split
from mdm_async.postgres.database import Connection

PUSHED = "ae:"
"""Who has brought all that devices push: the same bytes from another device are the same image."""

ACL_DROPPED: Final = {"dropped": "acl"}
"""For the audit: a file has become another patient's, and had an ACL of its own."""
_TWO_PATIENTS: Final = "its study has instances of another patient"
_LONGEST: Final = 120.0
"""Seconds in which what has come is compared with what is known, and has its name."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Landing:
    """A directory, and how what lands in it is named."""

    directory: Lfn
    template: PathTemplate
    issued_by: str | None = None
    """Who issues the Patient IDs of what lands there, as of `issuer_of`."""

    @classmethod
    def of(cls, directory: str, template: str, issued_by: str | None = None) -> Self:
        """Raises BadRequest."""
        return cls(parse_lfn(directory), PathTemplate(template), issued_by)


@dataclass(frozen=True, slots=True)
class FileAsk:
    """Where a file is to be named, and what it is said to be."""

    landing: Landing
    said: SopCommon
    by: str
    """How it came, for the audit."""
    owner: str
    """As whose it is stored: the same bytes of another owner are another image."""
    study: str | None = None
    """Study Instance UID of the one study that it may be of."""


class Outcome(StrEnum):
    """What came of an instance, for the audit and the metrics. Whoever sends it is told none of it."""

    NEW = "new"
    SAME = "same"
    """It is here already."""
    UPDATED = "updated"
    """Its file has a new version: the same pixels, and another head."""
    MOVED = "patient changed"
    """As that, and it is another patient's by now: the file has that one's name."""
    APART = "apart"
    """Another instance has its SOP Instance UID, and its name: it has one beside that."""


@dataclass(frozen=True, slots=True)
class Filed:
    """What has been stored."""

    guid: UUID
    outcome: Outcome
    study: str
    series: str
    """Study and Series Instance UID; "" where there is none."""


async def file(
    intake: Intake,
    judge: Judge,
    admission: Admission,
    caller: Caller,
    ask: FileAsk,
    body: AsyncIterator[bytes],
    cut: Callable[[], None],
) -> Filed:
    """Store these (clear) bytes under the path that the template makes of them, as this caller, or leave nothing.

    What is known already changes nothing, or is a new version: see `known`. `cut` ends the connection that they come
    by; it is called when the caller loses the right meanwhile. Raises as `store` does, WrongContent when they are not
    what they are said to be.
    """
    base = await landed(intake, judge.mapping.apply(caller), ask.landing.directory)
    assert base.entry is not None
    who = await judge.callers.id_of(caller)
    grant = unkept(caller, who, ask.landing.directory, base.entry.id, "-")
    with admission.taking(caller.payer, grant, cut):
        async with intake.draft(
            base.entry.id, body, caller.payer, announced=None, issued_by=ask.landing.issued_by
        ) as draft:
            served = keyed_by(intake.shelf.served, base.default_view)
            path = await intake.workshop.cipher.run(partial(_path, draft, ask, served))
            filing = _Filing(intake, judge, caller, ask, draft, path.lfn, served.key, base.entry.id)
            guid, outcome, _ = await filing.filed()
    FILED.labels(outcome).inc()
    if outcome not in (Outcome.NEW, Outcome.SAME):
        _log.warning(
            "an instance came whose SOP Instance UID is known",
            guid=str(guid),
            by=ask.by,
            outcome=str(outcome),
        )
    return Filed(guid, outcome, path.study, path.series)


async def landed(intake: Intake, caller: Caller, directory: Lfn) -> Place:
    """The directory, made if it is missing, where the caller may file.

    Raises as `directories.made` and `acl.demand_create`.
    """
    async with intake.database.acquire() as db:
        base = await places.resolve_one(db, directory)
    if base.entry is None:
        async with intake.database.transaction() as db:
            base = await _with_directory(db, caller, directory, base)
    acl.demand_create(caller, base.child("-", None))
    if base.entry is None or not base.entry.is_directory:
        raise NotADirectory("a file has the name of the directory that pushed images land in")
    return base


class _Path(NamedTuple):
    """A file's name, and the UIDs of its study and series."""

    lfn: Lfn
    study: str
    series: str


def _path(draft: Draft, ask: FileAsk, served: Served) -> _Path:
    """Raises WrongContent, Malformed, BadRequest."""
    head = draft.head
    found = sop_common(head)
    if found != ask.said:
        wrong = "class" if found.sop_class != ask.said.sop_class else "instance"
        raise WrongContent(f"the data set's SOP {wrong} UID is not the one that was announced")
    values = linking_values(head)
    study, series = (values.get(f"{of}InstanceUID", "") for of in ("Study", "Series"))
    if ask.study not in (None, study):
        raise WrongContent("the data set is of another study")
    name = archived_name(ask.landing.template, served, head, ask.landing.issued_by)
    return _Path(parse_lfn(f"{ask.landing.directory.rstrip('/')}/{name}"), study, series)


class _Done(NamedTuple):
    """The GUID of the entry, and what came of it."""

    guid: UUID
    outcome: Outcome
    dropped_acl: bool = False


class _Unexamined(Exception):
    """Files that are known, and were not compared yet."""

    def __init__(self, images: Collection[UUID]) -> None:
        self.images = images


class _Uncompared(Exception):
    """A name that the file is to keep, of which it was not asked yet whether it tells who the patient is."""

    def __init__(self, said: str) -> None:
        self.said = said


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was found out between the transactions: of files that are known, by image, and of their names."""

    likeness: dict[UUID, Alike] = field(default_factory=dict)
    tells: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Filing:
    """One file on its way to its name (`lfn`, whose keyed parts are by `key`), below the directory `base`."""

    intake: Intake
    judge: Judge
    caller: Caller
    ask: FileAsk
    draft: Draft
    lfn: Lfn
    key: bytes
    base: int

    async def filed(self) -> _Done:
        """Raises as `Placing.placed`, and as the rights of the moment say; TooManyRequests when it takes too long."""
        try:
            async with asyncio.timeout(_LONGEST):
                return await self._in_time()
        except TimeoutError:
            raise TooManyRequests(
                "too much is known of this SOP Instance UID, or it changes all the time", retry_after=60
            ) from None

    async def _in_time(self) -> _Done:
        looked = _Looked()
        while True:
            try:
                return await self._filed(looked)
            except _Uncompared as name:
                looked.tells[name.said] = await self._tells(name.said)
            except _Unexamined as some:
                # The stores are asked, for which no transaction waits.
                intake, blobs = self.intake, self.intake.workshop.depot.blobs
                for image in some.images:
                    looked.likeness[image] = await known.alike(
                        intake.database, intake.shelf, blobs, self.draft, image
                    )

    async def _tells(self, said: str) -> bool:
        """Whether that is so, or may be."""
        try:
            return await self.intake.workshop.cipher.run(partial(self.draft.reveals, said))
        except TooLarge:
            return True

    async def _filed(self, looked: _Looked) -> _Done:
        try:
            return await self._placed(self.lfn, looked, Outcome.NEW)
        except Exists:
            other = beside(self.lfn, self.draft.sha256, self.key)
            return await self._placed(other, looked, Outcome.APART)

    async def _placed(self, lfn: Lfn, looked: _Looked, outcome: Outcome) -> _Done:
        """Raises Exists when the name that it is to have is another's, _Unexamined, _Uncompared."""
        intake, draft = self.intake, self.draft

        async def place(same: Same) -> _Done:
            async with intake.database.transaction() as db:
                # Before any entry is locked, as whoever moves one does.
                await views_to_make.share_demands(db)
                await demand_unrevoked(db, self.caller)
                caller = self.judge.mapping.apply(self.caller)
                await known.lock(db, draft)
                again = await self._again(db, caller, looked) if outcome is Outcome.NEW else None
                if again is None:
                    parent = await _directory(db, caller, lfn)
                    await draft.store(db, self.ask.owner)
                    target = Target(parent, split(lfn)[1])
                    guid = await intake.placing.place(
                        db, caller, target, draft.image, self.ask.owner, same, draft.only_view, self.base
                    )
                    again = _Done(guid, outcome)
                await self._record(db, again)
                return again

        mine = Bytes(intake.database, draft.image, draft.sha256, outdates=draft.rejected is not None)
        placed = await intake.placing.placed(mine, place)
        if placed.outcome is not Outcome.SAME:
            draft.keep()
            INGESTED.labels(draft.state).inc()
        if placed.outcome in (Outcome.UPDATED, Outcome.MOVED):
            intake.placing.changed.everything()
        return placed

    async def _again(self, db: Connection, caller: Caller, looked: _Looked) -> _Done | None:
        """What it is of those that are known, done; None: none of them. Raises _Unexamined, _Uncompared, Exists."""
        files = await known.known(db, caller, self.base, self.draft, self.ask.owner)
        if unexamined := {one.image for one in files} - looked.likeness.keys():
            raise _Unexamined(unexamined)
        found = known.chosen(files, looked.likeness, self.lfn)
        if found is None:
            return None
        one, alike = found
        assert one.place.entry is not None
        if alike is Alike.SAME:
            if self.draft.rejected is not None:
                await self._rejected_again(db, caller, one.image, one.place.entry.guid)
            return _Done(one.place.entry.guid, Outcome.SAME)
        guid = await self._renewed(db, caller, one, looked)
        if one.of_patient:
            return _Done(guid, Outcome.UPDATED)
        return _Done(guid, Outcome.MOVED, one.place.entry.has_own_acl)

    async def _rejected_again(self, db: Connection, caller: Caller, note: UUID, guid: UUID) -> None:
        """A note that is here counts for what has come, or has become its sender's, since."""
        assert self.draft.rejected is not None
        await rejections.put(db, note, self.draft.rejected)
        await rejections.lock(db, note)
        await reject(db, caller, note, guid, self.base, self.ask.owner)

    async def _renewed(self, db: Connection, caller: Caller, one: Known, looked: _Looked) -> UUID:
        """Raises Exists when the name that it is to have is taken, _Uncompared."""
        there = one.place
        assert there.entry is not None
        directory, name = split(self.lfn)
        said, to = chosen_in(there.lfn, self.lfn), None
        if said is not None and said not in looked.tells:
            raise _Uncompared(said)
        if not one.of_patient:
            await kept_acls.lock(db)
        # Who has moved a file where the template puts none finds it there, unless that tells who the patient is by now.
        if (said is not None and looked.tells[said]) or (
            not one.of_series and directory != split(there.lfn)[0]
        ):
            to = await _directory(db, caller, self.lfn), name
            if await entries.is_taken(db, *to):
                raise Exists()
        await self.draft.store(db, self.ask.owner)
        guid = await self.intake.placing.renew(
            db,
            caller,
            there.entry,
            self.draft.image,
            self.ask.owner,
            self.base,
            to,
            closed=not one.of_patient,
        )
        if guid is None:
            raise _Unexamined(())  # It has gone, or changed, meanwhile.
        return guid

    async def _record(self, db: Connection, done: _Done) -> None:
        guid, outcome, dropped_acl = done
        details: dict[str, object] = {"by": self.ask.by, **(ACL_DROPPED if dropped_acl else {})}
        if outcome is not Outcome.NEW:
            details["outcome"] = outcome
        if outcome is Outcome.NEW and await known.study_has_other_patient(db, self.base, self.draft):
            details["study"] = _TWO_PATIENTS
            _log.warning(_TWO_PATIENTS, guid=str(guid), by=self.ask.by)
        # An original's exact size would identify it.
        size = padded(self.draft.size)
        await acts.record(db, [Act(self.caller, "put", guid=guid, bytes=size, details=details)])


async def _directory(db: Connection, caller: Caller, lfn: Lfn) -> int:
    """The directory that is to hold the name, made if need be."""
    place = await places.resolve_one(db, lfn)
    if place.missing > 1:
        place = await _with_directory(db, caller, split(lfn)[0], place)
    acl.demand_create(caller, place)
    if place.entry is not None:
        assert place.entry.parent is not None
        return place.entry.parent
    if place.parent is None:
        raise NotADirectory("a file has the name of a directory that pushed images land in")
    return place.parent.id


async def _with_directory(db: Connection, caller: Caller, directory: Lfn, wanted: Place) -> Place:
    """The place that was wanted, once the directory is there."""
    with suppress(
        Exists
    ):  # By somebody else meanwhile; a caller who lists nothing is told of that as of any name.
        await directories.made(db, caller, directory, wanted)
    return await places.resolve_one(db, wanted.lfn)
