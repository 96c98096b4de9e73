"""Free text keeps only words that a vocabulary knows and that are nobody's; what cannot be read goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.dicom.elements import IMPLICIT_LITTLE
from mdm_async.dicom.profile import Profile
from mdm_async.dicom.scrub import PixelFacts, scrub
from mdm_async.dicom.scrubbing.words import Words
from mdm_async.dicom.values.vocabulary import vocabulary
from tests.dicom.build_vocabulary import published
from tests.pipeline import read

KEY = bytes(range(32))
NO_PIXELS = PixelFacts(False, 0, False, ())
CLEANED = Profile("words", options=frozenset({"clean_descriptors"}))
DIGITS = """
12.04.1952 12.04.52 12/04/52 12_04_52 1952-04-12 12_MAR_52 12._of_4._of_52 555_123_456 tel_0651/17 120_345 120-345
age_45 45_years 1_CT_1 4711
"""
WORDS = Words(frozenset({"hans", "mueller", "hand", "120345", "1ct1"}))


def scrubbed(data: bytes):
    return read(scrub(data, b"", profile=CLEANED, key=KEY, pixels=NO_PIXELS).head)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"CT Thorax/Abdomen W/O contrast", b"CT Thorax/Abdomen W/O contrast"),
        (b"t2_tse_tra_fs 3mm", b"t2 tse tra fs 3mm"),
        (b"T1 MPRAGE 1.5 T 120KV 200 mAs", b"T1 MPRAGE 1.5 T 120KV 200 mAs"),
        (b"HEAD 2", b"HEAD 2"),
        (b"Thorax for Dr. Ribbentrop", b"Thorax for"),
        (b"Fracture of left hand, Hans Mueller", b"Fracture of left"),
        (b"THORAXMEYER", b""),
        (b"   ", b""),
        (b"", b""),
    ],
)
def test_known_words_stay(text, expected):
    assert WORDS.cleaned(text, b"LO") == expected


@pytest.mark.parametrize(
    "text",
    DIGITS.split(),
)
def test_days_ages_telephone_numbers_and_own_numbers_go(text):
    cleaned = WORDS.cleaned(text.replace("_", " ").encode(), b"LO")
    assert not any(one in cleaned for one in b"0123456789")


def test_own_numbers_go_in_pieces_too():
    assert Words(frozenset({"2head3"})).cleaned(b"spine 2 head 3 neck", b"LO") == b"spine head neck"
    assert Words(frozenset({"t1"})).cleaned(b"T1 head", b"LO") == b"head"


def test_each_value_of_several_is_cleaned_and_paragraphs_are_read_through():
    assert WORDS.cleaned(b"Thorax\\Meyer\\Head", b"LO") == b"Thorax\\\\Head"
    assert WORDS.cleaned(b"Meyer\\Huber", b"SH") == b""
    assert WORDS.cleaned(b"Thorax\r\nMeyer\\Head", b"LT") == b"Thorax Head"
    assert WORDS.cleaned(b"Head/neck\\MEYER", b"CS") == b"HEAD_NECK\\"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thorax Müller".encode("latin-1"), b"Thorax"),
        ("Thoraxäneck head".encode(), b"head"),
        ("头head 胸 CT".encode("gb18030"), b"CT"),
        ("CT 頭部".encode("iso2022_jp") + b" head", b"CT head"),
        (b"CT \x1b$Bhead neck\x1b(B spine", b"CT spine"),
        (b"CT \x1b$)Chead\xb0\xa1 spine", b"CT spine"),
        (b"head \x1b?neck", b"head"),
        (b"\xff\xfe\x00 head", b"head"),
    ],
)
def test_what_is_not_ascii_makes_its_word_unknown_whatever_the_character_set(text, expected):
    assert WORDS.cleaned(text, b"LO") == expected


@given(st.binary(max_size=80), st.sampled_from([b"LO", b"LT", b"CS"]))
def test_only_known_words_and_short_numbers_come_out_of_anything(text, vr):
    cleaned = WORDS.cleaned(text, vr)
    assert cleaned.isascii()
    assert len(cleaned) <= len(text)
    assert b"\x1b" not in cleaned


def test_the_vocabulary_is_what_is_published_and_our_own_list():
    assert published() <= vocabulary()
    assert len(vocabulary()) < 5000
    assert not vocabulary() & {"mueller", "smith", "brown", "miller", "march", "august", "berlin", "room"}
    assert all(word.isascii() and word == word.lower() for word in vocabulary())


def test_text_without_known_words_becomes_what_the_basic_profile_makes_of_it(write):
    body = write.element(0x00081030, "LO", b"CT Thorax Meyer") + write.element(0x0008103E, "LO", b"Meyer")
    body += write.element(0x00181400, "LO", b"Meyer") + write.element(0x0020000D, "UI", b"1.2")
    found = scrubbed(write.file(body))
    assert found.StudyDescription == "CT Thorax"
    assert "SeriesDescription" not in found
    assert found.AcquisitionDeviceProcessingDescription == "REMOVED"
    assert [code.CodeValue for code in found.DeidentificationMethodCodeSequence] == ["113100", "113105"]


def test_words_of_people_in_the_file_go_wherever_they_stand(write):
    body = write.element(0x00080090, "PN", b"SPINE^RALPH") + write.element(0x00081030, "LO", b"HEAD of SPINE")
    body += write.element(0x00100010, "PN", b"NECK^LUNG") + write.element(0x00100020, "LO", b"B12")
    body += write.element(0x00181030, "LO", b"NECK and head B12") + write.element(0x00204000, "LT", b"LUNG")
    found = scrubbed(write.file(body))
    assert (found.StudyDescription, found.ProtocolName) == ("HEAD of", "and head")
    assert "ImageComments" not in found


def test_text_is_cleaned_in_nested_items_and_in_implicit_vr_but_not_after_the_pixels(writer):
    write = writer(IMPLICIT_LITTLE)
    text = write.element(0x00081030, "LO", b"Thorax Meyer")
    data = write.file(write.sequence(0x00082218, text), "1.2.840.10008.1.2")
    made = scrub(data, text, profile=CLEANED, key=KEY, pixels=NO_PIXELS)
    assert read(made.head).AnatomicRegionSequence[0].StudyDescription == "Thorax"
    assert made.tail == b""


def test_codes_of_published_schemes_stay_in_cleaned_sequences_and_others_tell_nothing(write):
    def code(value: bytes, scheme: bytes, meaning: bytes) -> bytes:
        parts = [write.element(0x00080100, "SH", value), write.element(0x00080102, "SH", scheme)]
        return b"".join((*parts, write.element(0x00080104, "LO", meaning)))

    no_scheme = write.element(0x00080104, "LO", b"Meyer")
    nested = write.element(0x00080100, "SQ", write.item(write.element(0x00100010, "PN", b"SECRET")))
    nested += write.element(0x00080102, "SH", b"SCT")
    sequence = write.sequence(
        0x00081084,
        code(b"39607008", b"SCT", b"Lung"),
        code(b"MEYER", b"99MEYER", b"Lung of Meyer"),
        code(b"MEYER", b"99MEYER", b"Meyer"),
        no_scheme,
        nested,
    )
    data = scrub(write.file(sequence), b"", profile=CLEANED, key=KEY, pixels=NO_PIXELS).head
    assert b"MEYER" not in data.upper()
    assert b"SECRET" not in data
    public, own, other, bare, _ = read(data).AdmittingDiagnosesCodeSequence
    assert (public.CodeValue, public.CodingSchemeDesignator, public.CodeMeaning) == (
        "39607008",
        "SCT",
        "Lung",
    )
    assert (own.CodingSchemeDesignator, own.CodeMeaning, other.CodeMeaning) == ("99MDM", "Lung of", "REMOVED")
    assert own.CodeValue == other.CodeValue
    assert own.CodeValue.startswith("MDM")
    assert bare.CodeMeaning == "REMOVED"
