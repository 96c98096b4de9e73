"""The stored parts of images: runs of ciphertext, each inline or a blob."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Part:
    """A stored run of ciphertext: inline, or a blob. Plain sizes stand in the views' records."""

    id: UUID
    image: UUID
    kind: str
    variant: str
    secret: str
    format: int
    salt: bytes
    cipher_size: int
    cipher_adler: int
    inline: bytes | None
    blob: UUID | None


COLUMNS = "p.id, p.image, kind, variant, secret, format, salt, cipher_size, cipher_adler, inline, blob"
"""Of a row `p`, in the order of a `Part`."""


async def insert(db: Connection, parts: Sequence[Part]) -> None:
    await db.executemany(
        "insert into parts (id, image, kind, variant, secret, format, salt, cipher_size, cipher_adler, inline, blob)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        [
            (
                p.id,
                p.image,
                p.kind,
                p.variant,
                p.secret,
                p.format,
                p.salt,
                p.cipher_size,
                p.cipher_adler,
                p.inline,
                p.blob,
            )
            for p in parts
        ],
    )


async def by_id(db: Connection, ids: Iterable[UUID]) -> dict[UUID, Part]:
    rows = await db.fetch(f"select {COLUMNS} from parts p where id = any($1::uuid[])", list(ids))
    return {row["id"]: Part(*row.values()) for row in rows}
