"""De-identification's traps, one by one: where identity hides, and what must happen there."""

import zlib

import pytest

from mdm_async.dicom.elements import EXPLICIT_BIG, IMPLICIT_LITTLE
from mdm_async.dicom.profile import Profile, basic
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.errors import Malformed, MdmError, NotDicom, ScrubRefused, Truncated
from tests.canary_pixels import described
from tests.pipeline import KEY, cut, deidentified, read

SECRET = b"SECRET^WOMAN"
STANDARD = "1.2.840.10008.5.1.4.1.1."
OTHER_KEY = bytes(32)
DATES = Profile("dates", options=frozenset({"retain_longitudinal_modified_dates"}))
GRAPHICS = Profile("graphics", options=frozenset({"clean_graphics"}))
REPORTS = Profile("reports", options=frozenset({"clean_structured_content"}))
SAFE = Profile("safe", options=frozenset({"retain_safe_private"}))


def test_trap_preamble(write):
    data = b"MZ" + SECRET + bytes(128 - 2 - len(SECRET)) + write.file(b"")[128:]
    assert deidentified(data)[:132] == bytes(128) + b"DICM"


def test_trap_file_meta(write):
    plain = write.file(b"")
    start = plain.index(b"\x08\x00\x16\x00UI")
    more = b"".join(write.element(0x00020000 | tag, "AE", SECRET) for tag in (0x16, 0x17, 0x18))
    more += b"".join(write.element(0x00020000 | tag, "UR", SECRET) for tag in (0x26, 0x27, 0x28))
    more += write.element(0x00020100, "UI", b"1.2.3.66") + write.element(0x00020102, "OB", SECRET)
    made = deidentified(plain[:start] + more + plain[start:])
    found = read(made)
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID != "1.2.3.4.5"
    assert {int(tag) & 0xFFFF for tag in found.file_meta.keys()} == {0, 1, 2, 3, 0x10, 0x12, 0x13}  # noqa: SIM118
    assert found.file_meta.FileMetaInformationGroupLength == made.index(b"\x08\x00\x16\x00UI") - 144


def test_trap_elements_after_the_pixels(write):
    signature = write.sequence(0xFFFAFFFA, write.element(0x04000115, "OB", SECRET))
    tail = write.element(0x7FE11001, "LO", SECRET) + write.element(0x00100010, "PN", SECRET)
    tail += signature + write.element(0xFFFCFFFC, "OB", SECRET)
    pixels = write.element(0x7FE00010, "OB", bytes(8))
    made = deidentified(write.file(described() + pixels + tail))
    assert SECRET not in made
    assert made.endswith(pixels + write.element(0x00100010, "PN", b""))


@pytest.mark.parametrize("undefined", [False, True], ids=["known length", "unknown length"])
@pytest.mark.parametrize("depth", [1, 3, 63])
def test_trap_nested_sequences(write, depth, undefined):
    inner = write.element(0x00180050, "DS", b"1.25") + write.element(0x00100010, "PN", SECRET)
    for _ in range(depth):
        inner = write.sequence(0x00082218, inner, undefined=undefined)
    made = deidentified(write.file(inner))
    assert SECRET not in made
    assert b"1.25" in made


def test_trap_nested_sequences_deeper_than_the_limit(write):
    body = b""
    for _ in range(65):
        body = write.sequence(0x00082218, body)
    with pytest.raises(Malformed, match="deeper than 64 levels at byte"):
        deidentified(write.file(body))


def test_trap_un_that_holds_items(write, writer):
    implicit = writer(IMPLICIT_LITTLE)
    name = implicit.element(0x00100010, "PN", SECRET) + implicit.element(0x00104000, "LT", b"KEPT?")
    for tag in (0x00082218, 0x00189346):
        items = implicit.item(name, undefined=True) + implicit.delimiter(0xFFFEE0DD)
        for body in (
            write.header(tag, "UN", 0xFFFFFFFF) + items,
            write.element(tag, "UN", implicit.item(name)),
        ):
            made = deidentified(write.file(body))
            assert SECRET not in made
            assert b"KEPT?" not in made


def test_trap_private_attributes(write):
    block = write.element(0x00090010, "LO", b"SECRET MAKER") + write.element(0x00091001, "LO", SECRET)
    orphan = write.element(0x00111001, "LO", SECRET)
    within = write.sequence(0x00091002, write.element(0x00100010, "PN", SECRET))
    for profile in (basic(), SAFE):
        made = deidentified(
            write.file(write.sequence(0x00082218, block + orphan) + block + within + orphan), profile
        )
        assert b"SECRET" not in made
        assert not [one for one in read(made).iterall() if one.tag.is_private]


def test_trap_overlays_curves_and_audio(write):
    texts = {0x50000022: "LO", 0x5000200C: "OB", 0x50002500: "LO", 0x50003000: "OB"}
    texts |= {0x60000022: "LO", 0x60001500: "LO", 0x60003000: "OB", 0x60FE4000: "LT", 0x60FE3000: "OB"}
    body = b"".join(write.element(tag, vr, SECRET) for tag, vr in sorted(texts.items()))
    made = deidentified(write.file(body))
    assert SECRET not in made
    assert not [one for one in read(made) if one.tag.group >> 8 in (0x50, 0x60)]


def report(write) -> bytes:
    def item(kind: bytes, value: bytes) -> bytes:
        return write.element(0x0040A040, "CS", kind) + value

    reference = write.element(0x00081150, "UI", f"{STANDARD}2".encode()) + write.element(
        0x00081155, "UI", b"1.2.9"
    )
    inner = item(b"TEXT", write.element(0x0040A160, "UT", SECRET))
    return write.sequence(
        0x0040A730,
        item(b"TEXT", write.element(0x0040A160, "UT", SECRET)),
        item(b"PNAME", write.element(0x0040A123, "PN", SECRET)),
        item(b"DATE", write.element(0x0040A121, "DA", b"20200229")),
        item(b"DATETIME", write.element(0x0040A120, "DT", b"20200229101112")),
        item(b"TIME", write.element(0x0040A122, "TM", b"101112")),
        item(b"UIDREF", write.element(0x0040A124, "UI", b"1.2.9")),
        item(b"IMAGE", write.sequence(0x00081199, reference)),
        item(b"CONTAINER", write.sequence(0x0040A730, inner)),
    )


def test_trap_structured_reports(write):
    made = deidentified(write.file(report(write)))
    assert SECRET not in made
    (only,) = read(made).ContentSequence
    assert only.ValueType == "TEXT"


def test_trap_uids(write):
    mine, standard = b"1.2.3.4.5.6", f"{STANDARD}2".encode()
    inner = write.element(0x00081150, "UI", standard) + write.element(0x00081155, "UI", mine)
    body = write.element(0x00080058, "UI", mine + b"\\1.2.77") + write.sequence(0x00081140, inner)
    body += write.element(0x0020000D, "UI", mine) + write.element(0x0020000E, "UI", b"")
    found = read(deidentified(write.file(body)))
    pseudonym = Pseudonyms(KEY).uid("1.2.3.4.5.6")
    assert pseudonym.startswith("2.25.")
    assert pseudonym != Pseudonyms(OTHER_KEY).uid("1.2.3.4.5.6")
    assert found.StudyInstanceUID == found.FailedSOPInstanceUIDList[0] == pseudonym
    assert found.ReferencedImageSequence[0].ReferencedSOPInstanceUID == pseudonym
    assert found.ReferencedImageSequence[0].ReferencedSOPClassUID == standard.decode()
    assert found.SeriesInstanceUID == ""


def test_trap_identifiers_are_pseudonyms_of_one_project(write):
    body = write.element(0x00080050, "SH", b"A17 ") + write.element(0x00100020, "LO", b"4711")
    body += write.element(0x00200010, "SH", b"S1")
    mine, theirs = (read(deidentified(write.file(body), key=key)) for key in (KEY, OTHER_KEY))
    for keyword in ("PatientID", "AccessionNumber", "StudyID"):
        assert mine[keyword].value
        assert mine[keyword].value != theirs[keyword].value
    assert mine.PatientID == Pseudonyms(KEY).identifier("patient", b"4711").decode()


def test_trap_attributes_that_tell_what_was_before(write):
    inner = write.element(0x00100010, "PN", SECRET)
    nested = write.sequence(0x04000550, inner)
    body = write.sequence(0x04000561, nested + write.element(0x04000563, "LO", SECRET))
    body += write.sequence(0x04000550, inner)
    made = deidentified(write.file(write.sequence(0x00082218, body) + body))
    assert SECRET not in made
    assert not [one for one in read(made).iterall() if one.tag in (0x04000561, 0x04000550)]


def test_trap_digital_signatures(write):
    mac = write.sequence(0x4FFE0001, write.element(0x04000020, "AT", bytes(4)))
    tail = write.sequence(0xFFFAFFFA, write.element(0x04000120, "OB", SECRET))
    made = deidentified(write.file(mac + write.element(0x7FE00010, "OB", b"") + tail))
    assert not {0x4FFE0001, 0xFFFAFFFA} & {int(one.tag) for one in read(made).iterall()}


def test_trap_deflated(write):
    head = write.file(b"", "1.2.840.10008.1.2.1.99")
    start = head.index(b"\x08\x00\x16\x00UI")
    pixels = write.element(0x7FE00010, "OB", b"ABCDEFGH")
    deflater = zlib.compressobj(wbits=-15)
    body = head[start:] + write.element(0x00100010, "PN", SECRET) + described() + pixels
    made = deidentified(head[:start] + deflater.compress(body) + deflater.flush())
    assert SECRET not in made
    assert made.endswith(pixels)
    assert read(made).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


def test_trap_big_endian(writer):
    write = writer(EXPLICIT_BIG)
    body = write.element(0x00100010, "PN", SECRET) + write.element(0x00280010, "US", b"\0\2")
    body += write.element(0x00280011, "US", b"\0\4") + write.element(0x00280100, "US", b"\0\x10")
    pixels = write.element(0x7FE00010, "OW", b"ABCDEFGHIJKLMNOP")
    made = deidentified(write.file(body + pixels, "1.2.840.10008.1.2.2"))
    assert SECRET not in made
    assert made.endswith(pixels)
    assert read(made).Rows == 2


@pytest.mark.parametrize("data", [b"", b"\x08\0\x16\0UI" + bytes(300), b"not DICOM at all" * 20])
def test_trap_missing_preamble_or_meta(data):
    with pytest.raises(NotDicom):
        cut(data)


def test_trap_dicomdir(write):
    meta = write.element(0x00020002, "UI", b"1.2.840.10008.1.3.10")
    meta += write.element(0x00020010, "UI", b"1.2.840.10008.1.2.1")
    data = bytes(128) + b"DICM" + meta + write.sequence(0x00041220, write.element(0x00100010, "PN", SECRET))
    with pytest.raises(NotDicom, match="DICOMDIR"):
        cut(data)


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFE])
def test_trap_malformed_truncated_or_hostile(write, length):
    for body in (write.header(0x00420011, "OB", length), write.header(0x00091001, "UN", length) + SECRET):
        with pytest.raises(Truncated):
            cut(write.file(body))
    with pytest.raises(Malformed, match="at byte"):
        deidentified(write.file(write.sequence(0x00082218, write.header(0x00420011, "OB", length))))


def test_trap_character_sets_that_do_not_decode(write):
    body = write.element(0x00080005, "CS", b"ISO_IR 6666\\ISO 2022 IR 87")
    body += write.element(0x00081030, "LO", b"\xff\xfe\x1b$B" + SECRET) + write.element(
        0x00080080, "LO", b"\xff\xfe"
    )
    every = frozenset({"clean_descriptors", "clean_structured_content", "retain_longitudinal_modified_dates"})
    for profile in (basic(), Profile("cleaning", options=every)):
        made = deidentified(write.file(body + write.element(0x00100010, "PN", b"\x1b\x1b\xff")), profile)
        assert SECRET not in made
        assert b"\xff\xfe" not in made


def test_trap_determinism(write):
    body = (
        write.element(0x00100020, "LO", b"4711")
        + write.element(0x00080020, "DA", b"20200229")
        + report(write)
    )
    every = Profile("every", options=DATES.options | GRAPHICS.options | REPORTS.options | SAFE.options)
    for profile in (basic(), every):
        assert deidentified(write.file(body), profile) == deidentified(write.file(body), profile)
        assert deidentified(write.file(body), profile) != deidentified(write.file(body), profile, OTHER_KEY)


def test_trap_cost_is_that_of_what_changes(write):
    # What is kept comes out byte for byte, odd values and all: nothing was decoded and encoded.
    kept = write.element(0x00200032, "DS", b" 1.0e0\\-0\\+0000 ") + write.element(0x00280034, "IS", b" +007 ")
    frames = write.sequence(0x52009230, kept, kept, undefined=True)
    assert frames in deidentified(write.file(write.element(0x00100010, "PN", SECRET) + frames))


def test_every_refusal_is_named(write):
    with pytest.raises((MdmError, ScrubRefused)):
        deidentified(write.file(b"", "1.2.3.not a syntax"))
