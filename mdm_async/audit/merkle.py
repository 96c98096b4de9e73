"""Merkle trees as in RFC 6962 §2.1: leaves and nodes are hashed apart, so that neither can pass for the other."""

import hashlib
from collections.abc import Sequence


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over hashed leaves, in their order. Of no leaves: the hash of nothing."""
    if not leaves:
        return hashlib.sha256().digest()
    level = list(leaves)
    while len(level) > 1:
        # Joining neighbours, an odd one going up as it is, is RFC 6962's split at the largest power of two.
        joined = [
            hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ]
        level = joined + level[len(joined) * 2 :]
    return level[0]
