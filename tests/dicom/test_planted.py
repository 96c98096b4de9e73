"""Identifiers planted in every attribute that the table names do not survive, wherever they stand."""

import datetime
import io
import warnings
from itertools import count

import pydicom
import pytest

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, encoding_of, walk
from mdm_async.dicom.filemeta import MetaReader
from mdm_async.dicom.profile import Action, basic
from mdm_async.dicom.scrub import PixelFacts, scrub
from mdm_async.errors import MdmError, ScrubRefused

SYNTAXES = {
    "1.2.840.10008.1.2.1": EXPLICIT_LITTLE,
    "1.2.840.10008.1.2": IMPLICIT_LITTLE,
    "1.2.840.10008.1.2.2": EXPLICIT_BIG,
}
NUMBERS = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4}
REPEATING = {
    0x50000005: "US",
    0x50003000: "OW",
    0x60000022: "LO",
    0x60001500: "LO",
    0x60003000: "OW",
    0x60024000: "LT",
}
KEPT_SEQUENCE = 0x00082218
NESTED_IN_KEPT = {0x00081140, 0x00082112}


class Planter:
    """Makes values that are legal for their VR and that one can look for afterwards."""

    def __init__(self, write) -> None:
        self.write = write
        self.markers: list[bytes] = []
        self._numbers = count(1)

    def value(self, vr: str) -> bytes:
        number = next(self._numbers)
        day = datetime.date(1701, 1, 1) + datetime.timedelta(days=number)
        size = NUMBERS.get(vr)
        marker = {
            "DA": f"{day:%Y%m%d}",
            "DT": f"{day:%Y%m%d}235917.{number:06}",
            "TM": f"235917.{number:06}",
            "UI": f"1.3.55.77.{number}.9",
            "DS": f"71309.{number:05}",
            "IS": f"71309{number:05}",
            "CS": f"PLANTED_{number:05}",
            "UR": f"http://planted/{number:05}",
        }.get(vr, f"Planted{number:05}X")
        encoded = marker.encode()
        if size is not None:
            encoded = b"\xa7\x5c\xe3\x19\xd4\x0b\xbe\x91"[:size]  # too short to be told from other bytes
        elif vr == "AS":
            encoded = b"917Y"
        if len(encoded) >= 8 and size is None:
            self.markers.append(encoded)
        return encoded

    def attributes(self, depth: int = 0, *, tail: bool = False) -> bytes:
        """Every attribute of the table, in ascending order, private blocks between them."""
        wanted = dict.fromkeys(tag for tag, action in basic().single.items() if action is not Action.KEEP)
        vrs = {tag: (vr_of(tag) or b"LO").decode() for tag in wanted if tag >> 16 not in (0, 2)}
        vrs |= REPEATING | dict.fromkeys((0x00091001, 0x00210010, 0x0021102A, 0x300B1001, 0x7FE11001), "LO")
        if depth:
            vrs[KEPT_SEQUENCE] = "SQ"
        parts = [
            self._one(tag, vr, depth)
            for tag, vr in sorted(vrs.items())
            if (tag > 0x7FE00010) is tail or depth
        ]
        return b"".join(parts)

    def _one(self, tag: int, vr: str, depth: int) -> bytes:
        undefined = bool(next(self._numbers) % 2)
        if tag == KEPT_SEQUENCE:
            return self.write.sequence(tag, self.attributes(depth - 1), b"", undefined=undefined)
        if vr != "SQ":
            return self.write.element(tag, vr, self.value(vr))
        names = self.write.element(0x00081155, "UI", self.value("UI"))
        names += self.write.element(0x00100010, "PN", self.value("PN"))
        if tag not in NESTED_IN_KEPT:
            names = self.write.element(0x00080104, "LO", self.value("LO")) + names
        return self.write.sequence(tag, names, undefined=undefined)


def meta_with_more(head: bytes, planter: Planter) -> bytes:
    """The file's preamble and meta, with titles, private information and text in the preamble."""
    write = type(planter.write)()
    meta = MetaReader()
    meta.feed(head)
    more = write.element(0x00020016, "AE", planter.value("AE"))
    more += write.element(0x00020017, "AE", planter.value("AE")) + write.element(
        0x00020026, "UR", planter.value("UR")
    )
    more += write.element(0x00020100, "UI", planter.value("UI")) + write.element(
        0x00020102, "OB", planter.value("OB")
    )
    preamble = (planter.value("LO") * 8)[:128].ljust(128)
    return preamble + head[128 : meta.end] + more + head[meta.end :]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_no_planted_identifier_survives(ct, writer, split, syntax):
    write = writer(SYNTAXES[syntax])
    planter = Planter(write)
    top = planter.attributes(depth=0)
    nested = planter.attributes(depth=3)
    tail = planter.attributes(tail=True)
    body = write.sequence(KEPT_SEQUENCE, nested, undefined=True) + top
    head = meta_with_more(write.file(body, syntax), planter)
    pixels = write.element(0x7FE00010, "OW", bytes(8))
    out_of_order = write.element(0x00100010, "PN", planter.value("PN"))
    parts = split(head + pixels + tail + out_of_order, [1000])
    assert parts.pixels == pixels
    planted = parts.head + parts.tail
    assert len(planter.markers) > 2400
    assert all(marker in planted for marker in planter.markers)

    made = scrub(
        parts.head, parts.tail, profile=basic(), key=bytes(32), pixels=PixelFacts(False, 0, False, ())
    )
    survivors = [marker for marker in planter.markers if marker in made.head + made.tail]
    assert survivors == []
    assert b"917Y" not in made.head
    assert b"lanted" not in made.head + made.tail
    assert not removed_tags_left(made.head)


def removed_tags_left(head: bytes) -> set[int]:
    meta = MetaReader()
    meta.feed(head)
    encoding = encoding_of(meta.transfer_syntax)
    tags = {element.tag for element in walk(head, meta.end, len(head), encoding)}
    return {tag for tag in tags if basic().action(tag) is Action.REMOVE}


def test_no_identifier_of_a_sample_survives(sample, split):
    """What pydicom reads in the attributes that the profile names is nowhere in what comes out.

    Unless it says too little to be told from chance, or stands in a kept attribute of the original too: a manufacturer
    who is also the institution, a body part that is also the study's description.
    """
    try:
        parts = split(sample.read_bytes())
        made = parts.scrub()
    except (MdmError, ScrubRefused):
        return
    named, kept = encoded_values(parts)
    out = made.head + made.tail
    telling = {value for value in named if len(value) >= 5 and len(set(value)) > 3}
    assert {value for value in telling if value in out and not any(value in one for one in kept)} == set()


def encoded_values(parts) -> tuple[set[bytes], set[bytes]]:
    """(values in attributes that the profile acts on, values in others), at any depth."""
    named, kept = set(), set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pydicom.dcmread(io.BytesIO(parts.original or parts.head + parts.pixels + parts.tail))
        for element in found.iterall():
            if element.VR == "SQ" or element.tag == 0x7FE00010:
                continue
            values = element.value if element.VM > 1 else [element.value]
            encoded = {one if isinstance(one, bytes) else str(one).encode() for one in values}
            if basic().action(int(element.tag)) is Action.KEEP:
                kept |= encoded
            else:
                named |= {one for one in encoded if not one.startswith(b"1.2.840.10008.")}
    return named, kept


def test_a_real_ct_with_planted_identifiers(ct, writer, split):
    """The same in a real file: the planted elements are put behind its own."""
    planter = Planter(writer())
    parts = split(ct)
    head = meta_with_more(parts.head, planter) + planter.attributes(depth=1)
    made = scrub(head, planter.attributes(tail=True), profile=basic(), key=bytes(32), pixels=parts.facts)
    assert [marker for marker in planter.markers if marker in made.head + made.tail] == []
    own = (
        b"1CT1",
        b"CompressedSamples",
        b"JFK IMAGING",
        b"20040119",
        b"1.3.6.1.4.1.5962.1.2.1.20040119072730",
    )
    assert all(one in ct for one in own)
    assert not any(one in made.head + made.tail for one in own)
