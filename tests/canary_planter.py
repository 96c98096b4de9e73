"""Plants something identifying in every attribute that PS3.15 Table E.1-1 names, wherever a file can hold it."""

import csv
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pydicom.datadict import dictionary_VR

from tests.canary_values import EXPLICIT, IMPLICIT, UNDEFINED, Encoder, Marker, Values

FACTS = Path(__file__).parent.parent / "mdm_async/dicom/tables"
CT_IMAGE = b"1.2.840.10008.5.1.4.1.1.2"
CARRIERS = (0x00082218, 0x00540220, 0x00189346)
"""Sequences of codes that no rule names: they stay, and what is in them is scrubbed."""

# Newer than the dictionary that comes with pydicom; PS3.6 2025e.
_NEW = {"DateTime": "DT", "Sequence": "SQ", "Comment": "UT", "Reference": "UR", "Groups": "LO"}
_REPEATING = {
    0x50000022: "LO",
    0x50000040: "SH",
    0x50000005: "US",
    0x50001001: "CS",
    0x5000200C: "OB",
    0x50002500: "LO",
    0x50003000: "OW",
    0x5002200C: "OW",
    0x50023000: "OB",
    0x60000022: "LO",
    0x60001500: "LO",
    0x60003000: "OW",
    0x60004000: "LT",
    0x60020022: "LO",
    0x60023000: "OW",
    0x60024000: "LT",
}
_BESIDE_THE_TABLE = {0x4FFE0001: "SQ", 0x00420010: "ST", 0x00041500: "CS", 0x00041141: "CS", 0x00041430: "CS"}
_UNKNOWN = {0x00081234: "LO", 0x00109999: "PN", 0x7F000010: "OW", 0x00080000: "UL", 0x00100000: "UL"}


@cache
def table() -> dict[str, dict[str, str]]:
    """Rows of Table E.1-1, by tag as printed."""
    text = (FACTS / "ps3.15-table-e1-1-2025e.csv").read_text(encoding="utf-8")
    return {row["tag"]: row for row in csv.DictReader(text.splitlines())}


@cache
def attributes() -> dict[int, str]:
    """Every attribute to be planted in a data set, with its VR."""
    found = {}
    for tag, row in table().items():
        if "x" in tag or "odd" in tag:
            continue
        number = int(tag[1:5] + tag[6:10], 16)
        try:
            found[number] = dictionary_VR(number)[:2]
        except KeyError:
            found[number] = _NEW.get(row["name"].split()[-1], "LO")
    return (
        {tag: vr for tag, vr in found.items() if tag >> 16 != 2} | _REPEATING | _BESIDE_THE_TABLE | _UNKNOWN
    )


def odd(tag: int) -> bool:
    """Whether it has no place in the data set of an image."""
    return tag in _UNKNOWN or tag >> 16 in (0, 4)


class Planter:
    """Fills data sets. All it has planted is in `markers`."""

    def __init__(self, seed: int, encoder: Encoder, *, plain: bool = False) -> None:
        self.markers: list[Marker] = []
        self._plain = plain
        self._values = Values(seed)
        self._encoder = encoder

    def head(self, bits: int) -> bytes:
        """The data set before the pixels: everything at depths 0, 1 and 3."""
        encoder = self._encoder
        here = self.data_set((), range(0x7FE00010))
        first, second, third = CARRIERS
        deep = encoder.sequence(third, joined(self.data_set(CARRIERS)), b"", undefined=True)
        deep = encoder.sequence(second, deep)
        here[first] = encoder.sequence(first, joined(self.data_set((first,))), deep, undefined=True)
        here |= {
            0x00080005: encoder.element(0x00080005, "CS", b"ISO_IR 100"),
            0x00080016: encoder.element(0x00080016, "UI", CT_IMAGE),
            0x00080060: encoder.element(0x00080060, "CS", b"CT"),
            0x00280004: encoder.element(0x00280004, "CS", b"MONOCHROME2"),
            0x00280301: encoder.element(0x00280301, "CS", b"NO"),
        }
        numbers = {0x00280002: 1, 0x00280010: 8, 0x00280011: 8}
        numbers |= {0x00280100: bits, 0x00280101: bits, 0x00280102: bits - 1, 0x00280103: 0}
        return joined(here | {tag: encoder.number(tag, value) for tag, value in numbers.items()})

    def tail(self) -> bytes:
        """What comes after the pixels, the patient's name out of order among it."""
        after = self.data_set((), range(0x7FE00011, 1 << 32), "after the pixels")
        return joined(after) + (b"" if self._plain else self.one(0x00100010, "PN", (), "after the pixels"))

    def preamble_and_meta(self, syntax: str) -> tuple[bytes, bytes]:
        preamble = b"".join(self._value("LO", (), "preamble") for _ in range(5))
        kept = {0x00020001: ("OB", b"\0\1"), 0x00020002: ("UI", CT_IMAGE)}
        meta = {tag: EXPLICIT.element(tag, vr, value) for tag, (vr, value) in kept.items()}
        meta[0x00020010] = EXPLICIT.element(0x00020010, "UI", syntax.encode())
        planted = {0x00020003: "UI", 0x00020012: "UI", 0x00020013: "SH", 0x00020100: "UI", 0x00020102: "OB"}
        planted |= dict.fromkeys((0x00020016, 0x00020017, 0x00020018), "AE")
        planted |= dict.fromkeys((0x00020026, 0x00020027, 0x00020028), "UR")
        for tag, vr in planted.items():
            meta[tag] = EXPLICIT.element(tag, vr, self._value(vr, (tag,), "file meta"))
        body = joined(meta)
        length = EXPLICIT.element(0x00020000, "UL", struct.pack("<L", len(body)))
        return preamble[:128].ljust(128, b"\0"), length + body

    def one(self, tag: int, vr: str, path: tuple[int, ...], where: str, creator: str = "") -> bytes:
        """An element with something of its own in it."""
        path = (*path, tag)
        if vr == "SQ":
            return self._sequence(tag, path, where)
        return self._encoder.element(tag, vr, self._value(vr, path, where, creator))

    def _value(self, vr: str, path: tuple[int, ...], where: str, creator: str = "") -> bytes:
        value, text = self._values.make(vr)
        self.markers.append(Marker(text, vr, path, where, creator))
        return value

    def data_set(
        self, path: tuple[int, ...], span: range = range(1 << 32), where: str = ""
    ) -> dict[int, bytes]:
        """Everything there is to plant in a data set, between these tags."""
        where = where or f"depth {len(path)}"
        special = self._private(path) | ({} if self._plain else self._as_unknown(path))
        made = {tag: make() for tag, make in special.items() if tag in span}
        for tag, vr in attributes().items():
            if tag in span and tag not in made and not (self._plain and odd(tag)):
                made[tag] = self.one(tag, vr, path, where)
        return made

    def _sequence(self, tag: int, path: tuple[int, ...], where: str) -> bytes:
        if tag == 0x0040A730:
            return self._encoder.sequence(tag, *(self._content(path, kind) for kind in VALUE_TYPES))
        inside = {0x00081155: "UI", 0x00080104: "LO", 0x00100010: "PN", 0x00080020: "DA", 0x00091001: "LO"}
        inside[0x00189005] = "SH"  # which no rule names
        if tag == 0x00880200:
            inside[0x7FE00010] = "OW"
        body = joined({one: self.one(one, vr, path, where) for one, vr in inside.items()})
        return self._encoder.sequence(tag, body, b"", undefined=bool(tag & 1))

    def _content(self, path: tuple[int, ...], kind: str) -> bytes:
        """A content item of a structured report (PS3.3 §C.17.3)."""
        encoder = self._encoder
        parts = {0x0040A040: encoder.element(0x0040A040, "CS", kind.encode())}
        name = self._code((*path, 0x0040A043))
        parts[0x0040A043] = encoder.sequence(0x0040A043, name)
        for tag, vr in VALUE_TYPES[kind].items():
            below = (*path, tag)
            if tag == 0x0040A168:
                parts[tag] = encoder.sequence(tag, self._code(below))
            elif tag == 0x0040A300:
                parts[tag] = encoder.sequence(tag, self.one(0x0040A30A, "DS", below, "content item"))
            elif tag == 0x00081199:
                parts[tag] = encoder.sequence(tag, self.one(0x00081155, "UI", below, "content item"))
            elif tag == 0x0040A730:
                parts[tag] = encoder.sequence(
                    tag, self._content(below, "TEXT"), self._content(below, "PNAME")
                )
            else:
                parts[tag] = self.one(tag, vr, path, "content item")
        return joined(parts)

    def _code(self, path: tuple[int, ...]) -> bytes:
        """A code of somebody's own scheme, whose meaning says what it likes."""
        scheme = self._encoder.element(0x00080102, "SH", b"99LOCAL")
        return (
            self.one(0x00080100, "SH", path, "code value")
            + scheme
            + self.one(0x00080104, "LO", path, "code meaning")
        )

    def _private(self, path: tuple[int, ...]) -> dict[int, Callable[[], bytes]]:
        """A block with its creator, one without, one that is safe in part, one whose creator is another."""
        encoder, safe = self._encoder, "Philips PET Private Group"
        below = (*path, 0x00091010)

        def private(tag: int, vr: str, where: str, creator: str = "") -> tuple[int, Callable[[], bytes]]:
            return tag, lambda: self.one(tag, vr, path, where, creator)

        return dict(
            [
                private(0x00090010, "LO", "private creator"),
                private(0x00091001, "LO", "private block", "unknown"),
                (
                    0x00091010,
                    lambda: encoder.sequence(below[-1], self.one(0x00100010, "PN", below, "private")),
                ),
                private(0x00111010, "UT", "orphan"),
                (0x70530011, lambda: encoder.element(0x70530011, "LO", safe.encode())),
                (0x70530012, lambda: encoder.element(0x70530012, "LO", b"SOMEBODY ELSE")),
                private(0x70531100, "DS", "safe private", safe),
                private(0x70531101, "LO", "beside the safe private ones", safe),
                private(0x70531200, "DS", "another's private", "SOMEBODY ELSE"),
                (0x7FE10010, lambda: encoder.element(0x7FE10010, "LO", b"ACME AFTER")),
                private(0x7FE11001, "OB", "private block", "ACME AFTER"),
            ]
        )

    def _as_unknown(self, path: tuple[int, ...]) -> dict[int, Callable[[], bytes]]:
        """Sequences and a name written as UN, of known and of unknown length (PS3.5 §6.2.2)."""
        if self._encoder is not EXPLICIT:  # pydicom does not read such in big endian
            return {}
        inner = Planter.__new__(Planter)
        inner.markers, inner._values, inner._encoder = self.markers, self._values, IMPLICIT

        def items(tag: int, *, undefined: bool) -> bytes:
            below = (*path, tag)
            body = inner.one(0x00100010, "PN", below, "UN") + inner.one(0x00104000, "LT", below, "UN")
            item = IMPLICIT.item(body, undefined=undefined)
            if undefined:
                return self._encoder.header(tag, "UN", UNDEFINED) + item + IMPLICIT.mark(0xE0DD)
            return self._encoder.element(tag, "UN", item)

        name = 0x00101001
        return {
            name: lambda: self._encoder.element(name, "UN", self._value("PN", (*path, name), "UN")),
            0x00082228: lambda: items(0x00082228, undefined=False),
            0x00082229: lambda: items(0x00082229, undefined=True),
        }


VALUE_TYPES: dict[str, dict[int, str]] = {
    "TEXT": {0x0040A160: "UT"},
    "PNAME": {0x0040A123: "PN"},
    "DATE": {0x0040A121: "DA"},
    "TIME": {0x0040A122: "TM"},
    "DATETIME": {0x0040A120: "DT"},
    "UIDREF": {0x0040A124: "UI"},
    "CODE": {0x0040A168: "SQ"},
    "NUM": {0x0040A300: "SQ"},
    "IMAGE": {0x00081199: "SQ"},
    "COMPOSITE": {0x00081199: "SQ"},
    "WAVEFORM": {0x00081199: "SQ"},
    "CONTAINER": {0x0040A730: "SQ"},
}
"""What the content items of structured reports hold, by Value Type."""


def joined(elements: dict[int, bytes]) -> bytes:
    return b"".join(elements[tag] for tag in sorted(elements))
