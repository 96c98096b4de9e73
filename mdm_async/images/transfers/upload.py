"""Preparing files to be put: rights, name and transfer URL, thousands of SURLs in one round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.mirrors import read_only
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights.callers import Callers
from mdm_async.catalog.rights.tokens import digest
from mdm_async.catalog.trail import acts as audit
from mdm_async.catalog.trail.acts import Act
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.errors import BadRequest, MdmError
from mdm_async.images.fairness.desk import Desk
from mdm_async.images.fairness.pieces import in_pieces
from mdm_async.images.intake.intake import Intake
from mdm_async.images.intake.target import Room, Target, demand_path, target_at
from mdm_async.images.metrics import GRANTED
from mdm_async.images.names import directories
from mdm_async.images.surls import resolve
from mdm_async.images.transfers.announced import seal
from mdm_async.images.transfers.granting import lifetime, unserved_grant
from mdm_async.keys.derive import turl_token
from mdm_async.names import Caller, Lfn, Surl
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
    request: UUID | None
    """None: it was refused as a whole."""
    files: list[tuple[str, WriteTicket | MdmError]]


async def prepare(
    desk: Desk, intake: Intake, callers: Callers, settings: TransferSettings, caller: Caller, ask: PutAsk
) -> PreparedPut:
    """Reserve a transfer URL for each file that the caller may write. One failing file fails no other.

    A request of which every file fails leaves nothing. Raises TooManyRequests before anything is done for it.
    """
    life, request, files = lifetime(settings, caller, ask.pin), uuid4(), len(ask.files)
    with desk.asking(request, caller.payer, files, life):
        who = await callers.id_of(caller)
        making = _Making(desk, intake, caller, who, ask, request, life, await intake.room(caller.payer))
        await in_pieces(desk.turns, caller.payer, files, making.some)
        refused = [one for _, one in making.answers if isinstance(one, MdmError)]
        desk.end(request, len(refused))
        if len(refused) < files:
            await in_pieces(desk.turns, caller.payer, len(refused), making.keep_refused, begun=True)
    GRANTED.labels("put").inc(files - len(refused))
    return PreparedPut(request if len(refused) < files else None, making.answers)


@dataclass(slots=True)
class _Making:
    """One request, as its files are looked into."""

    desk: Desk
    intake: Intake
    caller: Caller
    who: int
    ask: PutAsk
    request: UUID
    life: int
    room: Room
    answers: list[tuple[str, WriteTicket | MdmError]] = field(default_factory=list)
    refused: list[Grant] = field(default_factory=list)
    _targets: set[Lfn] = field(default_factory=set)

    async def some(self, items: range) -> None:
        files = self.ask.files[items.start : items.stop]
        surls = [surl for surl, _ in files]
        unmade: Mapping[str, MdmError] = {}
        if self.ask.parents:
            unmade = await directories.for_files(self.intake.database, self.caller, surls)
        rows: list[Grant] = []
        acts: list[Act] = []
        async with self.intake.database.transaction() as db:
            found = await resolve(db, self.caller, surls)
            ways = {id_ for one in found if not isinstance(one, MdmError) for id_ in one[1].way}
            barred = await read_only.barred(db, ways)
            for item, (surl, size), one in zip(items, files, found, strict=True):
                try:
                    if isinstance(one, MdmError):
                        raise one
                    if surl in unmade:
                        raise unmade[surl]
                    target = self._target(one, size)
                    for id_ in barred.keys() & one[1].way:
                        raise barred[id_]
                except MdmError as why:
                    self.answers.append((surl, why))
                    self.refused.append(
                        unserved_grant(
                            self.request, item, "put", self.caller, surl, why, self.life, self.ask.description
                        )
                    )
                    continue
                private = new_private_key()
                ticket = WriteTicket(surl, turl_token(private), public_key(private), self.life)
                self.answers.append((surl, ticket))
                wrapped = self.intake.shelf.keys.wrap_grant(private, self.request, item)
                grant = _grant(self.request, item, self.caller, self.who, self.ask, ticket, wrapped, target)
                rows.append(
                    replace(grant, announced=seal(size, private, grant)) if size is not None else grant
                )
                guid = one[1].entry.guid if one[1].entry is not None else None
                acts.append(Act(self.caller, "prepare put", guid=guid))
            await grants.insert(db, rows)
            await audit.record(db, acts)
        self.desk.strangers.expect(row.turl for row in rows)

    def _target(self, found: tuple[Surl, Place], size: int | None) -> Target:
        named, place = found
        demand_path(named)
        if named.lfn in self._targets:
            raise BadRequest("a file is named twice in one request", remedy="name it once")
        target = target_at(self.caller, place, self.room, size, overwrite=self.ask.overwrite)
        self._targets.add(named.lfn)
        self.room = self.room.after(size)
        return target

    async def keep_refused(self, items: range) -> None:
        async with self.intake.database.transaction() as db:
            await grants.insert(db, self.refused[items.start : items.stop])


def _grant(
    request: UUID,
    item: int,
    caller: Caller,
    who: int,
    ask: PutAsk,
    ticket: WriteTicket,
    wrapped: bytes,
    target: Target,
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
    )
