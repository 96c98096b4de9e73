"""What is asked of key stores when images are shredded."""

from collections.abc import Collection

from mdm_async.keys.store import KeyStore


async def epochs(keys: KeyStore, names: Collection[str]) -> dict[str, int]:
    """Of these stores, those that tell which key-encryption key is in use."""
    return {
        store.name: one.number
        for store in (await keys.status()).stores
        if store.name in names
        for one in store.epochs
        if one.in_use
    }
