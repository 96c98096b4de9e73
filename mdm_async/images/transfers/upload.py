"""Uploads: prepare a transfer URL, receive a file there. It is whole and durable then, but has no name yet.

`publish` gives it one when putDone asks for it.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.holdings import profiles
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.rights.tokens import digest
from mdm_async.catalog.trail import acts as audit
from mdm_async.catalog.trail.acts import Act
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.header import MAGIC
from mdm_async.crypt4gh.segment import padded
from mdm_async.crypt4gh.stream import Unsealer, looks_sealed
from mdm_async.errors import (
    BadPath,
    BadRequest,
    Exists,
    Gone,
    InsecureChannel,
    MdmError,
    NoSpace,
    NotFound,
    TooLarge,
    WrongContent,
)
from mdm_async.images.archive import Archive
from mdm_async.images.intake.draft import Draft
from mdm_async.images.metrics import GRANTED, INGESTED
from mdm_async.images.names import directories
from mdm_async.images.reading.served import Served
from mdm_async.images.surls import resolve
from mdm_async.images.transfers.download import lifetime, unserved_grant
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.publish import sha256_of
from mdm_async.names import Caller, Lfn, Right, join, parse_surl, split


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


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived, unsealed: size in bytes and checksum."""

    size: int
    adler32: int


async def prepare(archive: Archive, caller: Caller, ask: PutAsk) -> PreparedPut:
    """Reserve a transfer URL for each file that the caller may write. One failing file fails no other."""
    life = lifetime(archive, caller, ask.pin)
    request = uuid4()
    who = await archive.callers.id_of(caller)
    free = await archive.blobs.free()
    rows: list[Grant] = []
    acts: list[Act] = []
    targets: set[Lfn] = set()
    files: list[tuple[str, WriteTicket | MdmError]] = []
    unmade: Mapping[str, MdmError] = {}
    if ask.parents:
        unmade = await directories.for_files(archive.database, caller, [surl for surl, _ in ask.files])
    async with archive.database.transaction() as db:
        found = await resolve(db, caller, [surl for surl, _ in ask.files])
        for item, ((surl, size), target) in enumerate(zip(ask.files, found, strict=True)):
            try:
                if isinstance(target, MdmError):
                    raise target
                named, place = target
                if surl in unmade:
                    raise unmade[surl]
                if named.guid is not None:
                    raise BadPath("a file is put without naming a GUID", remedy="name it by its path")
                if named.view is not None:
                    raise BadRequest(
                        "a file is put without naming a view", remedy="drop /@view from the SURL"
                    )
                if named.lfn in targets:
                    raise BadRequest("a file is named twice in one request", remedy="name it once")
                entry, parent, replaces = _target(archive, caller, place, ask.overwrite, size, free)
                targets.add(named.lfn)
            except MdmError as why:
                files.append((surl, why))
                rows.append(unserved_grant(request, item, "put", caller, surl, why, life, ask.description))
                continue
            private = new_private_key()
            ticket = WriteTicket(surl, secrets.token_urlsafe(32), public_key(private), life)
            files.append((surl, ticket))
            rows.append(
                Grant(
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
                    surl=surl,
                    life=float(life),
                    secret=archive.keys.wrap_grant(private, request, item),
                    entry=entry,
                    parent=parent,
                    name=split(place.lfn)[1],
                    replaces=replaces,
                    expected_size=size,
                )
            )
            acts.append(
                Act(caller, "prepare put", guid=place.entry.guid if place.entry is not None else None)
            )
        await grants.insert(db, rows)
        await audit.record(db, acts)
    GRANTED.labels("put").inc(sum(isinstance(f, WriteTicket) for _, f in files))
    return PreparedPut(request, files)


def _target(
    archive: Archive, caller: Caller, place: Place, overwrite: bool, size: int | None, free: int
) -> tuple[int | None, int, UUID | None]:
    """The file to be overwritten, the directory to write to, and the image to be replaced."""
    acl.demand_create(caller, place)
    if size is not None and size > archive.settings.transfers.max_upload:
        raise TooLarge(f"uploads may have {archive.settings.transfers.max_upload} bytes at the most")
    if free < (size or 1):
        raise NoSpace("the blob store has no space left for this upload", remedy="free space on its disk")
    if place.entry is None:
        if place.parent is None:
            raise NotFound("the directory does not exist", remedy="make it first: mdm mkdir -p")
        return None, place.parent.id, None
    if place.entry.image is None:
        raise Exists()
    if not overwrite or not acl.allows(caller, place, Right.LIST):
        raise Exists(remedy="choose another name, or ask to overwrite a file")
    acl.demand(caller, place, Right.WRITE)
    acl.demand(caller, place, Right.DELETE)
    assert place.entry.parent is not None
    return place.entry.id, place.entry.parent, place.entry.image


async def open_upload(archive: Archive, token: str) -> Grant:
    """The grant behind a write transfer URL. Raises Gone when it takes no file."""
    async with archive.database.acquire() as db:
        found = await grants.by_turl(db, digest(token))
    if found is None or not found.serves or found.grant.operation != "put":
        raise Gone(remedy="prepare the upload again")
    judge = Judge(archive.database, archive.callers, archive.mapping, archive.settings.delivery)
    if not await judge.still_allowed([found.grant]):
        raise Gone(remedy="prepare the upload again")
    return found.grant


async def receive(
    archive: Archive,
    grant: Grant,
    body: AsyncIterator[bytes],
    *,
    length: int | None,
    secure: bool,
    source: str,
) -> Received:
    """Take the file. `length` is what the transport announced (bytes); `secure` whether it may carry clear bytes.
    `source` is the address that they come from.

    Raises what `Draft.fill` does, BadSeal, InsecureChannel, BadRequest for a name that reveals, Gone.
    """
    first, body = await _peek(body, len(MAGIC))
    sealed = looks_sealed(first)
    if not sealed and not secure:
        raise InsecureChannel(
            "clear bytes do not cross plain HTTP", remedy="use https, or seal the file to uploadRecipient"
        )
    announced = grant.expected_size
    if not sealed and length is not None:
        if announced is not None and length != announced:
            raise WrongContent(f"{length} bytes are sent but {announced} were announced by prepareToPut")
        announced = length
    if sealed:
        assert grant.secret is not None
        private = archive.keys.unwrap_grant(grant.secret, grant.request, grant.item)
        body = _unsealed(archive, body, private)
    async with Draft(archive.workshop, archive.keys, await _views_to_make(archive, grant)) as draft:
        await draft.fill(body, limit=archive.settings.transfers.max_upload, announced=announced)
        # Off the loop: the patient's attributes may lie behind many others.
        name = await archive.cipher.run(partial(_safe_name, archive, grant, draft))
        async with archive.database.transaction() as db:
            won = await grants.settle(
                db, grant, "uploaded", "open", image=draft.image, sealed=sealed, name=name
            )
            if won:
                await draft.store(db)
                await audit.record(db, [_act(grant, source, draft)])
        if won:
            draft.keep()
            INGESTED.labels(draft.state).inc()
        else:
            await _demand_repeated(archive, grant, draft)
    return Received(draft.size, draft.adler32)


def _act(grant: Grant, source: str, draft: Draft) -> Act:
    """Whoever has the transfer URL may use it. An original's exact size would identify it."""
    who = Caller(grant.caller, frozenset(), source=source)
    return Act(who, "upload", bytes=padded(draft.size), details={"transfer": grant.turl.hex()[:16]})


async def _views_to_make(archive: Archive, grant: Grant) -> list[Served]:
    """Those that the upload's directory names, as far as their profiles are in force."""
    assert grant.parent is not None
    async with archive.database.acquire() as db:
        await archive.views.refresh(db)
        enabled = await profiles.enabled_at(db, grant.parent)
    return [served for view in enabled if (served := archive.views.get(view)) is not None]


async def _peek(body: AsyncIterator[bytes], wanted: int) -> tuple[bytes, AsyncIterator[bytes]]:
    first = b""
    async for chunk in body:
        first += chunk
        if len(first) >= wanted:
            break

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for chunk in body:
            yield chunk

    return first, whole()


async def _unsealed(archive: Archive, body: AsyncIterator[bytes], private: bytes) -> AsyncIterator[bytes]:
    unsealer = Unsealer(private, max_packets=64)
    async for chunk in body:
        for plain in await archive.cipher.run(partial(unsealer.feed, chunk)):
            yield bytes(plain)
    for plain in unsealer.close():
        yield bytes(plain)


def _safe_name(archive: Archive, grant: Grant, draft: Draft) -> str | None:
    """Another name for the file when its own tells who the patient is; None when it may keep it."""
    parent, _ = split(parse_surl(grant.surl).lfn)
    assert grant.name is not None
    if not draft.reveals(join(parent, grant.name)):
        return None
    if archive.settings.naming.identifying == "rename" and not draft.reveals(parent):
        return f"{uuid4()}.dcm"
    raise BadRequest(
        "the file's name holds identifiers of its patient, which users without the right to them would see",
        remedy="choose a name without the patient's name, ID or accession number",
    )


async def _demand_repeated(archive: Archive, grant: Grant, draft: Draft) -> None:
    """Somebody was here before: fine if he brought the same bytes."""
    async with archive.database.acquire() as db:
        found = await grants.by_turl(db, grant.turl)
        if found is None or found.grant.image is None or found.grant.state not in ("uploaded", "done"):
            raise Gone(remedy="prepare the upload again")
        if await sha256_of(archive, db, found.grant.image) != draft.sha256:
            raise Exists(
                "another file was already uploaded to this transfer URL", remedy="prepare another upload"
            )
