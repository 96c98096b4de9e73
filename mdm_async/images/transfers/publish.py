"""putDone: give uploaded files their names, by compare-and-set.

Two different files put to one name have one winner; the same file put twice by one caller succeeds twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.grants import grants, requests
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.holdings import images, profiles
from mdm_async.catalog.namespace import entries, places
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import (
    BadRequest,
    Exists,
    Forbidden,
    Gone,
    MdmError,
    NotFound,
    UnknownRequest,
    WrongContent,
)
from mdm_async.images.archive import Archive
from mdm_async.images.parts.record import ViewRecord
from mdm_async.images.transfers.judging import Judge
from mdm_async.names import IDENTIFIED, Caller, Lfn, join, parse_lfn, parse_surl, split
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Done:
    """One file of a putDone; size and SHA-256 (hex) of the plaintext are demanded for sealed uploads."""

    surl: str
    size: int | None = None
    sha256: str | None = None


async def put_done(
    archive: Archive, caller: Caller, request: UUID, files: Sequence[Done]
) -> list[tuple[str, tuple[UUID, Lfn] | MdmError]]:
    """Give uploaded files their names: GUID and LFN of each. Repeating it is no error."""
    async with archive.database.acquire() as db:
        items = await requests.of_request(db, request, caller)
    puts = {item.surl: item for item in items if item.operation == "put"}
    if not puts:
        raise UnknownRequest()
    results: list[tuple[str, tuple[UUID, Lfn] | MdmError]] = []
    for done in files:
        try:
            if done.surl not in puts:
                raise NotFound("the request has no such SURL")
            results.append((done.surl, await _publish(archive, caller, puts[done.surl], done)))
        except MdmError as why:
            results.append((done.surl, why))
    return results


async def _publish(archive: Archive, caller: Caller, grant: Grant, done: Done) -> tuple[UUID, Lfn]:
    if grant.image is None or grant.parent is None or grant.name is None:
        raise Gone("no file was uploaded for this SURL", remedy="PUT it to its transferURL, then putDone")
    lfn = join(split(parse_lfn(parse_surl(grant.surl).lfn))[0], grant.name)
    judge = Judge(archive.database, archive.callers, archive.mapping, archive.settings.delivery)
    if not await judge.still_allowed([grant]):
        async with archive.database.acquire() as db:
            if not await places.of_entries(db, [grant.parent]):
                raise NotFound("the directory has just been removed")
        raise Forbidden(
            f"{caller.name} has lost the right 'w' to this directory", remedy="ask its owner for it"
        )
    try:
        async with archive.database.transaction() as db:
            if grant.sealed and grant.state == "uploaded":
                await _demand_same(archive, db, grant.image, done)
            if await grants.settle(db, grant, "done", "uploaded"):
                guid = await _point(archive, db, grant)
                if await profiles.lacks(db, grant.parent, grant.image, archive.views.versions):
                    archive.more_to_make.set()  # a profile was applied or replaced while it was uploaded
                await acts.record(
                    db, [Act(caller, "put", guid=guid, details={"transfer": grant.turl.hex()[:16]})]
                )
                return guid, lfn
            return await _published(db, grant), lfn
    except Exists as why:
        async with archive.database.transaction() as db:
            await grants.fail(db, grant, why)
            await images.doom_unreferenced(db, [grant.image])
        raise


async def _published(db: Connection, grant: Grant) -> UUID:
    """What an earlier putDone, or one at the same time, has come to."""
    assert grant.parent is not None
    assert grant.name is not None
    found = await grants.by_turl(db, grant.turl)
    if found is not None and found.grant.state == "done":
        named = await entries.image_at(db, grant.parent, grant.name)
        if named is not None:
            return named[0]
    if found is not None and found.grant.failure == Exists.srm:
        raise Exists(found.grant.explanation or "")
    raise Gone("the upload has ended: expired, aborted, or removed since", remedy="upload the file again")


async def _point(archive: Archive, db: Connection, grant: Grant) -> UUID:
    """Let the name point to the uploaded image; the same bytes already there are as good."""
    assert grant.image is not None
    assert grant.parent is not None
    assert grant.name is not None
    guid = None
    if grant.replaces is not None:
        guid = await entries.swap_image(db, grant.parent, grant.name, grant.replaces, grant.image)
        if guid is not None:
            await images.doom_unreferenced(db, [grant.replaces])
            return guid
    named = await entries.image_at(db, grant.parent, grant.name)
    if named is None:
        guid = await entries.add_file(db, grant.parent, grant.name, grant.image)
        if guid is not None:
            return guid
        named = await entries.image_at(db, grant.parent, grant.name)
    if named is None:
        raise Exists()
    if named[1] != grant.image:
        await _demand_own_repetition(archive, db, grant, named[1])
        await images.doom_unreferenced(db, [grant.image])
    return named[0]


async def _demand_own_repetition(archive: Archive, db: Connection, grant: Grant, other: UUID) -> None:
    """The same bytes, put before by the same caller, are as good as these.

    To others equality is not told: it would let a writer try which patient an image is of.
    """
    assert grant.image is not None
    if await grants.was_put_by(db, other, grant.owner):
        mine = await sha256_of(archive, db, grant.image)
        if mine is not None and mine == await sha256_of(archive, db, other):
            return
    raise Exists("another file was put under that name first", remedy="look at it, then choose another name")


async def _demand_same(archive: Archive, db: Connection, image: UUID, done: Done) -> None:
    if done.size is None or done.sha256 is None:
        raise BadRequest(
            "a sealed upload is accepted with its plaintext's size and sha256 only",
            remedy='putDone with "files": [{"surl", "size", "sha256"}]',
        )
    opened = await _identified(archive, db, image)
    if opened is None or (opened.size, opened.sha256) != (done.size, done.sha256.lower()):
        raise WrongContent("size or SHA-256 is not that of what arrived", remedy="upload the file again")


async def sha256_of(archive: Archive, db: Connection, image: UUID) -> str | None:
    """SHA-256 (hex) of an image's original."""
    opened = await _identified(archive, db, image)
    return opened.sha256 if opened else None


async def _identified(archive: Archive, db: Connection, image: UUID) -> ViewRecord | None:
    (opened,) = await archive.shelf.open_records(db, [(image, IDENTIFIED)])
    return opened if isinstance(opened, ViewRecord) else None
