"""What opaque files take of the room that is set aside for them, in all and of each account that brings them."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from mdm_async.errors import NoSpace
from mdm_async.postgres.database import Connection

_ALL: Final = ""


async def is_opaque(db: Connection, image: UUID) -> bool:
    """Whether an image is a file that is not DICOM."""
    return bool(await db.fetchval("select opaque_bytes is not null from images where id = $1", image))


async def room(db: Connection, account: str, total: int, each: int) -> int:
    """Bytes that this account may still bring, of `total` for all and `each` for one."""
    rows = await db.fetch(
        "select account, bytes from opaque_used where account = any($1::text[])", [_ALL, account]
    )
    used: dict[str, int] = {row["account"]: row["bytes"] for row in rows}
    return max(min(total - used.get(_ALL, 0), each - used.get(account, 0)), 0)


async def charge(db: Connection, image: UUID, account: str, bytes_: int, total: int, each: int) -> None:
    """Let an account pay for a new opaque file in the transaction that stores it. Raises NoSpace."""
    await db.execute("update images set opaque_bytes = $2 where id = $1", image, bytes_)
    # The row of all comes first, for whoever charges or pays back, so that nobody waits for each other.
    for payer, most in ((_ALL, total), (account, each)):
        used = await db.fetchval(
            "insert into opaque_used (account, bytes) values ($1, $2)"
            " on conflict (account) do update set bytes = opaque_used.bytes + $2 returning bytes",
            payer,
            bytes_,
        )
        if used > most:
            raise no_space(total, each)


async def pay_back(db: Connection, destroyed: Iterable[tuple[str, int]]) -> None:
    """What destroyed opaque files were charged with: account and bytes of each."""
    back: dict[str, int] = {}
    for account, bytes_ in destroyed:
        back[account] = back.get(account, 0) + bytes_
    for account, bytes_ in [(_ALL, sum(back.values())), *sorted(back.items())] if back else ():
        await db.execute("update opaque_used set bytes = bytes - $2 where account = $1", account, bytes_)


def no_space(total: int, each: int) -> NoSpace:
    return NoSpace(
        f"the quota of opaque files is used up: those of one caller may take {each} bytes, all together {total}",
        remedy="remove some, or let the administrator raise limits.opaque or limits.opaque_each",
    )
