"""X25519 key pairs as raw 32-byte strings, and the key that a header packet is sealed with."""

import hashlib
import os

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from mdm_async.errors import BadSeal


def new_private_key() -> bytes:
    """A fresh private key."""
    return os.urandom(32)


def public_key(private: bytes) -> bytes:
    """The public key that belongs to `private`."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes) -> bytes:
    """The X25519 shared secret (RFC 7748 §6.1). BadSeal for a point of low order: its secret is no secret."""
    if len(private) != 32 or len(public) != 32:
        raise ValueError("an X25519 key is 32 bytes")
    try:
        own = X25519PrivateKey.from_private_bytes(private)
        return own.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise BadSeal("a public key is a point of low order", remedy="make a proper key pair") from None


def packet_key(secret: bytes, *, reader_public: bytes, writer_public: bytes) -> bytes:
    """The key of a packet (Crypt4GH 1.0 §3.2.1): Blake2b-512 over the secret and both public keys, halved."""
    return hashlib.blake2b(secret + reader_public + writer_public).digest()[:32]
