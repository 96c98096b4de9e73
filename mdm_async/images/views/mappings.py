"""The verbs on projects' own mappings of patients to subjects: set, show, unset.

A mapping tells who every subject is. So it takes an administrator who may see identities everywhere, and what goes to
the catalog, the audit and the log is sealed, or a number.
"""

import os
from dataclasses import dataclass
from datetime import datetime

from mdm_async.catalog.holdings import mappings
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import directories_to_check
from mdm_async.catalog.work.views_to_make import lock_demands
from mdm_async.dicom.mapping import Mapping, digest_of
from mdm_async.errors import NotFound, Unavailable
from mdm_async.images.changed import ChangedHere
from mdm_async.images.reading.served import opened_mapping, profiles_in_use, project_of
from mdm_async.images.reading.shelf import Shelf
from mdm_async.keys.derive import NONCE_BYTES, MappingCipher
from mdm_async.names import Caller, Project, View
from mdm_async.postgres.database import Connection, Database

_BLOCK = 4096
"""Bytes of which a stored mapping has a multiple."""


@dataclass(frozen=True, slots=True)
class SetMapping:
    """What was done: how many patients are mapped, the views that are made anew for it, and what may be a slip."""

    patients: int
    anew: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class ShownMapping:
    csv: str
    patients: int
    set: datetime
    set_by: str


async def put(
    database: Database, shelf: Shelf, changed: ChangedHere, caller: Caller, project: Project, csv: str
) -> SetMapping:
    """Put a mapping into force. Raises BadRequest, which names lines and no values."""
    async with database.acquire() as db:
        await acl.demand_identities(db, caller)
    mapping = Mapping.parse(csv)
    key = await shelf.keys.make_project_key(project)
    text = mapping.dump().encode()
    # Empty lines say nothing, and so the size does not tell how long the names are.
    filled = text.ljust(-(-len(text) // _BLOCK) * _BLOCK, b"\n")
    sealed = MappingCipher(key, project).seal(filled, os.urandom(NONCE_BYTES))
    digest = digest_of(mapping, key)
    async with database.transaction() as db:
        await lock_demands(db)
        before = await mappings.put(db, project, sealed, digest, len(mapping), caller.name)
        anew = await _made_anew(db, project) if before != digest else ()
        details = {"project": project, "patients": len(mapping)}
        await acts.record(db, [Act(caller, "mapping set", details=details)])
    await _take_up(database, shelf, changed)
    return SetMapping(len(mapping), anew, mapping.warnings)


async def show(database: Database, shelf: Shelf, caller: Caller, project: Project) -> ShownMapping:
    """Raises NotFound."""
    async with database.transaction() as db:
        await acl.demand_identities(db, caller)
        stored = await mappings.of_project(db, project)
        if stored is None:
            raise _none()
        await acts.record(db, [Act(caller, "mapping show", details={"project": project})])
    key = (await shelf.keys.project_keys([project])).get(project)
    if key is None:
        raise Unavailable(f"the key of the project {project!r} is not there", remedy="restore the key store")
    mapping = opened_mapping(stored, key)
    return ShownMapping(mapping.dump(), stored.patients, stored.set, stored.set_by)


async def unset(
    database: Database, shelf: Shelf, changed: ChangedHere, caller: Caller, project: Project
) -> tuple[str, ...]:
    """The views that are made anew, by pseudonyms or as refusals. Raises NotFound."""
    async with database.transaction() as db:
        await lock_demands(db)
        await acl.demand_identities(db, caller)
        if not await mappings.remove(db, project):
            raise _none()
        anew = await _made_anew(db, project)
        await acts.record(db, [Act(caller, "mapping unset", details={"project": project})])
    await _take_up(database, shelf, changed)
    return anew


async def _made_anew(db: Connection, project: Project) -> tuple[str, ...]:
    """The views that the project's mapping is part of; what is stored is checked for them."""
    used = await profiles_in_use(db)
    views = tuple(View(one.name) for one in used if one.unmapped and project_of(one) == project)
    if views:
        await directories_to_check.add_all(db)
    return views


async def _take_up(database: Database, shelf: Shelf, changed: ChangedHere) -> None:
    await shelf.served.load(database)
    changed.everything()


def _none() -> NotFound:
    return NotFound("the project has no mapping", remedy="mdm project mapping set PROJECT FILE.csv")
