"""Profiles with their projects' keys, as one site seals them for the other: the same pseudonyms at both."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import NoneType
from uuid import UUID

import orjson

from mdm_async.catalog.holdings import mappings, profiles
from mdm_async.catalog.mirrors import followed
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import directories_to_check
from mdm_async.catalog.work.views_to_make import lock_demands
from mdm_async.dicom.profiles.file import parse_profile
from mdm_async.errors import BadRequest, Conflict, Gone, Unavailable
from mdm_async.images.changed import ChangedHere
from mdm_async.images.mirroring.framed import line_of
from mdm_async.images.reading.served import BASIC_PROJECT, project_of
from mdm_async.images.reading.shelf import Shelf
from mdm_async.keys.store import SECRET_BYTES
from mdm_async.names import BASIC, Caller
from mdm_async.postgres.database import Connection, Database

_LARGEST = 64 << 20
"""Bytes of a mapping, which is stored as it comes."""
_LONGEST_LINE = 4 << 20
"""Bytes of all else: of a profile's source there is a mebibyte, each of which may be written as several."""
_MEMBERS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "toml": (str, NoneType),
    "project": str,
    "key": str,
    "digest": (str, NoneType),
    "patients": (int, NoneType),
}


@dataclass(frozen=True, slots=True, repr=False)
class MirroredProfiles:
    """Of one node."""

    database: Database
    shelf: Shelf
    changed: ChangedHere

    async def told(self, name: str) -> list[bytes] | None:
        """A profile, its project's key and mapping, to be sealed; None when there is no such profile."""
        async with self.database.acquire() as db:
            stored = next((one for one in await profiles.listing(db) if one.name == name), None)
            if stored is None and name != BASIC:
                return None
            project = project_of(parse_profile(stored.source)) if stored is not None else BASIC_PROJECT
            mapping = await mappings.of_project(db, project)
        key = (await self.shelf.keys.project_keys([project])).get(project)
        if key is None:
            raise Unavailable(f"the key of the project {project!r} is not there", remedy="mdm keys status")
        line = {
            "name": name,
            "toml": stored.source if stored is not None else None,
            "project": project,
            "key": key.hex(),
            "digest": mapping.digest if mapping is not None else None,
            "patients": mapping.patients if mapping is not None else None,
        }
        # The mapping is sealed under that key.
        return [orjson.dumps(line) + b"\n", mapping.sealed if mapping is not None else b""]

    async def of_project(self, project: str) -> list[str]:
        """The profiles whose pseudonyms are a project's."""
        async with self.database.acquire() as db:
            stored = await profiles.listing(db)
        named = [str(one.name) for one in stored if project_of(parse_profile(one.source)) == project]
        return [BASIC, *named] if project == BASIC_PROJECT else named

    async def take(self, mirror: str, epoch: int, upload: UUID, plain: AsyncIterator[bytes]) -> None:
        """Raises Conflict when pseudonyms were made here by another key, or there is another profile of that name."""
        told, rest = await line_of(plain, _LONGEST_LINE, _MEMBERS)
        project, name = told["project"], told["name"]
        key = _bytes(told["key"])
        if len(key) != SECRET_BYTES:
            raise BadRequest("a project's key has another length")
        profile = parse_profile(told["toml"]) if told["toml"] is not None else None
        # The key store has keys of other uses under names of other forms.
        of = (profile.name, project_of(profile)) if profile is not None else (BASIC, BASIC_PROJECT)
        if of != (name, project):
            raise BadRequest("a profile is another than its record says")
        sealed = await _whole(rest)
        had = (await self.shelf.keys.project_keys([project])).get(project)
        async with self.database.transaction() as db:
            await followed.keep(db, mirror, epoch)
            await self._demand_own(db, mirror, name, profile.digest if profile is not None else None)
            if had is not None and had != key:
                await _demand_empty(db, project)
        if had != key:
            await self.shelf.keys.take_project_key(project, key)
        by = f"mirror:{mirror}"
        async with self.database.transaction() as db:
            await lock_demands(db)
            await followed.keep(db, mirror, epoch)
            if not await followed.came(db, upload):
                raise Gone("it has come already, or is not wanted any more")
            if had != key:
                await followed.note_key(db, project, mirror)
            if profile is not None:
                await profiles.put(db, name, told["toml"], profile.digest, by)
            if told["digest"] is None:
                await mappings.remove(db, project)
            else:
                await mappings.put(db, project, sealed, told["digest"], told["patients"] or 0, by)
            await directories_to_check.add_all(db)
            details = {"profile": name, "project": project}
            await acts.record(db, [Act(Caller(by, frozenset()), "mirror profile", details=details)])
        await self.shelf.served.load(self.database)
        self.changed.everything()

    async def _demand_own(self, db: Connection, mirror: str, name: str, digest: str | None) -> None:
        for one in await profiles.listing(db):
            if one.name == name and one.digest != digest and one.added_by != f"mirror:{mirror}":
                raise Conflict(
                    f"the second site has another profile {name!r}",
                    remedy="give one of the two another name",
                )


async def _demand_empty(db: Connection, project: str) -> None:
    """Return when no pseudonym can have been made by the project's key here."""
    if await followed.has_images(db):
        raise Conflict(
            f"the second site has a key of its own for the pseudonyms of the project {project!r}, and images",
            remedy="mirror to an installation that stores no images yet",
        )


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise BadRequest("a project's key is not hexadecimal") from None


async def _whole(plain: AsyncIterator[bytes]) -> bytes:
    content = bytearray()
    async for piece in plain:
        content += piece
        if len(content) > _LARGEST:
            raise BadRequest(f"a mapping has more than {_LARGEST} bytes")
    return bytes(content)
