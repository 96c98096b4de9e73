"""Grants of images that are still to be brought from their archives."""

from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.grants.grants import SELECT, Grant, grant_of
from mdm_async.catalog.grants.states import State
from mdm_async.errors import MdmError
from mdm_async.postgres.database import Connection

_WAITS = "state in ('queued', 'staging') and expires > now()"


@dataclass(frozen=True, slots=True)
class Waiter:
    """An item of a request; `asked`: seconds that its pin is to live once there is one."""

    grant: Grant
    asked: float


async def of_image(db: Connection, image: UUID, count: int) -> list[Waiter]:
    """Some of those that wait for an image."""
    select = SELECT.replace(
        " from grants", ", extract(epoch from expires - created)::float8 as asked from grants"
    )
    # Each by its own index.
    rows = await db.fetch(
        f"({select} where image = $1 and operation = 'get' and {_WAITS} limit $2) union all"
        f" ({select} where image = $1 and image is not null and operation = 'bring_online' and {_WAITS} limit $2)",
        image,
        count,
    )
    return [Waiter(grant_of(row), row["asked"]) for row in rows]


async def anybody(db: Connection, image: UUID) -> bool:
    """Whether anybody waits for the image."""
    return bool(
        await db.fetchval(
            f"select exists (select from grants where image = $1 and operation = 'get' and {_WAITS})"
            " or exists (select from grants where image = $1 and image is not null"
            f"  and operation = 'bring_online' and {_WAITS})",
            image,
        )
    )


async def begun(db: Connection, image: UUID) -> None:
    """Say that the image is being brought."""
    await _become(db, image, "staging", "queued")


async def put_off(db: Connection, image: UUID) -> None:
    """Say that the image is still to be brought: there was too little room for it."""
    await _become(db, image, "queued", "staging")


async def _become(db: Connection, image: UUID, state: State, was: State) -> None:
    for operation in ("get", "bring_online"):
        await db.execute(
            f"update grants set state = '{state}' where image = $1 and image is not null"
            f" and operation = '{operation}' and state = '{was}' and expires > now()",
            image,
        )


async def brought(db: Connection, grant: Grant) -> bool:
    """What was only to be brought online is so; False when nobody waits for that any more."""
    status = await db.execute(
        f"update grants set state = 'done' where turl = $1 and item = $2 and {_WAITS}", grant.turl, grant.item
    )
    return status == "UPDATE 1"


async def fail(db: Connection, grant: Grant, why: MdmError) -> None:
    """End it, with the reason."""
    await db.execute(
        "update grants set state = 'failed', failure = $3, explanation = $4"
        f" where turl = $1 and item = $2 and {_WAITS}",
        grant.turl,
        grant.item,
        why.srm,
        str(why),
    )
