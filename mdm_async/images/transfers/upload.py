"""Preparing files to be put: rights, name and transfer URL, thousands of SURLs in one round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.rights.callers import Callers
from mdm_async.catalog.rights.tokens import digest
from mdm_async.catalog.trail import acts as audit
from mdm_async.catalog.trail.acts import Act
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.errors import BadRequest, MdmError
from mdm_async.images.intake.intake import Intake
from mdm_async.images.intake.target import Target, demand_path, target_at
from mdm_async.images.metrics import GRANTED
from mdm_async.images.names import directories
from mdm_async.images.surls import resolve
from mdm_async.images.transfers.granting import lifetime, unserved_grant
from mdm_async.keys.derive import turl_token
from mdm_async.names import Caller, Lfn
from mdm_async.settings import TransferSettings


@dataclass(frozen=True, slots=True)
class PutAsk:
    """Files to be put: SURL and expected size in bytes (None: unknown)."""

    files: Sequence[tuple[str, int | None]]
    overwrite: bool = False
    pin: int | None = None
    description: str | None = None
    parents: bool = False
    """Directories that are missing are made."""


@dataclass(frozen=True, slots=True)
class WriteTicket:
    """Where to put one file, and the Crypt4GH key for sealed bytes to this transfer URL alone."""

    surl: str
    token: str
    recipient: bytes
    pin: int


@dataclass(frozen=True, slots=True)
class PreparedPut:
    request: UUID
    files: list[tuple[str, WriteTicket | MdmError]]


async def prepare(
    intake: Intake, callers: Callers, settings: TransferSettings, caller: Caller, ask: PutAsk
) -> PreparedPut:
    """Reserve a transfer URL for each file that the caller may write. One failing file fails no other."""
    life = lifetime(settings, caller, ask.pin)
    request = uuid4()
    who = await callers.id_of(caller)
    room = await intake.room()
    rows: list[Grant] = []
    acts: list[Act] = []
    targets: set[Lfn] = set()
    files: list[tuple[str, WriteTicket | MdmError]] = []
    unmade: Mapping[str, MdmError] = {}
    if ask.parents:
        unmade = await directories.for_files(intake.database, caller, [surl for surl, _ in ask.files])
    async with intake.database.transaction() as db:
        found = await resolve(db, caller, [surl for surl, _ in ask.files])
        for item, ((surl, size), one) in enumerate(zip(ask.files, found, strict=True)):
            try:
                if isinstance(one, MdmError):
                    raise one
                named, place = one
                if surl in unmade:
                    raise unmade[surl]
                demand_path(named)
                if named.lfn in targets:
                    raise BadRequest("a file is named twice in one request", remedy="name it once")
                target = target_at(caller, place, room, size, overwrite=ask.overwrite)
                targets.add(named.lfn)
                room = room.after(size)
            except MdmError as why:
                files.append((surl, why))
                rows.append(unserved_grant(request, item, "put", caller, surl, why, life, ask.description))
                continue
            private = new_private_key()
            ticket = WriteTicket(surl, turl_token(private), public_key(private), life)
            files.append((surl, ticket))
            wrapped = intake.shelf.keys.wrap_grant(private, request, item)
            rows.append(_grant(request, item, caller, who, ask, ticket, wrapped, target, size))
            guid = place.entry.guid if place.entry is not None else None
            acts.append(Act(caller, "prepare put", guid=guid))
        await grants.insert(db, rows)
        await audit.record(db, acts)
    GRANTED.labels("put").inc(sum(isinstance(f, WriteTicket) for _, f in files))
    return PreparedPut(request, files)


def _grant(
    request: UUID,
    item: int,
    caller: Caller,
    who: int,
    ask: PutAsk,
    ticket: WriteTicket,
    wrapped: bytes,
    target: Target,
    size: int | None,
) -> Grant:
    return Grant(
        turl=digest(ticket.token),
        request=request,
        item=item,
        operation="put",
        state="open",
        caller=caller.name,
        owner=caller.owner,
        who=who,
        token=caller.token,
        description=ask.description,
        surl=ticket.surl,
        life=float(ticket.pin),
        secret=wrapped,
        entry=target.entry,
        parent=target.parent,
        name=target.name,
        replaces=target.replaces,
        expected_size=size,
    )
