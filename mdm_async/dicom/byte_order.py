"""Big endian words made little endian ones (PS3.5 §7.3)."""

from array import array
from typing import Final

from mdm_async.dicom.elements import Buffer
from mdm_async.dicom.values.lexical import BYTES_OF_ONE

_CODES: Final = {2: "H", 4: "I", 8: "Q"}
_SAMPLES: Final = frozenset({16, 32, 64})
"""Bits of samples that are words by themselves."""


def word_of(vr: bytes) -> int:
    """Bytes of one word of a value."""
    # A tag is two words.
    return 2 if vr == b"AT" else BYTES_OF_ONE.get(vr, 1)


def word_of_pixels(vr: bytes, bits: int) -> int:
    """Bytes of one word of native pixels of so many allocated bits. Samples of 32 bits in OW are one word, as those
    programs take them that write big endian files, and not two, as OW by itself has it."""
    return bits // 8 if vr == b"OW" and bits in _SAMPLES else word_of(vr)


def swapped(value: Buffer, word: int) -> bytes:
    """The same in the other byte order; what is left behind the last whole word stays."""
    if word == 1:
        return bytes(value)
    end = len(value) // word * word
    words = array(_CODES[word], bytes(value[:end]))
    words.byteswap()
    return words.tobytes() + bytes(value[end:])
