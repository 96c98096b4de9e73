"""How the rows of one key store are wrapped: each opens in its own row of its own store, and nowhere else."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from mdm_async.errors import Unavailable
from mdm_async.keys.ring import KeyRing

FORMAT = 2
"""Of what is wrapped now. Format 1 was bound to no store; there was one, which held whole secrets."""

_PURPOSE = "mdm stored key 2"


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """Which store a database is. `share`: the index of the shares in it; 0: it holds whole secrets."""

    id: UUID
    share: int
    installation: UUID


@dataclass(frozen=True, slots=True, repr=False)
class Held:
    """A secret of an image, or one share of it. `kind`: which of the image's secrets."""

    registration: UUID
    image: UUID
    kind: str
    value: bytes


@dataclass(slots=True, repr=False)
class RowCipher:
    """Of one store. The ring is replaced when key-encryption keys come or go; it binds the installation and epoch."""

    ring: KeyRing
    store: StoreIdentity

    def wrap(self, held: Held) -> bytes:
        """In FORMAT, under the ring's epoch; the caller keeps both beside it."""
        return self.ring.wrap(held.value, *self._owner(FORMAT, held.registration, held.image, held.kind))

    def unwrap(self, row: asyncpg.Record) -> Held:
        """Of a row of `image_secrets`. Unavailable when it does not open."""
        registration, image, kind = row["registration"], row["image"], row["kind"]
        owner = self._owner(row["format"], registration, image, kind)
        return Held(registration, image, kind, self.ring.unwrap(row["wrapped"], row["epoch"], *owner))

    def wrap_project_key(self, project: str, key: bytes) -> bytes:
        return self.ring.wrap(key, *self._project_owner(FORMAT, project))

    def unwrap_project_key(self, row: asyncpg.Record) -> bytes:
        """Of a row of `project_keys`. Unavailable when it does not open."""
        owner = self._project_owner(row["format"], row["project"])
        return self.ring.unwrap(row["wrapped"], row["epoch"], *owner)

    def _owner(self, form: int, registration: UUID, image: UUID, kind: str) -> tuple[bytes | str, ...]:
        named = (registration.bytes, image.bytes, kind)
        return named if self._is_bare(form) else (*self._place(), *named)

    def _project_owner(self, form: int, project: str) -> tuple[bytes | str, ...]:
        named = ("project", project)
        return named if self._is_bare(form) else (*self._place(), *named)

    def _place(self) -> tuple[bytes | str, ...]:
        return _PURPOSE, self.store.id.bytes, bytes([self.store.share])

    def _is_bare(self, form: int) -> bool:
        if form == FORMAT:
            return False
        # A share was never wrapped without its store.
        if form == 1 and self.store.share == 0:
            return True
        raise Unavailable("a stored secret has a form that this version does not know")
