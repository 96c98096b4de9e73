"""A project's mapping of patients to subjects: read from CSV, refused by line and never by value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.dicom.mapping import Mapping, Subject, digest_of
from mdm_async.errors import BadRequest

KEY = bytes(range(32))
HEADER = "patient,subject,shift_days\n"


def test_patients_are_found_by_their_id_as_encoded():
    mapping = Mapping.parse(HEADER + "0042,SITE1-001,-700\nMüller-7,SITE1-002,\n")
    assert mapping.of(b"0042 ", "") == Subject("SITE1-001", -700)
    assert mapping.of("Müller-7".encode(), "") == Subject("SITE1-002")
    assert mapping.of(b"42", "") is None
    assert mapping.of(b"M\xfcller-7", "") is None
    assert mapping.names == {"SITE1-001", "SITE1-002"}
    assert len(mapping) == 2


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffpatient;subject;shift_days\r\n1;A;-3\r\n",
        "Subject, Patient ,shift_days\nA, 1,-3\n\n,,\n",
        'patient,subject,shift_days\n"1","A","-3"',
    ],
    ids=["as Excel writes it", "other order, blank lines", "quoted"],
)
def test_a_spelling_of_csv_makes_no_difference(text):
    assert Mapping.parse(text) == Mapping.parse(HEADER + "1,A,-3\n")


def test_shifts_may_be_left_to_the_project():
    assert Mapping.parse("patient,subject\n1,A\n").of(b"1", "") == Subject("A")


def test_one_subject_may_have_two_patient_ids_with_one_shift():
    assert Mapping.parse(HEADER + "1,A,-3\n2,A,-3\n").of(b"2", "") == Subject("A", -3)


def test_equal_ids_of_two_issuers_are_two_subjects():
    mapping = Mapping.parse("patient,subject,issuer\n1,A,NORTH\n1,B,SOUTH\n2,C,\n")
    assert (mapping.of(b"1", "NORTH"), mapping.of(b"1", "SOUTH")) == (Subject("A"), Subject("B"))
    assert mapping.of(b"1", "") is None
    assert mapping.of(b"1", "WEST") is None
    assert mapping.of(b"2", "WEST") == mapping.of(b"2", "") == Subject("C")
    assert Mapping.parse(mapping.dump()) == mapping
    assert mapping.tells_issuers


def test_without_issuers_a_mapping_is_written_as_it_was():
    """Or else all views that were made by it would be made anew."""
    text = HEADER + "1,A,-3\n"
    assert Mapping.parse(text).dump() == text
    assert Mapping.parse("patient,subject,shift_days,issuer\n1,A,-3,\n").dump() == text


SMITH = "SMITH77"
WRONG = {
    "nothing": ("", "line 1: the columns"),
    "only columns": (HEADER, "maps nobody"),
    "another column": ("patient,subject,sex\n1,A,F\n", "line 1: the columns"),
    "a column twice": ("patient,subject,subject\n1,A,B\n", "line 1: the columns"),
    "no subject": (HEADER + f"{SMITH},,3\n", "line 2: subject is no plain name"),
    "a slash": (HEADER + f"1,{SMITH}/1,3\n", "line 2: subject is no plain name"),
    "a long subject": (HEADER + f"1,{SMITH}{'x' * 32},3\n", "line 2: subject"),
    "no patient": (HEADER + f",{SMITH},3\n", "line 2: patient is no Patient ID"),
    "a long patient": (HEADER + f"{SMITH * 10},A,3\n", "line 2: patient is no Patient ID"),
    "no shift at all": (HEADER + f"{SMITH},A,0\n", "line 2: shift_days"),
    "half a day": (HEADER + f"{SMITH},A,1.5\n", "line 2: shift_days"),
    "two centuries": (HEADER + f"{SMITH},A,73050\n", "line 2: shift_days"),
    "too few columns": (HEADER + f"1,A,3\n{SMITH},B\n", "line 3: not 3 columns"),
    "a patient twice": (
        HEADER + f"{SMITH},A,3\n1,B,3\n{SMITH},C,3\n",
        "line 4: the patient is mapped in line 2",
    ),
    "two shifts of one subject": (
        HEADER + f"1,{SMITH},3\n2,{SMITH},4\n",
        "line 3: the subject is that of line 2",
    ),
    "keyed shifts of one subject": (HEADER + f"1,{SMITH},\n2,{SMITH},\n", "both need the same shift_days"),
    "a quotation mark": (HEADER + f'"{SMITH},A,3\n', "no end"),
    "a patient of an issuer twice": (
        f"patient,subject,issuer\n1,A,{SMITH}\n1,B,X\n1,C,{SMITH}\n",
        "line 4: the patient is mapped in line 2",
    ),
    "a long issuer": (f"patient,subject,issuer\n1,A,{SMITH * 10}\n", "line 2: issuer is no name"),
    "a patient as subject": (
        HEADER + f"{SMITH},A,3\n2,{SMITH},3\n",
        "line 3: subject is the Patient ID of line 2",
    ),
}


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_told_by_line_and_not_by_value(text, told):
    with pytest.raises(BadRequest) as refused:
        Mapping.parse(text)
    said = f"{refused.value.detail} {refused.value.remedy}"
    assert told in said
    assert SMITH not in said


def test_of_many_wrong_lines_some_are_told():
    with pytest.raises(BadRequest) as refused:
        Mapping.parse(HEADER + "1,A,0\n" * 50)
    assert refused.value.detail.count("line ") == 20
    assert "and 30 more lines" in refused.value.detail


@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N", "P"], exclude_characters="\\"), min_size=1, max_size=20),
        st.integers(-36525, 36525).filter(bool) | st.none(),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_written_out_is_read_as_the_same_mapping(days):
    text = HEADER + "".join(
        f'"{patient.replace(chr(34), chr(34) * 2)}",subject-{at},{"" if shift is None else shift}\n'
        for at, (patient, shift) in enumerate(days.items())
    )
    mapping = Mapping.parse(text)
    assert Mapping.parse(mapping.dump()) == mapping
    assert len(mapping) == len(days)


def test_the_digest_is_of_what_is_said_and_of_the_key():
    one, same = Mapping.parse(HEADER + "1,A,3\n2,B,\n"), Mapping.parse(HEADER + "2,B,\n1,A,+3\n")
    assert digest_of(one, KEY) == digest_of(same, KEY)
    assert digest_of(one, KEY) != digest_of(one, KEY[::-1])
    assert digest_of(one, KEY) != digest_of(Mapping.parse(HEADER + "1,A,3\n2,B,4\n"), KEY)


def test_a_mapping_is_not_shown_by_accident():
    assert "0042" not in repr(Mapping.parse(HEADER + "0042,A,3\n"))
    assert "0042" not in repr(Mapping.parse(HEADER + "0042,A,3\n").of(b"0042", ""))
