"""What a key store is: each image's two secrets, each project's key, and the wrapping of transfers' own secrets.

It knows no catalog, and takes nobody's connection or transaction: it may lie in another database, or in several. So
an image's secrets are registered before the catalog names them, and counted or swept afterwards (see `register`), and
what is to be forgotten is told to it, as often as it takes, by those who wrote down that it must be.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID, uuid4

from mdm_async.errors import Unavailable
from mdm_async.keys.standing import KeyStanding

SECRET_BYTES = 32
IMAGE, IDENTITY = "image", "identity"
LAPSE = 3600.0
"""Seconds after which secrets that the catalog does not name are nobody's any more."""


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What opens an image. `image` opens the parts of its de-identified views, `identity` all others."""

    registration: UUID
    image: bytes
    identity: bytes | None

    def of(self, kind: str) -> bytes:
        secret = self.identity if kind == IDENTITY else self.image
        if secret is None:
            raise Unavailable("the identity secret was not asked for")
        return secret


def new_secrets() -> Secrets:
    return Secrets(uuid4(), os.urandom(SECRET_BYTES), os.urandom(SECRET_BYTES))


class Fetched(dict[UUID, Secrets]):
    """Secrets by image. `untold`: registrations of which it cannot be known now, for a store that is away may tell;
    what is in neither is destroyed, or damaged, or was never there.
    """

    def __init__(self, secrets: Mapping[UUID, Secrets] | None = None, untold: Iterable[UUID] = ()) -> None:
        super().__init__(secrets or {})
        self.untold = frozenset(untold)

    def of(self, image: UUID, registration: UUID) -> Secrets | None:
        """None where they are gone for good. Raises Unavailable when that cannot be known now."""
        if image not in self and registration in self.untold:
            raise untold()
        return self.get(image)


def untold() -> Unavailable:
    return Unavailable(
        "the image's keys cannot be read: it takes a key store that is away",
        remedy="try again; the server goes on by itself when it is back (mdm keys status names it)",
        retry_after=2,
    )


class Intent(NamedTuple):
    """Secrets that were registered and not confirmed yet: the catalog says whether they count."""

    registration: UUID
    image: UUID


class Forgotten(NamedTuple):
    """Where secrets are destroyed, and where they still must be: names of stores."""

    done: tuple[str, ...]
    waiting: tuple[str, ...]


class KeyStore(Protocol):
    """Everything is durable when a call returns, and may be called again with the same arguments, unless it says
    otherwise. Raises Unavailable when the store is away.
    """

    async def register(self, secrets: Mapping[UUID, Secrets]) -> None:
        """Store images' secrets, before the transaction that names their registrations in the catalog.

        That transaction begins to name them before they are LAPSE seconds old, or never. Once.
        """

    async def confirm(self, registrations: Collection[UUID]) -> None:
        """The catalog names these: they are kept until they are forgotten. May be lost in a crash."""

    async def unconfirmed(self, age: float, count: int) -> list[Intent]:
        """Some of the intents that are older than `age` seconds, the oldest first."""

    async def fetch(self, registrations: Collection[UUID], *, identity: bool) -> Fetched:
        """Secrets by image, of thousands in one round. Without `identity` the identifying secret is not even read.

        Images whose secrets are missing or do not open are left out; those that a store which is away may still give
        are told apart from them.
        """

    async def forget(self, registrations: Collection[UUID]) -> Forgotten:
        """Destroy secrets: what they opened can never be read again.

        Of several stores one may be away; call it again until none is waited for.
        """

    async def forget_lapsed(self, registrations: Collection[UUID], age: float) -> None:
        """Destroy those of these whose intents are older than `age` seconds: the catalog does not name them.

        Of several stores each judges by its own intents: what one of them says of the others' does not count.
        """

    async def holders(self, registrations: Collection[UUID]) -> dict[str, frozenset[UUID] | None]:
        """By store, those of which it has both secrets, or a share of each; None of a store that is away."""

    async def make_good(self, registrations: Collection[UUID]) -> None:
        """Give stores what they lack of these, where enough others have it. What is there is never changed."""

    async def make_project_key(self, project: str) -> bytes:
        """The key of a project's pseudonyms, made if it is not there yet; one winner when two nodes make it."""

    async def take_project_key(self, project: str, key: bytes) -> None:
        """Let this, another installation's, be the key of a project's pseudonyms, in place of what there was."""

    async def project_keys(self, projects: Collection[str]) -> dict[str, bytes]:
        """The keys of projects' pseudonyms; those that were never made are left out."""

    async def rotate(self, gone: Collection[str]) -> None:
        """Begin to wrap all under new key-encryption keys, or go on with it; it goes on in the background.

        `gone`: nodes that will not come back. Raises Conflict when the site keeps these keys and has no new one.
        """

    async def status(self) -> KeyStanding:
        """How each of its databases stands; one that is away is told, not raised."""

    def wrap_grant(self, secret: bytes, request: UUID, item: int) -> bytes:
        """A transfer's own secret (seed or upload key), bound to its grant, for the catalog to keep."""

    def unwrap_grant(self, wrapped: bytes, request: UUID, item: int) -> bytes:
        """The secret; Unavailable when it does not open."""

    def wrap_macaroon(self, root_key: bytes, macaroon: UUID, made: bytes) -> bytes:
        """A macaroon's root key, bound to it and to what is kept of its making, for the catalog to keep."""

    def unwrap_macaroon(self, wrapped: bytes, macaroon: UUID, made: bytes) -> bytes:
        """The root key; Unavailable when it does not open."""
