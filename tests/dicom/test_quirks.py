"""Files that break PS3.10 and that a reader has to guess about: refused with what they lack, read when forced."""

import io
import warnings

import pydicom
import pytest

from mdm_async.dicom.elements import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.identifiers import identifying_values, linking_values
from mdm_async.dicom.part10 import Kind, Splitter
from mdm_async.dicom.profile import basic
from mdm_async.dicom.scrub import PixelFacts, scrub
from mdm_async.errors import Malformed, MdmError, NotDicom, ScrubRefused
from tests.canary_pixels import JPEG_REST, JPEG_START
from tests.dicom.conftest import ROOT, SAMPLES, Write
from tests.dicom.test_items import JPEG, NAME, PIXELS, THICKNESS, picture

EXPLICIT, IMPLICIT = Write(EXPLICIT_LITTLE), Write(IMPLICIT_LITTLE)
GE = "1.2.840.113619.5.2"
CLASS = b"1.2.840.10008.5.1.4.1.1.4\0"
CHUNKS = [1, 7, 500, 1 << 20]


def data_set(write: Write) -> bytes:
    described, pixels = picture(write)
    return (
        write.element(0x00080016, "UI", CLASS)
        + write.element(0x00080018, "UI", b"1.2.3.4.5")
        + write.element(NAME, "PN", b"Smith^John")
        + write.element(0x00100020, "LO", b"4711")
        + write.element(THICKNESS, "DS", b"2.5 ")
        + write.element(0x0020000D, "UI", b"1.2.3")
        + described
        + pixels
    )


def meta(syntax: str, write: Write = EXPLICIT) -> bytes:
    said = write.element(0x00020002, "UI", CLASS) + write.element(0x00020010, "UI", syntax.encode())
    return write.element(0x00020000, "UL", len(said).to_bytes(4, "little")) + said


START = bytes(128) + b"DICM"
QUIRKS = {
    "no preamble": meta("1.2.840.10008.1.2.1") + data_set(EXPLICIT),
    "no preamble, no meta, implicit": data_set(IMPLICIT),
    "no preamble, no meta, explicit": data_set(EXPLICIT),
    "no preamble, no meta, big endian": data_set(Write(EXPLICIT_BIG)),
    "no meta": START + data_set(IMPLICIT),
    "no meta, explicit": START + data_set(EXPLICIT),
    "no transfer syntax": START + EXPLICIT.element(0x00020002, "UI", CLASS) + data_set(IMPLICIT),
    "implicit under explicit": START + meta("1.2.840.10008.1.2.1") + data_set(IMPLICIT),
    "explicit under implicit": START + meta("1.2.840.10008.1.2") + data_set(EXPLICIT),
    "implicit meta": START + meta("1.2.840.10008.1.2.1", IMPLICIT) + data_set(EXPLICIT),
    "all in implicit": meta("1.2.840.10008.1.2", IMPLICIT) + data_set(IMPLICIT),
}
NAMED = {
    "no preamble": "no preamble",
    "no preamble, no meta, implicit": "no preamble",
    "no preamble, no meta, explicit": "no preamble",
    "no preamble, no meta, big endian": "no preamble",
    "no meta": "no file meta information",
    "no meta, explicit": "no file meta information",
    "no transfer syntax": "no transfer syntax",
    "implicit under explicit": "an implicit VR data set",
    "explicit under implicit": "an explicit VR data set",
    "implicit meta": "file meta information in implicit VR",
    "all in implicit": "no preamble",
}


def cut(data: bytes, size: int, *, force: bool = True) -> tuple[bytes, bytes, bytes, Splitter]:
    splitter, found = Splitter(force=force), dict.fromkeys(Kind, b"")
    for at in range(0, len(data), size):
        for piece in splitter.feed(data[at : at + size]):
            found[piece.kind] += piece.data
    for piece in splitter.close():
        found[piece.kind] += piece.data
    return found[Kind.HEAD], found[Kind.PIXELS], found[Kind.TAIL], splitter


def scrubbed(data: bytes, size: int = 1 << 20) -> bytes:
    head, pixels, tail, splitter = cut(data, size)
    facts = PixelFacts(bool(pixels), splitter.pixel_value_length, splitter.encapsulated, ())
    made = scrub(head, tail, profile=basic(), key=bytes(32), pixels=facts)
    return made.head + pixels + made.tail


@pytest.mark.parametrize("quirk", QUIRKS)
def test_without_force_the_refusal_names_what_is_wrong_and_the_flag(quirk):
    for size in CHUNKS:
        with pytest.raises(Malformed, match=NAMED[quirk]) as refused:
            cut(QUIRKS[quirk], size, force=False)
    assert "--force" in str(refused.value)


@pytest.mark.parametrize("quirk", QUIRKS)
def test_with_force_it_is_cut_as_it_is_and_read_as_pydicom_reads_it(quirk):
    data = QUIRKS[quirk]
    for size in CHUNKS:
        head, pixels, tail, _ = cut(data, size)
        assert head + pixels + tail == data
        assert pixels.endswith(bytes(8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.dcmread(io.BytesIO(data), force=True)
    assert theirs.PatientID == "4711"
    assert linking_values(head)["PatientID"] == "4711"
    assert {"smith", "john", "4711"} <= identifying_values(head)


@pytest.mark.parametrize("quirk", QUIRKS)
def test_its_view_is_a_legal_file(quirk):
    made = scrubbed(QUIRKS[quirk])
    assert b"Smith" not in made
    assert b"4711" not in made
    read = pydicom.dcmread(io.BytesIO(made))
    assert read.SliceThickness == 2.5
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID
    assert len(read.PixelData) == 8
    _, _, _, splitter = cut(made, 1 << 20, force=False)
    assert splitter.transfer_syntax == read.file_meta.TransferSyntaxUID


def test_legal_files_are_none_of_these():
    for path in SAMPLES:
        data = path.read_bytes()
        try:
            strict = cut(data, 1 << 20, force=False)
        except MdmError:
            continue
        assert cut(data, 1 << 20)[:3] == strict[:3]
        assert read_meta(strict[0]).transfer_syntax == strict[3].transfer_syntax


def test_what_tells_nothing_of_its_encoding_is_as_declared():
    empty = b"\x08\0\x05\0\0\0\0\0" + b"\x08\0\x08\0\0\0\0\0"
    for syntax, write in (("1.2.840.10008.1.2", IMPLICIT), ("1.2.840.10008.1.2.1", EXPLICIT)):
        for rest in (b"", data_set(write)):
            data = START + meta(syntax) + empty + rest
            assert cut(data, 1, force=False)[3].transfer_syntax == syntax


def test_what_is_no_dicom_at_all_is_not_helped_by_force():
    garbage = (ROOT / "test_files/no_meta.dcm").read_bytes()
    for data in (b"%PDF" + bytes(300), bytes(300), b"tiny", b"PK\3\4" + bytes(300), garbage):
        with pytest.raises(NotDicom):
            cut(data, 1 << 20)


def test_implicit_vr_with_compressed_pixels_is_stored_but_no_view_can_say_so():
    pixels = IMPLICIT.undefined(PIXELS, "OB", IMPLICIT.item(b"") + IMPLICIT.item(JPEG_START + JPEG_REST))
    data = START + meta(JPEG) + data_set(IMPLICIT)[: -len(picture(IMPLICIT)[1])] + pixels
    assert cut(data, 7)[1] == pixels
    with pytest.raises(ScrubRefused, match="compressed pixels in implicit VR"):
        scrubbed(data)


def test_the_private_syntax_of_ge_is_stored_but_its_pixels_are_not_served():
    data = START + meta(GE) + data_set(IMPLICIT)
    with pytest.raises(Malformed, match="a private transfer syntax of GE"):
        cut(data, 7, force=False)
    assert cut(data, 7)[1] == picture(IMPLICIT)[1]
    with pytest.raises(ScrubRefused, match="big endian under a private transfer syntax"):
        scrubbed(data)


def test_a_dicomdir_is_known_by_its_records_whatever_its_meta_says():
    for path in SAMPLES:
        if not path.name.startswith("DICOMDIR"):
            continue
        data = path.read_bytes().replace(b"1.2.840.10008.1.3.10\0", CLASS[:21])
        for size in (500, 1 << 20):
            for force in (False, True):
                with pytest.raises(NotDicom, match="this is a DICOMDIR"):
                    cut(data, size, force=force)
            if path.name != "DICOMDIR":
                continue
            bare = data[read_meta_end(data) :]
            with pytest.raises(NotDicom, match="this is a DICOMDIR"):
                cut(START + meta("1.2.840.10008.1.2.1") + bare, size)


def read_meta_end(data: bytes) -> int:
    return 144 + int.from_bytes(data[140:144], "little")
