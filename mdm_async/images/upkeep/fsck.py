"""Compare the blob store with the catalog, and repair what is safe to repair.

Safe is what loses nothing: finishing deletions, giving up lapsed writes. A file that no row knows is reported and
left, for the row may be in a database that was restored from an older backup.
"""

from dataclasses import dataclass
from uuid import UUID

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.holdings import blobs, images
from mdm_async.catalog.rights.acl import demand_administrator
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import views_to_make
from mdm_async.images.upkeep.sweep import Sweeper
from mdm_async.names import IDENTIFIED, Caller
from mdm_async.postgres.database import Database


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: kind, the blob (or part), its image, and whether it was mended."""

    kind: str
    blob: UUID
    image: UUID | None = None
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    findings: list[Finding]
    blobs: int
    bytes: int


async def fsck(sweeper: Sweeper, caller: Caller, *, repair: bool) -> Report:
    """Kinds found: `missing` and `wrong size` (an image is damaged), `unknown file`, `unfinished`, `doomed`.

    And `lost part`, which a view needs: repaired by making a de-identified view anew.
    """
    database, store = sweeper.database, sweeper.blobs
    async with database.acquire() as db:
        await demand_administrator(db, caller)
        if repair:
            await acts.record(db, [Act(caller, "fsck repair")])
    # Uploads and deletions go on meanwhile: what was stored before and after the files were listed must be there,
    # what had no row before and has none after must not.
    async with database.acquire() as db:
        before = await blobs.states(db)
        owners = await images.blob_owners(db)
    files = {blob: size async for blob, size in store.listing()}
    async with database.acquire() as db:
        states = await blobs.states(db)
    findings = [Finding("unknown file", blob) for blob in await _unknown(store, files, before, states)]
    for blob, (image, size) in owners.items():
        if before.get(blob) != "stored" or states.get(blob) != "stored":
            continue
        if blob not in files:
            findings.append(Finding("missing", blob, image))
        elif files[blob] != size:
            findings.append(Finding("wrong size", blob, image))
    unsettled = {blob: state for blob, state in states.items() if state != "stored"}
    if repair and unsettled:
        await sweeper.sweep()
        async with database.acquire() as db:
            left = await blobs.states(db)
    else:
        left = states
    for blob, state in unsettled.items():
        kind = "doomed" if state == "doomed" else "unfinished"
        findings.append(Finding(kind, blob, repaired=blob not in left))
    findings += await _lost_parts(database, repair=repair)
    return Report(findings, len(files), sum(files.values()))


async def _lost_parts(database: Database, *, repair: bool) -> list[Finding]:
    findings = []
    async with database.transaction() as db:
        for part, image, name in await images.lost_parts(db):
            mended = repair and name != IDENTIFIED
            if mended:
                await images.drop_view(db, image, name)
                await views_to_make.add(db, [(image, name)])
            findings.append(Finding("lost part", part, image, repaired=mended))
    return findings


async def _unknown(
    store: BlobStore, files: dict[UUID, int], before: dict[UUID, str], after: dict[UUID, str]
) -> list[UUID]:
    found = [blob for blob in files if blob not in before and blob not in after]
    if not found:
        return []
    # An upload that began and was given up in between has left nothing by now.
    still = {blob async for blob, _ in store.listing()}
    return [blob for blob in found if blob in still]
