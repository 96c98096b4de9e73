"""Projects' own mappings of patients to subjects, as they are stored: sealed, so that the catalog reads none."""

from dataclasses import dataclass
from datetime import datetime

from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True, repr=False)
class StoredMapping:
    """`digest` is keyed, of what the mapping says."""

    project: str
    sealed: bytes
    digest: str
    patients: int
    set: datetime
    set_by: str


_COLUMNS = "project, sealed, digest, patients, set_at, set_by"


async def listing(db: Connection) -> list[StoredMapping]:
    return [
        StoredMapping(*row.values()) for row in await db.fetch(f"select {_COLUMNS} from project_mappings")
    ]


async def of_project(db: Connection, project: str) -> StoredMapping | None:
    row = await db.fetchrow(f"select {_COLUMNS} from project_mappings where project = $1", project)
    return StoredMapping(*row.values()) if row is not None else None


async def put(db: Connection, project: str, sealed: bytes, digest: str, patients: int, by: str) -> str | None:
    """Put a mapping into force; the digest of the one before, if there was one."""
    before: str | None = await db.fetchval(
        "select digest from project_mappings where project = $1 for update", project
    )
    await db.execute(
        "insert into project_mappings (project, sealed, digest, patients, set_by) values ($1, $2, $3, $4, $5)"
        " on conflict (project) do update"
        " set sealed = $2, digest = $3, patients = $4, set_by = $5, set_at = now()",
        project,
        sealed,
        digest,
        patients,
        by,
    )
    return before


async def remove(db: Connection, project: str) -> bool:
    """False when there is none."""
    return bool(await db.fetchval("delete from project_mappings where project = $1 returning true", project))
