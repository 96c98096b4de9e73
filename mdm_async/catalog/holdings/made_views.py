"""Views that are added to an image, made again and dropped, with the parts that only they need."""

from collections.abc import Sequence
from uuid import UUID

from mdm_async.catalog.holdings import staged, stored_parts
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.holdings.stored_views import PINNED, StoredView, ViewKey
from mdm_async.postgres.database import Connection


async def insert(db: Connection, view: StoredView) -> bool:
    won = await db.fetchval(
        "insert into views (image, name, version, state, reason, secret, record, parts, pseudonyms, report)"
        " select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 from images where id = $1 and doomed is null"
        " on conflict do nothing returning true",
        *(view.image, view.name, view.version, view.state, view.reason, view.secret, view.record),
        *(list(view.parts), list(view.pseudonyms), view.report),
    )
    return bool(won)


async def add(db: Connection, parts: Sequence[Part], view: StoredView) -> bool:
    """Add a view and the parts made for it to an image; False when another node made it first."""
    won = await insert(db, view)
    if won:
        await stored_parts.insert(db, parts)
        await staged.recount(db, view.image)
    return won


async def add_parts(
    db: Connection,
    image: UUID,
    parts: Sequence[Part],
    renewed: Sequence[tuple[StoredView, bytes, Sequence[UUID]]],
) -> bool:
    """Add parts that tell of others, in a transaction; each of these views gets a record of the same bytes, and the ids
    of the parts that it needs. False, and to be rolled back, when one has another record by now."""
    await stored_parts.insert(db, parts)
    for view, record, needed in renewed:
        status = await db.execute(
            "update views set record = $5, parts = $6"
            " where image = $1 and name = $2 and version = $3 and state = 'ready' and record = $4",
            *(image, view.name, view.version, view.record, record, list(needed)),
        )
        if status != "UPDATE 1":
            return False
    await staged.recount(db, image)
    return True


async def renew_record(
    db: Connection, image: UUID, registration: UUID, view: str, version: str, record: bytes
) -> None:
    """Let a ready view's record say more of the same bytes, unless the image has other keys than these by now."""
    await db.execute(
        # Whoever changes the keys locks the image first.
        "with same as materialized (select id from images where id = $1 and registration = $5 for key share)"
        " update views set record = $4 where image in (select id from same)"
        " and name = $2 and version = $3 and state = 'ready'",
        image,
        view,
        version,
        record,
        registration,
    )


async def drop_superseded(db: Connection, image: UUID, view: str, version: str, floor: int) -> None:
    """Destroy the older versions of a view that was made, and the parts that no view needs any more.

    Not while the image is being read; then they stay, unserved, until it is made again or destroyed. Nor those that a
    cohort pins, if a revision of at least `floor` made them: others are given to nobody.
    """
    status = await db.execute(
        "delete from views v where image = $1 and name = $2 and version <> $3"
        " and split_part(version, '.', 2)::int <= split_part($3, '.', 2)::int"
        f" and (split_part(version, '.', 2)::int < $4 or not {PINNED})"
        " and exists (select from images i where i.id = $1 and i.in_use_until < now())",
        image,
        view,
        version,
        floor,
    )
    if status == "DELETE 0":
        return
    await db.execute(
        "with gone as ("
        "  delete from parts p where image = $1 and secret = 'image'"
        "  and not exists (select from views v where v.image = $1 and p.id = any(v.parts))"
        "  and not exists (select from views v where v.image = $1 and v.state = 'ready' and v.parts = '{}')"
        "  returning blob"
        ") update blobs set state = 'doomed', doomed = now() where id in (select blob from gone)",
        image,
    )
    await staged.recount(db, image)


async def drop(db: Connection, view: ViewKey) -> None:
    """Forget one version of a view, so that it is made again if it is in force."""
    await db.execute("delete from views where image = $1 and name = $2 and version = $3", *view)
