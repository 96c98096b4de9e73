"""Wrapping anew, under the key-encryption key in use, what older ones wrapped: a page at a time.

Nothing is locked: whichever node writes last, a row holds the same secret. What does not open stays as it is.
"""

from uuid import UUID

from mdm_async.errors import Unavailable
from mdm_async.keys.ring import KeyRing
from mdm_async.postgres.database import Connection

_PAGE = 500


async def project_keys(db: Connection, ring: KeyRing) -> int:
    """All of them: there are few. How many were wrapped anew."""
    count = 0
    rows = await db.fetch(
        "select project, epoch, wrapped from mdm_keys.project_keys where epoch = any($1::int[])",
        ring.older,
    )
    for row in rows:
        try:
            key = ring.unwrap(row["wrapped"], row["epoch"], "project", row["project"])
        except Unavailable:
            continue
        count += 1
        await db.execute(
            "update mdm_keys.project_keys set epoch = $2, wrapped = $3 where project = $1",
            row["project"],
            ring.epoch,
            ring.wrap(key, "project", row["project"]),
        )
    return count


async def image_secrets(
    db: Connection, ring: KeyRing, after: tuple[UUID, str]
) -> tuple[int, tuple[UUID, str] | None]:
    """One page, by (registration, kind): how many were wrapped anew, and after what the next one begins."""
    rows = await db.fetch(
        "select registration, kind, image, epoch, wrapped from mdm_keys.image_secrets"
        " where (registration, kind) > ($1, $2) order by registration, kind limit $3",
        *after,
        _PAGE,
    )
    anew: list[tuple[UUID, str, bytes]] = []
    for row in rows:
        if row["epoch"] not in ring.older:
            continue
        owner = (row["registration"].bytes, row["image"].bytes, row["kind"])
        try:
            secret = ring.unwrap(row["wrapped"], row["epoch"], *owner)
        except Unavailable:
            continue
        anew.append((row["registration"], row["kind"], ring.wrap(secret, *owner)))
    await db.execute(
        "update mdm_keys.image_secrets s set epoch = $4, wrapped = n.wrapped"
        " from unnest($1::uuid[], $2::text[], $3::bytea[]) as n (registration, kind, wrapped)"
        " where s.registration = n.registration and s.kind = n.kind",
        [registration for registration, _, _ in anew],
        [kind for _, kind, _ in anew],
        [wrapped for _, _, wrapped in anew],
        ring.epoch,
    )
    return len(anew), (rows[-1]["registration"], rows[-1]["kind"]) if len(rows) == _PAGE else None
