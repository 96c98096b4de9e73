"""Ed25519 key pairs that sign seals, as PEM (RFC 8410), so that other tools can check signatures too."""

import hashlib
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mdm_async.errors import BadRequest, UnsafeSettings

Keys = dict[str, Ed25519PublicKey]
"""Public keys by their id."""

_END: Final = "-----END PUBLIC KEY-----"


def fresh_private() -> str:
    """A new private key's PEM."""
    private = Ed25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()


def parse_private(pem: str) -> Ed25519PrivateKey:
    """Raises UnsafeSettings."""
    try:
        found = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PrivateKey):
        raise UnsafeSettings(
            "the audit's key is not an Ed25519 private key", remedy="make one with `mdm audit keygen`"
        )
    return found


def public_pem(public: Ed25519PublicKey) -> str:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def parse_public(pems: Iterable[str]) -> Keys:
    """All keys of some texts, each of which may hold several. Raises BadRequest."""
    keys: Keys = {}
    for text in pems:
        blocks = [block.strip() + "\n" + _END for block in text.split(_END)[:-1]]
        if not blocks:
            raise BadRequest("there is no public key in the key file", remedy="give NAME.pub, not NAME.key")
        for block in blocks:
            try:
                found = load_pem_public_key(block.encode())
            except (ValueError, UnsupportedAlgorithm):
                found = None
            if not isinstance(found, Ed25519PublicKey):
                raise BadRequest("a key file holds something else than Ed25519 public keys")
            keys[key_id(found)] = found
    return keys


def key_id(public: Ed25519PublicKey) -> str:
    """How seals name their key: the start of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]
