"""The size that prepareToPut announces, kept sealed until the file comes: an original's exact size identifies it."""

import os
from typing import Final

from mdm_async.catalog.grants.grants import Grant
from mdm_async.keys.derive import NONCE_BYTES, RecordCipher

_BYTES: Final = 8
_KIND: Final = " announced"
"""Keeps it from being taken for a view's record: no view has such a name."""


def seal(size: int, private: bytes, grant: Grant) -> bytes:
    """Under the upload's own (private) key, bound to the grant."""
    plain = size.to_bytes(_BYTES, "big")
    return RecordCipher(private, grant.request).seal(plain, _KIND, str(grant.item), os.urandom(NONCE_BYTES))


def unseal(private: bytes, grant: Grant) -> int | None:
    """None when none was announced."""
    if grant.announced is None:
        return grant.expected_size  # by a node of an earlier version
    return int.from_bytes(
        RecordCipher(private, grant.request).open(grant.announced, _KIND, str(grant.item)), "big"
    )
