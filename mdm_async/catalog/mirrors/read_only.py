"""Directories that nobody changes anything in, for they follow another site's, or another site may be in their place.

Postgres itself refuses (`keep_to_read_only`), whatever the face; `sqlstates` tells what it means.
"""

from collections.abc import Collection
from typing import Literal

from mdm_async.catalog.namespace.places import Place
from mdm_async.errors import MdmError
from mdm_async.postgres import sqlstates
from mdm_async.postgres.database import Connection

Why = Literal["follows", "fenced", "unheard"]


async def bar(db: Connection, directory: int, mirror: str, why: Why) -> None:
    """From now on."""
    await db.execute(
        "insert into read_only (directory, mirror, why) values ($1, $2, $3)"
        " on conflict (directory) do update set mirror = $2, why = $3",
        *(directory, mirror, why),
    )


async def open_again(db: Connection, directory: int) -> None:
    await db.execute("delete from read_only where directory = $1", directory)


async def excuse(db: Connection, for_what: Literal["follows", "shred"]) -> None:
    """Until the transaction ends: what comes from the site that is followed, or a shred, which no fence keeps off."""
    await db.execute("select set_config('mdm.mirror', $1, true)", for_what)


async def barred(db: Connection, directories: Collection[int]) -> dict[int, MdmError]:
    """Those of these that are, each with what is told to whoever would change something in it."""
    rows = await db.fetch(
        "select directory, mirror, why from read_only where directory = any($1::bigint[])", list(directories)
    )
    return {row["directory"]: sqlstates.unchangeable(row["why"], row["mirror"]) for row in rows}


async def demand_open(db: Connection, place: Place) -> None:
    """Return when a name may be given there, as far as mirrors go. Raises IsMirror, MirrorNotHeard."""
    for why in (await barred(db, place.way)).values():
        raise why
