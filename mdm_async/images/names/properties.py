"""Dead properties: what clients keep with entries under names of their own (RFC 4918 §4).

They are users' text, and are treated as names are: those of a file hold nothing that tells who its patient is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson

from mdm_async.catalog.namespace import dead_properties, locks
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import NoSpace
from mdm_async.images.names.revealing import Named, NameGuard
from mdm_async.images.names.user_text import UserText, opened, sealed
from mdm_async.images.surls import existing
from mdm_async.keys.derive import MappingCipher
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Database

_TAG: Final = re.compile(r"<[^>]*>")
Name = tuple[str, str]
"""Namespace and local name."""
Change = tuple[Name, str | None]
"""A property and its new value (the inside of its element, as XML); None: it is removed."""


@dataclass(frozen=True, slots=True)
class DeadProperties:
    """Those of an entry may take `most` bytes, names and values together."""

    database: Database
    text: UserText
    guard: NameGuard
    most: int

    async def change(self, caller: Caller, surl: str, changes: Sequence[Change]) -> None:
        """All of them, in their order, or none. It takes the right 's'. Raises NoSpace, Locked, BadRequest for text
        that tells who the patient is."""
        cipher = await self.text.cipher()
        async with self.database.acquire() as db:
            _, looked_at = await existing(db, caller, surl, Right.SET_METADATA)
        image = looked_at.image
        if image is not None:
            await self._demand_silent(caller, image, looked_at.guid, changes)
        async with self.database.transaction() as db:
            _, entry = await existing(db, caller, surl, Right.SET_METADATA)
            await locks.demand_unlocked(db, entry.parent or 0, entry.name)
            before = await dead_properties.locked(db, entry.id, image)
            known = dict(_opened(cipher, before)) if before is not None else {}
            for name, value in changes:
                if value is None:
                    known.pop(name, None)
                else:
                    known[name] = value
            await dead_properties.put(db, entry.id, self._sealed(cipher, known) if known else None)
            await acts.record(db, [Act(caller, "set properties", guid=entry.guid)])

    async def _demand_silent(
        self, caller: Caller, image: UUID, guid: UUID, changes: Sequence[Change]
    ) -> None:
        """Return when none of these tells who the image's patient is."""
        values = {name: value for name, value in changes if value is not None}
        self._demand_fits(values)
        told = tuple(text for name, value in values.items() for text in _read(name, value))
        (unknown,) = await self.guard.demand_texts_silent(caller, [Named(image, guid, told)])
        if unknown is not None:
            raise unknown

    def _demand_fits(self, known: Mapping[Name, str]) -> bytes:
        """Properties as they are kept. Raises NoSpace."""
        text = orjson.dumps([[*name, value] for name, value in known.items()])
        if len(text) > self.most:
            raise NoSpace(
                f"the properties of an entry may take {self.most} bytes", remedy="remove some of them"
            )
        return text

    async def of_entries(self, entries: Sequence[int]) -> dict[int, Mapping[Name, str]]:
        """Of entries that the caller was told of."""
        async with self.database.acquire() as db:
            found = await dead_properties.of_entries(db, entries)
        if not found:
            return {}
        cipher = await self.text.cipher()
        return {entry: _opened(cipher, text) for entry, text in found.items()}

    def _sealed(self, cipher: MappingCipher, known: Mapping[Name, str]) -> bytes:
        return sealed(cipher, self._demand_fits(known))


def _read(name: Name, value: str) -> tuple[str, str]:
    """A property as it is kept, and as who reads it without its elements."""
    return f"{' '.join(name)} {value}", _TAG.sub("", value)


def _opened(cipher: MappingCipher, text: bytes) -> Mapping[Name, str]:
    return {(namespace, name): value for namespace, name, value in orjson.loads(opened(cipher, text))}
