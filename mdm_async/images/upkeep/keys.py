"""What the key store is still to be told: which registrations count, and which secrets are to be destroyed."""

from functools import partial

from mdm_async.catalog.work import keys_to_forget, superseded_keys
from mdm_async.catalog.work.keys_to_forget import KEYS_TO_FORGET
from mdm_async.catalog.work.queue import Row
from mdm_async.catalog.work.superseded_keys import SUPERSEDED_KEYS
from mdm_async.images.parts.fresh_secrets import settle
from mdm_async.images.shift import Shift
from mdm_async.keys.store import LAPSE, KeyStore
from mdm_async.postgres.database import Database

_PAGE = 500
_WAITING = 30.0
"""Seconds until a key store that was away is told again."""


async def settle_lapsed(database: Database, keys: KeyStore) -> bool:
    """One page of old intents whose writers never came back; whether there may be more."""
    intents = await keys.unconfirmed(LAPSE, _PAGE)
    if intents:
        # They are what key stores say, one of which may be wrong about another's.
        await settle(database, keys, intents, partial(keys.forget_lapsed, age=LAPSE))
    return len(intents) == _PAGE


async def forget_keys(database: Database, keys: KeyStore, node: str) -> None:
    """Destroy the secrets of destroyed images."""
    async with Shift(database, KEYS_TO_FORGET, node, _PAGE) as shift:

        async def forget(rows: list[Row]) -> None:
            if (await keys.forget([row.key[0] for row in rows])).waiting:
                await shift.put_back(rows, _WAITING)
            else:
                await shift.done(rows)

        await shift.pages(forget)


async def end_superseded(database: Database, node: str) -> None:
    """Give up keys that images had before, and that nobody reads by any more, and what lies under them."""
    async with Shift(database, SUPERSEDED_KEYS, node, _PAGE) as shift:

        async def end(rows: list[Row]) -> None:
            async with database.transaction() as db:
                ended = await superseded_keys.end(db, [row.key[0] for row in rows])
                await keys_to_forget.add_older(db, ended)

        await shift.pages(end)
