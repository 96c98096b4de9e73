"""What the key store is still to be told: which registrations count, and which secrets are to be destroyed."""

from mdm_async.catalog.work import keys_to_forget
from mdm_async.images.parts.fresh_secrets import settle
from mdm_async.keys.store import LAPSE, KeyStore
from mdm_async.postgres.database import Database

_PAGE = 500


async def settle_lapsed(database: Database, keys: KeyStore) -> bool:
    """One page of old intents whose writers never came back; whether there may be more."""
    intents = await keys.unconfirmed(LAPSE, _PAGE)
    if intents:
        await settle(database, keys, intents)
    return len(intents) == _PAGE


async def forget_keys(database: Database, keys: KeyStore) -> bool:
    """One page of the secrets of destroyed images; whether there may be more."""
    async with database.acquire() as db:
        registrations = await keys_to_forget.take(db, _PAGE)
    if registrations:
        await keys.forget(registrations)
        async with database.acquire() as db:
            await keys_to_forget.done(db, registrations)
    return len(registrations) == _PAGE
