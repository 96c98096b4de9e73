"""How far wrapping anew under a key-encryption key is, for all nodes to read; one of them at a time does it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mdm_async.errors import Busy
from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Rotation:
    """To the key number `epoch`. `total` is what there was to wrap anew when it began, None until that is counted."""

    epoch: int
    began: datetime
    ended: datetime | None
    total: int | None
    done: int
    damaged: int
    """Rows that open under no key: they are as they were."""


_COLUMNS = "epoch, began, ended, total, done, damaged"


async def is_left(db: Connection, older: Sequence[int], epoch: int) -> bool:
    """Whether something is wrapped under the older ones that was not found damaged when all was wrapped anew."""
    damaged = await db.fetchval(
        "select damaged from mdm_keys.rotations where epoch = $1 and ended is not null", epoch
    )
    count: int = await db.fetchval(
        "select (select count(*) from"
        "  (select from mdm_keys.image_secrets where epoch = any($1::int[]) limit $2) i)"
        " + (select count(*) from (select from mdm_keys.project_keys where epoch = any($1::int[]) limit $2) k)",
        list(older),
        (damaged or 0) + 1,
    )
    return count > (damaged or 0)


async def begin(db: Connection, epoch: int, node: str) -> Rotation | None:
    """It, taken by this node, new or gone on with; None while another node is at it."""
    row = await db.fetchrow(
        "insert into mdm_keys.rotations (epoch, node, lease) values ($1, $2, now() + interval '1 minute')"
        " on conflict (epoch) do update set node = $2, lease = now() + interval '1 minute', ended = null"
        f" where rotations.node is null or rotations.node = $2 or rotations.lease < now() returning {_COLUMNS}",
        epoch,
        node,
    )
    return Rotation(**row) if row is not None else None


async def expect(db: Connection, epoch: int, total: int) -> None:
    await db.execute("update mdm_keys.rotations set total = $2 where epoch = $1", epoch, total)


async def renew(db: Connection, epoch: int, node: str, done: int) -> None:
    """Raises Busy when another node has taken it meanwhile: the page that goes with this does not count."""
    row = await db.fetchval(
        "update mdm_keys.rotations set done = done + $3, lease = now() + interval '1 minute'"
        " where epoch = $1 and node = $2 returning epoch",
        epoch,
        node,
        done,
    )
    if row is None:
        raise Busy("another node wraps stored secrets anew")


async def end(db: Connection, epoch: int, node: str, damaged: int) -> None:
    await db.execute(
        "update mdm_keys.rotations set ended = now(), damaged = $3, node = null, lease = null"
        " where epoch = $1 and node = $2",
        epoch,
        node,
        damaged,
    )


async def last(db: Connection) -> Rotation | None:
    row = await db.fetchrow(f"select {_COLUMNS} from mdm_keys.rotations order by epoch desc limit 1")
    return Rotation(**row) if row is not None else None
