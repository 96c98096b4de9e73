"""Wrapping of secrets under the key-encryption key (KEK).

AES-GCM-SIV, so that even a repeated nonce discloses no more than equality. The associated data bind a wrapped
secret to its installation, purpose, owner and KEK epoch: moved to another row, it does not open.
"""

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from mdm_async.errors import Unavailable

KEY_BYTES = 32
NONCE_BYTES, TAG_BYTES = 12, 16


class Wrapper:
    """Wraps and unwraps small secrets under one KEK.

    `epoch` counts KEKs; secrets wrapped under another epoch are refused by name, not by a failing cipher.
    """

    ADDED = NONCE_BYTES + TAG_BYTES
    """Bytes by which what is wrapped is longer."""

    def __init__(self, kek: bytes, installation: UUID, epoch: int = 1) -> None:
        if len(kek) != KEY_BYTES:
            raise ValueError(f"a key-encryption key has {KEY_BYTES} bytes")
        self.epoch = epoch
        self._cipher = AESGCMSIV(kek)
        self._installation = installation.bytes

    def wrap(self, secret: bytes, *owner: bytes | str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, self._bind(owner))

    def unwrap(self, wrapped: bytes, epoch: int, *owner: bytes | str) -> bytes:
        """The secret; Unavailable when this KEK does not open it."""
        if epoch == self.epoch:
            try:
                return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], self._bind(owner))
            except (InvalidTag, ValueError):  # ValueError: too short to be one
                pass
        raise Unavailable(
            "a stored secret does not open under the key-encryption key",
            remedy="start the server with the key that this database was made with (DIR/secrets/kek)",
        )

    def _bind(self, owner: tuple[bytes | str, ...]) -> bytes:
        fields = [self._installation, self.epoch.to_bytes(4, "big")]
        fields += [f.encode() if isinstance(f, str) else f for f in owner]
        return b"".join(len(f).to_bytes(4, "big") + f for f in fields)
