"""A file that gets its name from what is in it: who pushes images, by C-STORE or STOW-RS, knows no paths here.

It is built of what a PUT by name is built of. The name is a path of keyed pseudonyms below a directory, known only once
the head has come; what else differs is that a name that other bytes have is no failure: these are kept apart from them.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Self
from uuid import UUID

from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import views_to_make
from mdm_async.crypt4gh.segment import padded
from mdm_async.dicom.identifiers import linking_values
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.dicom.sop_common import SopCommon, sop_common
from mdm_async.errors import Exists, NotADirectory, WrongContent
from mdm_async.images.intake.draft import Draft
from mdm_async.images.intake.intake import Intake
from mdm_async.images.intake.placing import Bytes, Same
from mdm_async.images.intake.target import Target
from mdm_async.images.metrics import INGESTED
from mdm_async.images.names import directories
from mdm_async.images.names.archived_name import archived_name, keyed_by
from mdm_async.images.names.path_template import PathTemplate
from mdm_async.images.reading.served import Served
from mdm_async.images.transfers.admission import Admission
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.storing import unkept
from mdm_async.names import Caller, Lfn, parse_lfn, split
from mdm_async.postgres.database import Connection

PUSHED = "ae:"
"""Who has brought all that devices push: the same bytes from another device are the same image."""


@dataclass(frozen=True, slots=True)
class Landing:
    """A directory, and how what lands in it is named."""

    directory: Lfn
    template: PathTemplate

    @classmethod
    def of(cls, directory: str, template: str) -> Self:
        """Raises BadRequest."""
        return cls(parse_lfn(directory), PathTemplate(template))


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


@dataclass(frozen=True, slots=True)
class Filed:
    """What has been stored. `apart`: other bytes had its name before, so it has another beside theirs."""

    guid: UUID
    apart: bool
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

    The same bytes once more change nothing. `cut` ends the connection that they come by; it is called when the caller
    loses the right meanwhile. Raises as `store` does, WrongContent when they are not what they are said to be.
    """
    room = await intake.room(caller.payer)
    room.demand(None)
    base = await landed(intake, judge.mapping.apply(caller), ask.landing.directory)
    assert base.entry is not None
    who = await judge.callers.id_of(caller)
    grant = unkept(caller, who, ask.landing.directory, base.entry.id, "-")
    with admission.taking(caller.payer, grant, cut):
        async with intake.draft(base.entry.id, body, caller.payer, announced=None) as draft:
            served = keyed_by(intake.shelf.served, base.default_view)
            lfn, study, series = await intake.workshop.cipher.run(partial(_path, draft, ask, served))
            placed = partial(_placed, intake, judge, caller, ask, draft)
            try:
                guid, apart = await placed(lfn, apart=False), False
            except Exists:
                guid, apart = await placed(_beside(lfn, draft.sha256, served.key), apart=True), True
            draft.keep()
            INGESTED.labels(draft.state).inc()
    return Filed(guid, apart, study, series)


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


def _path(draft: Draft, ask: FileAsk, served: Served) -> tuple[Lfn, str, str]:
    """The file's name, and the UIDs of its study and series. Raises WrongContent, Malformed, BadRequest."""
    head = draft.head
    found = sop_common(head)
    if found != ask.said:
        wrong = "class" if found.sop_class != ask.said.sop_class else "instance"
        raise WrongContent(f"the data set's SOP {wrong} UID is not the one that was announced")
    values = linking_values(head)
    study, series = (values.get(f"{of}InstanceUID", "") for of in ("Study", "Series"))
    if ask.study not in (None, study):
        raise WrongContent("the data set is of another study")
    name = archived_name(ask.landing.template, served, head)
    return parse_lfn(f"{ask.landing.directory.rstrip('/')}/{name}"), study, series


def _beside(lfn: Lfn, sha256: str, key: bytes) -> Lfn:
    """The name of an instance whose own name other bytes have: always the same one for the same bytes."""
    directory, name = split(lfn)
    stem, dot, suffix = name.rpartition(".")
    other = Pseudonyms(key).identifier("path bytes", sha256.encode()).decode()
    return parse_lfn(f"{directory}/{stem}.{other}.{suffix}" if dot else f"{directory}/{name}.{other}")


async def _placed(
    intake: Intake, judge: Judge, caller: Caller, ask: FileAsk, draft: Draft, lfn: Lfn, *, apart: bool
) -> UUID:
    """The GUID of the entry of that name. Raises as `Placing.placed`, and as the rights of the moment say."""

    async def place(same: Same) -> UUID:
        async with intake.database.transaction() as db:
            # Before any entry is locked, as whoever moves one does.
            await views_to_make.share_demands(db)
            parent = await _directory(db, judge.mapping.apply(caller), lfn)
            await draft.store(db, ask.owner)
            target = Target(parent, split(lfn)[1])
            guid = await intake.placing.place(db, target, draft.image, ask.owner, same)
            # An original's exact size would identify it.
            details = {"by": ask.by, **({"apart": True} if apart else {})}
            await acts.record(db, [Act(caller, "put", guid=guid, bytes=padded(draft.size), details=details)])
            return guid

    return await intake.placing.placed(Bytes(intake.database, draft.image, draft.sha256), place)


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
