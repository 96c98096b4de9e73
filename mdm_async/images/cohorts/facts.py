"""What a cohort keeps of a member's bytes, sealed as the view's record is: whoever shreds the image ends it too."""

import os
from dataclasses import asdict
from typing import Final

import orjson

from mdm_async.catalog.cohorts.members import Member, Pin
from mdm_async.cohort_manifest import PinnedFile
from mdm_async.keys.derive import NONCE_BYTES, RecordCipher

KIND: Final = " cohort"
"""Is added to the version that they are bound to, and keeps them from being taken for a record."""


def sealed(file: PinnedFile, secret: bytes, pin: Pin) -> bytes:
    """Under the secret of the image that opens this view."""
    image, view, version = pin
    told = orjson.dumps({name: value for name, value in asdict(file).items() if name in _KEPT})
    return RecordCipher(secret, image).seal(told, view, version + KIND, os.urandom(NONCE_BYTES))


def opened(member: Member, secret: bytes) -> PinnedFile:
    """Raises cryptography's InvalidTag."""
    kept = RecordCipher(secret, member.image).open(member.sealed, member.view, member.version + KIND)
    return PinnedFile(str(member.guid), member.view, member.version, **orjson.loads(kept))


_KEPT = frozenset({"size", "adler32", "sha256", "salt"})
