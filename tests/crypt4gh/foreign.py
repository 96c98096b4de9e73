"""Streams as other tools may write them: packets of any payload and method, random nonces."""

import os
import struct
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mdm_async.crypt4gh.exchange import agree, new_private_key, packet_key, public_key
from mdm_async.crypt4gh.segment import SEGMENT

ZERO_WRITER = struct.pack("<II", 108, 0) + bytes(100)
"""A packet whose writer's public key is the point of zeros, with which no key can be agreed."""


def packet(payload: bytes, reader: bytes, *, method: int = 0, sender: bytes | None = None) -> bytes:
    """One header packet, sealed to this public key."""
    private = sender or new_private_key()
    writer, nonce = public_key(private), os.urandom(12)
    key = packet_key(agree(private, reader), reader_public=reader, writer_public=writer)
    body = writer + nonce + ChaCha20Poly1305(key).encrypt(nonce, payload, None)
    return struct.pack("<II", len(body) + 8, method) + body


def header(*packets: bytes) -> bytes:
    return b"crypt4gh" + struct.pack("<II", 1, len(packets)) + b"".join(packets)


def data_key(key: bytes, *, method: int = 0, after: bytes = b"") -> bytes:
    """The payload that tells a data key."""
    return struct.pack("<II", 0, method) + key + after


def edit_list(*lengths: int, after: bytes = b"") -> bytes:
    return struct.pack(f"<II{len(lengths)}Q", 1, len(lengths), *lengths) + after


def segments(plain: bytes, keys: Sequence[bytes]) -> bytes:
    """Segment n is sealed with key n modulo their number."""
    sealed = b""
    for number, start in enumerate(range(0, len(plain), SEGMENT)):
        nonce = os.urandom(12)
        aead = ChaCha20Poly1305(keys[number % len(keys)])
        sealed += nonce + aead.encrypt(nonce, plain[start : start + SEGMENT], None)
    return sealed
