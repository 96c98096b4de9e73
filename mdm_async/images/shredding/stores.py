"""What is asked of key stores when images are shredded."""

from collections.abc import Collection

from mdm_async.keys.store import KeyStore


async def epochs(keys: KeyStore, names: Collection[str]) -> dict[str, int]:
    """Of these stores, as far as they tell, the newest key-encryption key: what they had destroyed was under it, or
    under one before it, whichever node had wrapped it."""
    return {
        store.name: max(one.number for one in store.epochs)
        for store in (await keys.status()).stores
        if store.name in names and store.epochs
    }
