"""The key store's database, as tests open it and as the version before left it."""

import base64
import os
from uuid import UUID, uuid4

from mdm_async.keys.sources import GivenKeks
from mdm_async.keys.store import Secrets, new_secrets
from mdm_async.keys.wrap import Wrapper
from mdm_async.keys.wrapped import WrappedKeys
from mdm_async.postgres.database import Database

INSTALLATION = UUID(int=7)


def kek() -> bytes:
    return os.urandom(32)


async def opened(database: Database, *keks: bytes) -> WrappedKeys:
    """Always as the same node, which is started again with other keys."""
    source = GivenKeks("\n".join(base64.b64encode(kek).decode() for kek in keks))
    return await WrappedKeys.open(database, source, INSTALLATION, "a node", 60)


def some_secrets(count: int) -> dict[UUID, Secrets]:
    """By image."""
    return {uuid4(): new_secrets() for _ in range(count)}


def registrations(secrets: dict[UUID, Secrets]) -> list[UUID]:
    return [one.registration for one in secrets.values()]


async def as_the_version_before(
    database: Database, kek: bytes, secrets: dict[UUID, Secrets]
) -> dict[str, bytes]:
    """Rows as they were written when there was one key and no mark; the keys of the projects among them."""
    wrapper = Wrapper(kek, INSTALLATION)
    projects = {"/basic": os.urandom(32), "trial": os.urandom(32)}
    async with database.acquire() as db:
        await db.execute("insert into mdm_keys.kek_proofs values (1, $1)", wrapper.wrap(b"mdm", "proof"))
        await db.executemany(
            "insert into mdm_keys.image_secrets values ($1, $2, $3, 1, $4)",
            [
                (
                    one.registration,
                    kind,
                    image,
                    wrapper.wrap(one.of(kind), one.registration.bytes, image.bytes, kind),
                )
                for image, one in secrets.items()
                for kind in ("image", "identity")
            ],
        )
        await db.executemany(
            "insert into mdm_keys.project_keys values ($1, 1, $2)",
            [(project, wrapper.wrap(key, "project", project)) for project, key in projects.items()],
        )
    return projects


async def epochs(database: Database) -> set[int]:
    """Under which stored secrets are wrapped."""
    async with database.acquire() as db:
        rows = await db.fetch(
            "select epoch from mdm_keys.image_secrets union select epoch from mdm_keys.project_keys"
        )
    return {row["epoch"] for row in rows}
