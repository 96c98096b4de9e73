"""Text that users keep in the catalog, sealed: who holds the database alone reads none of it."""

import os

from cryptography.exceptions import InvalidTag

from mdm_async.errors import Damaged
from mdm_async.keys.derive import NONCE_BYTES, MappingCipher
from mdm_async.keys.store import KeyStore

_PROJECT = "/user text"
"""No profile's project has a name like that."""


class UserText:
    """Seals and opens it with a key of the key store, asked for once."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._cipher: MappingCipher | None = None

    async def cipher(self) -> MappingCipher:
        """It waits for the key store at first: hold no connection meanwhile."""
        if self._cipher is None:
            self._cipher = MappingCipher(await self._keys.make_project_key(_PROJECT), _PROJECT)
        return self._cipher


def sealed(cipher: MappingCipher, text: bytes) -> bytes:
    return cipher.seal(text, os.urandom(NONCE_BYTES))


def opened(cipher: MappingCipher, text: bytes) -> bytes:
    """Raises Damaged."""
    try:
        return cipher.open(text)
    except InvalidTag:
        raise Damaged("what is kept with the entry does not open") from None
