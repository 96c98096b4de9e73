"""What a first site says to its mirror is signed (Ed25519, RFC 8032) by a key that the mirror has pinned: a credential
alone says nothing.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

HEADER: Final = "MDM-Signature"
"""Hexadecimal, of the verb and the body; of a file, whose body is sealed to a key for it alone, of the verb."""


def signature(key: Ed25519PrivateKey, verb: str, body: bytes) -> str:
    return key.sign(_text(verb, body)).hex()


def is_signed(key: bytes, verb: str, body: bytes | bytearray, signature: str) -> bool:
    """By the private half of this public key."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(signature), _text(verb, body))
    except (ValueError, InvalidSignature):
        return False
    return True


def _text(verb: str, body: bytes | bytearray) -> bytes:
    return b"\0".join((b"mdm mirror", verb.encode(), body))
