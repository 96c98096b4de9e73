"""Kept values are not believed: VR, form and content have to be what the attribute may have, wherever it stands."""

import pytest

from mdm_async.dicom.elements import EXPLICIT_BIG, IMPLICIT_LITTLE
from mdm_async.dicom.profile import Action, Profile, basic
from mdm_async.dicom.scrub import PixelFacts, scrub
from tests.pipeline import KEY, read

NO_PIXELS = PixelFacts(present=False, value_length=0, encapsulated=False, findings=())
EVERY = Profile(
    "every",
    options=frozenset(
        {"clean_descriptors", "clean_structured_content", "clean_graphics", "retain_safe_private"}
        | {"retain_device_identity", "retain_patient_characteristics", "retain_longitudinal_full_dates"}
    ),
)
BASIC = basic()
TEXTS = ("a kernel that is none", "a maker that is none")
LIES = {
    "a name in a number": (0x00180050, "PN", b"SMITH^JOHN"),
    "text in Rows": (0x00280010, "LT", b"SMITH JOHN"),
    "no decimal": (0x00180050, "DS", b"SMITH"),
    "a day as a decimal": (0x00201041, "DS", b"19600101"),
    "a day as an integer": (0x00200013, "IS", b"19600101"),
    "a day behind zeros": (0x00201041, "DS", b"0019600101"),
    "a day among integers": (0x00081163, "IS", b"1\\+19600101 \\2"),
    "a moment as a decimal": (0x00201041, "DS", b"19600101120000.0"),
    "more decimals than there may be": (0x00280030, "DS", b"0.5\\0.5\\555196001"),
    "no integer": (0x00200013, "IS", b"SMITH"),
    "a name among decimals": (0x00280030, "DS", b"0.5\\SMITH"),
    "a name as Modality": (0x00080060, "CS", b"SMITH^JOHN 1960"),
    "a legal code string that is a name": (0x00080060, "CS", b"SMITH JOHN"),
    "a name among terms": (0x00080008, "CS", b"ORIGINAL\\PRIMARY\\SMITH"),
    "a name after padding": (0x00080060, "CS", b"CT\0\0SMITH"),
    "a name as a UID": (0x00081150, "UI", b"SMITH"),
    "a birth date as a class": (0x00081150, "UI", b"1.2.19600101"),
    "a birth date under the standard's root": (0x00081150, "UI", b"1.2.840.10008.19600101"),
    "a class and a name": (0x00081150, "UI", b"1.2.840.10008.5.1.4.1.1.2\\SMITH"),
    "text as more numbers than there may be": (0x00280010, "US", b"SMITHJ"),
    "a number that spells": (0x00189087, "FD", b"SMITH JO"),
    "numbers that spell": (0x00186060, "FL", b"SMITH JO"),
    "text as numbers of the wrong size": (0x00189087, "FD", b"SMITH"),
    "a kernel that is none": (0x00181210, "SH", b"SMITH"),
    "a maker that is none": (0x00080070, "LO", b"SMITH JOHN"),
    "bytes in UN": (0x00180050, "UN", b"SMITH"),
    "digits as a coding scheme": (0x0008010C, "UI", b"1.2.840.10008.196.0.101.555.1"),
    "a tag that spells": (0x00280009, "AT", b"HTIM"),
    "a sequence that is text": (0x00082218, "LT", b"SMITH"),
    "an age of letters": (0x00101010, "AS", b"SMITH"),
    "a character set that is none": (0x00080005, "CS", b"SMITH"),
    "a day that is none": (0x00080020, "DA", b"SMITH"),
}


# Text is kept by the letter, and a maker's name with the device's identity.
@pytest.mark.parametrize(
    ("lie", "profile"),
    [
        pytest.param(lie, profile, id=f"{profile.name}-{lie}")
        for profile in (BASIC, Profile("letter", base="ps3.15"), EVERY)
        for lie in LIES
        if profile is BASIC or lie not in TEXTS
    ],
)
def test_a_value_that_lies_does_not_stay(write, lie, profile):
    element = write.element(*LIES[lie])
    nested = write.sequence(0x00082218, write.sequence(0x00082220, write.sequence(0x00082228, element)))
    unknown = write.undefined(0x00082218, "SQ", write.item(element, undefined=True))
    for head, tail in ((element + element, b""), (nested, b""), (unknown, b""), (b"", element)):
        made = scrub(write.file(head), tail, profile=profile, key=KEY, pixels=NO_PIXELS)
        for hidden in (b"SMITH", b"1960", b"HTIM", b"10008.196"):
            assert hidden not in made.head + made.tail


# Where no VR is written, none can lie.
@pytest.mark.parametrize(
    ("lie", "encoding"),
    [
        pytest.param(lie, encoding, id=f"{encoding}-{lie}")
        for encoding in (IMPLICIT_LITTLE, EXPLICIT_BIG)
        for lie, (_, vr, _) in LIES.items()
        if encoding.explicit or vr not in ("PN", "LT")
    ],
)
def test_nor_in_another_encoding(writer, lie, encoding):
    tag, vr, value = LIES[lie]
    write = writer(encoding)
    syntax = "1.2.840.10008.1.2" if encoding is IMPLICIT_LITTLE else "1.2.840.10008.1.2.2"
    made = scrub(
        write.file(b"", syntax) + write.element(tag, vr, value),
        b"",
        profile=basic(),
        key=KEY,
        pixels=NO_PIXELS,
    )
    assert b"SMITH" not in made.head
    assert b"19600101" not in made.head


SPELT: dict[str, tuple[int, str, bytes]] = {
    "letters as values": (0x00080008, "CS", b"ORIGINAL\\S\\M\\I\\T\\H"),
    "letters with spaces": (0x00180015, "CS", b"S M I T H "),
    "letters joined": (0x00180015, "CS", b"S_M_I_T_H "),
    "numbers as values": (0x00080008, "CS", b"ORIGINAL\\555\\123\\45"),
    "letters as a kernel": (0x00181210, "SH", b"S M I T H "),
    "pairs of letters as kernels": (0x00181210, "SH", b"SM\\IT\\HJ\\OH "),
    "letters as a model": (0x00081090, "LO", b"S M I T H "),
}


@pytest.mark.parametrize("spelt", SPELT)
def test_nothing_is_spelt_in_pieces_that_are_harmless_alone(write, spelt):
    made = scrub(write.file(write.element(*SPELT[spelt])), b"", profile=BASIC, key=KEY, pixels=NO_PIXELS)
    found = "".join(map(str, read(made.head)[SPELT[spelt][0]].value))
    bare = "".join(character for character in found if character.isalnum())
    assert "SMITH" not in bare
    assert "5551234" not in bare


def test_of_several_terms_the_known_ones_stay(write):
    body = write.element(0x00080008, "CS", b"ORIGINAL\\PRIMARY\\SMITH\\AXIAL ")
    made = scrub(write.file(body), b"", profile=basic(), key=KEY, pixels=NO_PIXELS)
    assert list(read(made.head).ImageType) == ["ORIGINAL", "PRIMARY", "REMOVED", "AXIAL"]
    (line,) = [one for one in made.touched if one.tag == "(0008,0008)"]
    assert (line.action, line.because) == ("D", "not a value that may be kept")


def test_terms_of_the_site_stay_where_it_says_so(write):
    body = write.element(0x00080008, "CS", b"ORIGINAL\\SMITH ") + write.element(0x00080060, "CS", b"SMITH ")
    found = read(
        scrub(
            write.file(body),
            b"",
            profile=Profile("terms", terms=((0x00080008, "SMITH"),)),
            key=KEY,
            pixels=NO_PIXELS,
        ).head
    )
    assert (list(found.ImageType), found.Modality) == (["ORIGINAL", "SMITH"], "REMOVED")


def test_what_is_legal_stays_byte_for_byte(write):
    kept = [
        write.element(0x00080005, "CS", b"ISO_IR 100"),
        write.element(0x00080060, "CS", b"CT"),
        write.element(0x00080070, "LO", b"SIEMENS "),
        write.element(0x00180050, "DS", b" 1.25 "),
        write.element(0x00181210, "SH", b"B30f"),
        write.element(0x00189087, "FD", bytes(8)),
        write.element(0x00280009, "AT", b"\x18\x00\x63\x10"),
        write.element(0x00280106, "SS", b"\xff\xff"),
    ]
    made = scrub(write.file(b"".join(kept)), b"", profile=basic(), key=KEY, pixels=NO_PIXELS)
    assert all(element in made.head for element in kept)


def test_pointers_to_what_goes_go_too(write):
    frame_time, private = b"\x18\x00\x63\x10", b"\x09\x00\x01\x10"
    comments = b"\x20\x00\x00\x40"
    body = write.element(0x00280009, "AT", comments + frame_time + private)
    found = read(scrub(write.file(body), b"", profile=basic(), key=KEY, pixels=NO_PIXELS).head)
    assert found.FrameIncrementPointer == 0x00181063
    body = write.element(0x00280009, "AT", comments + private)
    assert "FrameIncrementPointer" not in read(
        scrub(write.file(body), b"", profile=basic(), key=KEY, pixels=NO_PIXELS).head
    )


def test_a_sequence_kept_for_its_references_keeps_nothing_beside_them(write):
    inner = write.element(0x00080104, "LO", b"SMITH") + write.element(
        0x00081150, "UI", b"1.2.840.10008.5.1.4.1.1.2"
    )
    inner += write.element(0x00081155, "UI", b"1.2.3") + write.element(0x00180050, "DS", b"9.75")
    for tag in (0x00081140, 0x00082112):
        for options in (frozenset(), frozenset({"retain_uids"})):
            made = scrub(
                write.file(write.sequence(tag, inner)),
                b"",
                profile=Profile("references", options=options),
                key=KEY,
                pixels=NO_PIXELS,
            ).head
            assert b"SMITH" not in made
            assert b"9.75" not in made
            (item,) = read(made)[tag].value
            assert set(item.keys()) == {0x00081150, 0x00081155}


def test_a_private_class_is_not_believed_either(write):
    file = write.file(b"").replace(b"1.2.840.10008.5.1.4.1.1.4", b"1.2.840.19600.1.1.4.1.1.4")
    assert b"19600" not in scrub(file, b"", profile=basic(), key=KEY, pixels=NO_PIXELS).head


def test_a_site_that_keeps_a_uid_keeps_one_only(write):
    site = ((0x0020000D, Action.KEEP, None),)
    for value, stays in ((b"1.2.3.4", True), (b"SMITH", False)):
        body = write.element(0x0020000D, "UI", value)
        made = scrub(write.file(body), b"", profile=Profile("s", site=site), key=KEY, pixels=NO_PIXELS).head
        assert (value in made) is stays


def test_a_vr_that_is_not_the_attributes_does_not_stay_around_a_legal_value_either(write):
    body = write.element(0x00180050, "LO", b"1.25")
    made = scrub(write.file(body), b"", profile=basic(), key=KEY, pixels=NO_PIXELS)
    assert read(made.head)[0x00180050].VR == "DS"
    assert b"1.25" not in made.head
    (line,) = [one for one in made.touched if one.tag == "(0018,0050)"]
    assert line.because == "written with a VR that is not the attribute's"


def test_what_stands_where_a_header_has_nothing_does_not_stay(write):
    def spelling(element: bytes, text: bytes) -> bytes:
        return element[:6] + text + element[8:]

    number = spelling(write.element(0x00281201, "OW", bytes(range(8))), b"TH")
    code = write.sequence(0x00082228, write.element(0x00080060, "CS", b"CT") + number)
    nested = spelling(write.sequence(0x00082218, code), b"SM") + spelling(code, b"IT")
    first = spelling(write.element(0x00080006, "SQ", b""), b"XY")
    for head, tail in ((first + nested + number, b""), (b"", first + nested + number)):
        made = scrub(write.file(head), tail, profile=BASIC, key=KEY, pixels=NO_PIXELS)
        for hidden in (b"SQSM", b"SQIT", b"OWTH", b"SQXY"):
            assert hidden not in made.head + made.tail
        clean = head + tail
        for text in (b"SM", b"IT", b"TH", b"XY"):
            clean = clean.replace(b"SQ" + text, b"SQ\0\0").replace(b"OW" + text, b"OW\0\0")
        same = scrub(
            write.file(clean if head else b""),
            clean if tail else b"",
            profile=BASIC,
            key=KEY,
            pixels=NO_PIXELS,
        )
        assert (made.head, made.tail) == (same.head, same.tail)


def test_a_private_transfer_syntax_says_nothing(write):
    made = scrub(write.file(b"", "1.2.826.0.1.19600101.555"), b"", profile=BASIC, key=KEY, pixels=NO_PIXELS)
    assert read(made.head).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
