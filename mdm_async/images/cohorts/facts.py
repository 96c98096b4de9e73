"""What a cohort keeps of a member's bytes, sealed as the view's record is: whoever shreds the image ends it too."""

import os
from dataclasses import asdict

import orjson

from mdm_async.catalog.cohorts.members import Member, Pin
from mdm_async.cohort_manifest import PinnedFile
from mdm_async.keys.derive import NONCE_BYTES, RecordCipher

_KIND = " cohort"
"""Keeps them from being taken for a record."""


def sealed(file: PinnedFile, secret: bytes, pin: Pin) -> bytes:
    """Under the secret of the image that opens this view."""
    image, view, version = pin
    told = orjson.dumps({name: value for name, value in asdict(file).items() if name in _KEPT})
    return RecordCipher(secret, image).seal(told, view, version + _KIND, os.urandom(NONCE_BYTES))


def opened(member: Member, secret: bytes) -> PinnedFile:
    """Raises cryptography's InvalidTag."""
    kept = RecordCipher(secret, member.image).open(member.sealed, member.view, member.version + _KIND)
    return PinnedFile(str(member.guid), member.view, member.version, **orjson.loads(kept))


_KEPT = frozenset({"size", "adler32", "sha256", "salt"})
