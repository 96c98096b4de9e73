"""Keyed pseudonyms: the same original gives the same pseudonym wherever it stands, and only the key links them.

What this does not do: two files with equal pixels, or with equal kept attributes that are rare, can always be joined by
comparing them, whatever their pseudonyms are and however different the keys. Pseudonyms stop casual joining, not that.
Nor do they join one patient with two Patient IDs, or the same name written in two character sets. Who knows one real
date of a patient whose dates were moved knows all of them.
"""

import base64
import hashlib
import hmac
import re
from typing import Final

from pydicom import config
from pydicom.uid import UID

_PREFIX: Final = "MDM"
_DIGITS: Final = 13
_IDENTIFIER: Final = re.compile(rf"{_PREFIX}[A-Z2-7]{{{_DIGITS}}}")
_FEWEST_DAYS, _RANGE_OF_DAYS = 366, 3288


def is_identifier(text: str) -> bool:
    """Whether it looks like a pseudonym of `Pseudonyms.identifier`."""
    return _IDENTIFIER.fullmatch(text) is not None


class Pseudonyms:
    """Pseudonyms under one key, of a research project or an installation: other keys give unrelated ones."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("a pseudonym key has at least 16 bytes")
        self._key = key
        self._uids: dict[bytes, bytes] = {}

    def uid(self, original: str) -> str:
        """A UID "2.25." and up to 39 digits (a UUID of version 8, RFC 9562) in place of this one.

        UIDs that the standard itself names (PS3.6 Annex A) stay, since they identify nobody; that one only begins
        with 1.2.840.10008 proves nothing. An empty UID stays empty.
        """
        return self._one_uid(original.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def uid_value(self, value: bytes) -> bytes:
        """The value of a UI attribute, one or several UIDs, replaced; unpadded."""
        return b"\\".join(map(self._one_uid, bytes(value).split(b"\\")))

    def identifier(self, label: str, value: bytes) -> bytes:
        """A pseudonym in place of an identifier: "MDM" and 13 of A-Z, 2-7, so 16 characters (65 bits), legal in SH.

        `label` keeps kinds apart: a Patient ID and an Accession Number that are equal get different pseudonyms.
        Padding does not count. An empty value stays empty.
        """
        bare = bytes(value).strip(b"\0 ")
        if not bare:
            return b""
        digits = base64.b32encode(self._hmac(label.encode() + b"\0" + bare)).decode()
        return (_PREFIX + digits[:_DIGITS]).encode()

    def days(self, patient_id: bytes, name: bytes, birth_date: bytes, study: bytes) -> int:
        """By how many whole days a patient's dates are moved into the past: more than 1 year, at most about 10.

        By the Patient ID as encoded, without padding; without one by name and birth date; without those by the Study
        Instance UID, so that at least one study's intervals stay.
        """
        patient_id, name = patient_id.strip(b"\0 "), name.rstrip(b"\0 ^=")
        birth_date, study = birth_date.strip(b"\0 "), study.strip(b"\0 ")
        if patient_id:
            who = b"patient\0" + patient_id
        elif name or birth_date:
            who = b"name\0" + name + b"\0" + birth_date
        else:
            who = b"study\0" + study
        return _FEWEST_DAYS + int.from_bytes(self._hmac(b"days\0" + who)[:8]) % _RANGE_OF_DAYS

    def _one_uid(self, uid: bytes) -> bytes:
        bare = uid.strip(b"\0 ")
        if not bare or _is_standard(bare):
            return bare
        replaced = self._uids.get(bare)
        if replaced is None:
            number = int.from_bytes(_version_8(self._hmac(b"uid\0" + bare)[:16]))
            replaced = self._uids[bare] = f"2.25.{number}".encode()
        return replaced

    def _hmac(self, message: bytes) -> bytes:
        return hmac.digest(self._key, message, hashlib.sha256)


def _version_8(digest: bytes) -> bytes:
    """UIDs under 2.25 are UUIDs: set the version and variant that RFC 9562 keeps for values made by hashing."""
    return digest[:6] + bytes([digest[6] & 0x0F | 0x80, digest[7], digest[8] & 0x3F | 0x80]) + digest[9:]


def _is_standard(uid: bytes) -> bool:
    """Whether PS3.6 Annex A names this very UID."""
    if not uid.startswith(b"1.2.840.10008."):
        return False
    return bool(UID(uid.decode("ascii", "replace"), validation_mode=config.IGNORE).type)
