"""Credentials of mirrors, sealed at rest under a key that lies in the key store as a project's does, and the keys that
sign beside them."""

import os
from dataclasses import dataclass
from uuid import NAMESPACE_OID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.errors import Unavailable
from mdm_async.keys.derive import NONCE_BYTES, RecordCipher, mirror_seed
from mdm_async.keys.store import KeyStore

_KEY = "/mirrors"
"""No project has a name like that."""


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    keys: KeyStore

    async def sealed(self, credential: str, mirror: str) -> bytes:
        cipher = RecordCipher(await self.keys.make_project_key(_KEY), NAMESPACE_OID)
        return cipher.seal(credential.encode(), "mirror", mirror, os.urandom(NONCE_BYTES))

    async def signing(self, credential: str) -> Ed25519PrivateKey:
        """By which what is said with this credential is signed: whoever stole it cannot make the key."""
        secret = await self.keys.make_project_key(_KEY)
        return Ed25519PrivateKey.from_private_bytes(mirror_seed(secret, credential))

    async def opened(self, sealed: bytes, mirror: str) -> str:
        """Raises Unavailable."""
        key = (await self.keys.project_keys([_KEY])).get(_KEY)
        try:
            if key is not None:
                return RecordCipher(key, NAMESPACE_OID).open(sealed, "mirror", mirror).decode()
        except InvalidTag:
            pass
        raise Unavailable("a mirror's credential does not open", remedy="stop the mirror, and add it again")
