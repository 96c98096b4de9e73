"""The end of a key-encryption key: closed, when nothing is wrapped under it and nothing can be; then destroyed.

A row is written in a statement that also holds its key's row of `kek_proofs`, and only while that is open. So nobody,
however long it stood still, writes under a key that is closed.
"""

from mdm_async.postgres.database import Connection


async def open_epochs(db: Connection) -> list[int]:
    rows = await db.fetch("select epoch from mdm_keys.kek_proofs where closed is null order by epoch")
    return [row["epoch"] for row in rows]


async def close(db: Connection, before: int) -> list[int]:
    """Those before this one that nothing is under. Call it in a transaction."""
    # Whoever writes under one just now is waited for, and what it wrote is seen by the next statement.
    rows = await db.fetch(
        "select epoch from mdm_keys.kek_proofs where epoch < $1 and closed is null and transfers_until < now()"
        " order by epoch for update",
        before,
    )
    closed = await db.fetch(
        "update mdm_keys.kek_proofs p set closed = now() where epoch = any($1::int[])"
        " and not exists (select from mdm_keys.image_secrets s where s.epoch = p.epoch)"
        " and not exists (select from mdm_keys.project_keys k where k.epoch = p.epoch) returning epoch",
        [row["epoch"] for row in rows],
    )
    return sorted(row["epoch"] for row in closed)


async def expect_transfers(db: Connection, seconds: float) -> None:
    """What earlier versions wrapped under these keys directly is needed for so long."""
    await db.execute(
        "update mdm_keys.kek_proofs set transfers_until = now() + make_interval(secs => $1)"
        " where transfers_until = 'infinity'",
        seconds,
    )


async def note_destroyed(db: Connection) -> list[int]:
    """Those that are closed, and that no node has any more."""
    rows = await db.fetch(
        "update mdm_keys.kek_proofs p set destroyed = now() where closed is not null and destroyed is null"
        " and not exists (select from mdm_keys.nodes n where p.epoch = any(n.has)"
        "  and (n.keeps or n.seen > now() - interval '1 minute')) returning epoch"
    )
    return sorted(row["epoch"] for row in rows)
