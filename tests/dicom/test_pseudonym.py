"""Pseudonyms are keyed, repeatable, and legal where they stand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.dicom.pseudonym import Pseudonyms

ours, others = Pseudonyms(b"k" * 32), Pseudonyms(b"x" * 32)


@given(st.from_regex(r"[0-9.]{1,64}", fullmatch=True))
def test_a_uid_becomes_one_that_is_legal_and_repeatable(uid):
    made = ours.uid(uid)
    assert re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", made)
    assert made == Pseudonyms(b"k" * 32).uid(uid) != others.uid(uid)
    assert ours.uid_value(uid.encode() + b"\0") == made.encode()


def test_known_answer_so_that_no_release_changes_what_is_out_there():
    assert ours.uid("1.2.3") == "2.25.330128418958305300294558619778028172469"
    assert ours.identifier("patient", b"12345") == b"MDMP7SIFEZZRX364"


def test_standard_uids_and_empty_ones_stay():
    for uid in ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.4.1.1", ""):
        assert ours.uid(uid) == uid
    # The standard's root alone proves nothing.
    assert ours.uid("1.2.840.10008.99.19520412") != "1.2.840.10008.99.19520412"


def test_several_uids_in_one_value():
    first, kept, empty, last = ours.uid_value(b"1.2.3\\1.2.840.10008.1.2\\\\1.2.4\0").split(b"\\")
    assert first == ours.uid("1.2.3").encode()
    assert (kept, empty) == (b"1.2.840.10008.1.2", b"")
    assert last == ours.uid("1.2.4").encode()


@given(st.binary(min_size=1, max_size=100))
def test_identifiers_fit_the_shortest_text_vr(value):
    made = ours.identifier("patient", value)
    assert re.fullmatch(rb"MDM[A-Z2-7]{13}|", made)
    assert ours.identifier("patient", value + b" ") == ours.identifier("patient", value + b"\0") == made


def test_kinds_and_keys_of_identifiers_are_kept_apart():
    made = {
        pseudonyms.identifier(label, b"17") for pseudonyms in (ours, others) for label in ("patient", "study")
    }
    assert len(made) == 4


def test_empty_identifiers_stay_empty():
    assert ours.identifier("patient", b"  \0") == b""


def test_a_key_too_short_to_be_one_is_refused():
    with pytest.raises(ValueError, match="16 bytes"):
        Pseudonyms(b"short")
