"""Files in which something identifying stands in every attribute of the dictionary, whatever any table says of it.

What must be gone is decided here by one sentence and by no rule of anybody's: a token that was made up for one place is
nowhere in what comes out. Only two kinds of values are not planted, since nobody can tell them from true ones: numbers
in attributes that are numbers, and what a file needs to be read at all.
"""

import struct
from collections.abc import Callable
from functools import cache, partial
from random import Random

from pydicom.datadict import DicomDictionary, RepeatersDictionary

from tests.canary import Canary
from tests.canary_planter import CT_IMAGE, joined
from tests.canary_values import EXPLICIT, IMPLICIT, Encoder, Marker

CARRIERS = (0x00189346, 0x00289422, 0x00189360)
"""Sequences that an image may hold and that analysis reads, so that they stay: what is in them is looked at."""
TOP, NESTED, DEEP = (), CARRIERS[:1], CARRIERS
DEPTHS = (TOP, NESTED, DEEP)

_NEEDED = frozenset(
    {0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x00280301, 0x60000100, 0x60000102}
    | {0x00041220}
)
"""What says how to read the file, or whether it may be served: planted below, and not at the top."""
_NUMBERS = frozenset(("US", "SS", "UL", "SL", "SV", "UV", "FL", "FD", "AT"))
_LIES = ("LO", "PN", "CS", "UI", "LT", "UN", "OB", "DS")
"""VRs under which an attribute is written though it has another."""
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


@cache
def dictionary() -> dict[int, str]:
    """The VR of every attribute, one for each repeating group; none of file meta, commands, items and pixels."""
    found = {tag: entry[0] for tag, entry in DicomDictionary.items()}
    for printed, entry in RepeatersDictionary.items():
        found[int(printed.replace("x", "0"), 16)] = entry[0]
    outside = (0x0000, 0x0002, 0xFFFE)
    return {
        tag: vr[:2]
        for tag, vr in sorted(found.items())
        if vr != "NONE" and tag >> 16 not in outside and tag >> 24 != 0x7F and tag not in _layout(8)
    }


def own_vr(seed: int, encoding: str = "explicit") -> Canary:
    """Every attribute under its own VR."""
    return _file(seed, encoding, lambda planting, path: planting.each(path, lambda vr: vr))


def lying_vr(seed: int, lie: str) -> Canary:
    """Every attribute under another VR than its own."""
    return _file(seed, "explicit", lambda planting, path: planting.each(path, lambda vr: lie))


def in_sequences(seed: int, encoding: str = "explicit") -> Canary:
    """In every sequence a code with a meaning of its own, and what has no place there."""
    return _file(seed, encoding, lambda planting, path: planting.sequences(path))


EVERYTHING: dict[str, Callable[[int], Canary]] = {
    **{f"own VR, {one}": partial(own_vr, encoding=one) for one in ("explicit", "implicit")},
    **{f"written as {lie}": partial(lying_vr, lie=lie) for lie in _LIES},
    **{f"in sequences, {one}": partial(in_sequences, encoding=one) for one in ("explicit", "implicit")},
}
"""What makes each of them of a seed, by what they are."""


def everything(seed: int) -> dict[str, Canary]:
    """All of them."""
    return {name: made(seed) for name, made in EVERYTHING.items()}


class Planting:
    """Fills data sets. All it has planted is in `markers`."""

    def __init__(self, seed: int, encoder: Encoder) -> None:
        self.markers: list[Marker] = []
        self._random = Random(seed)
        self._encoder = encoder

    def each(self, path: tuple[int, ...], written: Callable[[str], str]) -> dict[int, bytes]:
        """Every attribute but sequences, under the VR that `written` makes of its own."""
        made = {}
        for tag, vr in dictionary().items():
            as_vr = written(vr)
            if tag in CARRIERS or (vr == "SQ" and as_vr in ("SQ", "UN")):
                continue
            if (tag in _NEEDED and not path) or (vr in _NUMBERS and as_vr in (vr, "UN", "OB", "DS")):
                continue
            made[tag] = self._element(tag, as_vr, path)
        return made

    def sequences(self, path: tuple[int, ...]) -> dict[int, bytes]:
        """Every sequence, with what people put into them."""
        made = {}
        for number, (tag, vr) in enumerate(dictionary().items()):
            if vr != "SQ" or tag in path or tag in CARRIERS or (tag in _NEEDED and not path):
                continue
            below = (*path, tag)
            scheme = (b"DCM", b"SCT", b"99SITE", b"UCUM")[number % 4]
            inside = {
                0x00080102: self._encoder.element(0x00080102, "SH", scheme),
                **{one: self._element(one, dictionary()[one], below) for one in (0x00080100, 0x00080104)},
                **{one: self._element(one, dictionary()[one], below) for one in (0x00080119, 0x00080120)},
                **{one: self._element(one, dictionary()[one], below) for one in (0x00081155, 0x00100010)},
                **{one: self._element(one, dictionary()[one], below) for one in (0x0018115E, 0x0040A160)},
            }
            made[tag] = self._encoder.sequence(tag, joined(inside), undefined=bool(number & 1))
        return made

    def _element(self, tag: int, vr: str, path: tuple[int, ...]) -> bytes:
        value, text = self._value(vr)
        self.markers.append(Marker(text, vr, (*path, tag), f"depth {len(path)}"))
        return self._encoder.element(tag, vr, value)

    def _value(self, vr: str) -> tuple[bytes, bytes]:
        """(a value, what to look for in it): words of nobody's language, days of nobody's life."""
        number = self._random.randrange
        if vr in ("DA", "DT"):
            day = f"{number(1000, 1850)}{number(1, 13):02}{number(1, 29):02}".encode()
            return (day if vr == "DA" else day + self._time(), day)
        if vr == "TM":
            return (self._time(),) * 2
        if vr == "AS":
            return (f"{number(1000):03}Y\\{number(1000):03}W\\{number(1000):03}M".encode(),) * 2
        if vr == "UI":
            uid = f"1.2.840.10008.9{number(10**15):015}.7"  # begins like the standard's own
            return uid.encode(), uid.encode()
        token = "CNRY" + "".join(self._random.choice(_LETTERS) for _ in range(8))
        said = {"PN": f"{token}^JOHN", "CS": token, "AE": token, "SH": token, "UR": f"urn:of:{token}"}
        return said.get(vr, f"seen by {token}").encode(), token.encode()

    def _time(self) -> bytes:
        number = self._random.randrange
        return f"{number(24):02}{number(60):02}17.{number(10**6):06}".encode()


def _file(seed: int, encoding: str, fill: Callable[[Planting, tuple[int, ...]], dict[int, bytes]]) -> Canary:
    """A CT of 8 × 8 pixels, filled at each depth."""
    encoder = EXPLICIT if encoding == "explicit" else IMPLICIT
    syntax = b"1.2.840.10008.1.2.1" if encoding == "explicit" else b"1.2.840.10008.1.2"
    planting = Planting(seed, encoder)
    body = b""
    for depth in range(len(CARRIERS), -1, -1):
        path = CARRIERS[:depth]
        here = fill(planting, path) if path in DEPTHS else {}
        if depth < len(CARRIERS):
            here[CARRIERS[depth]] = encoder.sequence(CARRIERS[depth], body, undefined=bool(depth & 1))
        body = joined(here)
        if not depth:
            body = joined(here | _frame_of(encoder))
    pixels = encoder.element(0x7FE00010, "OW", bytes(128))
    return Canary(bytes(128) + b"DICM" + _meta(syntax) + body + pixels, planting.markers)


def _layout(bits: int) -> dict[int, int]:
    return {
        0x00280002: 1,
        0x00280010: 8,
        0x00280011: 8,
        0x00280100: bits,
        0x00280101: bits,
        0x00280102: bits - 1,
        0x00280103: 0,
        0x00280004: 0,
        0x00280006: 0,
        0x00280008: 0,
    }


def _frame_of(encoder: Encoder) -> dict[int, bytes]:
    """What a file needs to be read as a CT."""
    said = {0x00080005: ("CS", b"ISO_IR 100"), 0x00080016: ("UI", CT_IMAGE), 0x00280301: ("CS", b"NO")}
    said |= {0x00080008: ("CS", b"ORIGINAL\\PRIMARY\\AXIAL"), 0x00080018: ("UI", b"1.2.3.4.5.6")}
    said |= {0x00080060: ("CS", b"CT"), 0x00280004: ("CS", b"MONOCHROME2")}
    numbers = {tag: number for tag, number in _layout(16).items() if number or tag == 0x00280103}
    made = {tag: encoder.element(tag, vr, value) for tag, (vr, value) in said.items()}
    return made | {tag: encoder.number(tag, number) for tag, number in numbers.items()}


def _meta(syntax: bytes) -> bytes:
    meta = joined(
        {
            0x00020001: EXPLICIT.element(0x00020001, "OB", b"\0\1"),
            0x00020002: EXPLICIT.element(0x00020002, "UI", CT_IMAGE),
            0x00020003: EXPLICIT.element(0x00020003, "UI", b"1.2.3.4.5.6"),
            0x00020010: EXPLICIT.element(0x00020010, "UI", syntax),
        }
    )
    return EXPLICIT.element(0x00020000, "UL", struct.pack("<L", len(meta))) + meta
