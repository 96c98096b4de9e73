"""Values that are legal for their VR (PS3.5 6.2)."""

import pytest

from mdm_async.dicom.values.lexical import is_legal

LEGAL = {
    "AE": ["", "MDM ", " A B", "A\\B"],
    "AS": ["045Y", "045Y\\002W", "002D"],
    "AT": ["\0\0\0\0", "\0" * 8],
    "CS": ["ORIGINAL\\PRIMARY\\AXIAL ", "A_1 B", "\\\\A", "SMITH JOHN"],
    "DA": ["20260101", "19600101\\19610101", "1960.01.01", "20260101 "],
    "DS": ["1\\2\\-3.5e-10", " 1.0 ", ".5", "1.", "-0.1234567890123456789", "1\0", "\\1"],
    "DT": ["2026", "202601", "20260101120000.123456+0100", "20260101120000 ", "2026-0500"],
    "FD": ["\0" * 8, ""],
    "IS": ["1\\2", "-2147483648", " 12 ", "+0", "1\\\\2"],
    "LO": ["x" * 64, "a\\b", "\u00e9" * 64, "\x1b$B" + "x" * 60],
    "LT": ["two\r\nlines", "back\\slash", "x" * 10240],
    "OB": ["", "x", "abc"],
    "OW": ["ab"],
    "PN": ["Doe^Jane", "A^B^C^D^E=F=G", "Doe^Jane\\Roe^Richard", "Doe"],
    "SH": ["x" * 16, "a\\b"],
    "ST": ["x" * 1024],
    "TM": ["12", "1200", "120000.5", "12:00:00", "235960", "12\\13 "],
    "UC": ["x" * 1000],
    "UI": ["1.2.840.0.1\0", "2." + "1" * 62, "1.2\\1.3", "1.2 "],
    "UN": ["anything at all"],
    "UR": ["urn:removed", "http://a/b?c=d "],
    "US": ["ab", "abcd"],
    "UT": ["x" * 20000],
}
ILLEGAL = {
    "AE": ["x" * 17, "a\nb"],
    "AS": ["45Y", "045y", "Smith"],
    "AT": ["abc"],
    "CS": ["Smith", "A" * 17, "A^B", "1.5", "SMITH^JOHN"],
    "DA": ["2026", "20261301", "20260132", "Smith^John", "2026-01-01"],
    "DS": ["Smith", "1,5", "1 2", ".", "1" * 33, "1\\Smith", "nan"],
    "DT": ["20261301", "Smith", "202601011200000", "2026+9900"],
    "FD": ["Smith^J"],
    "IS": ["1.0", "2147483648", "Smith", "1 2", "1" * 13],
    "LO": ["x" * 65, "two\nlines", "a\0b"],
    "LT": ["x" * 10241, "\x07"],
    "OW": ["abc"],
    "PN": ["A=B=C=D", "A^B^C^D^E^F", "two\nlines"],
    "SH": ["x" * 17],
    "ST": ["x" * 1025],
    "SQ": ["", "x"],
    "TM": ["24", "1260", "1", "Smith", "12:00:"],
    "UI": ["Smith", "1", "1.02", "1..2", "3.1", "1." + "1" * 63, "1.2.a"],
    "UR": ["a b", "a\\b"],
    "US": ["a"],
    "XX": ["x"],
}


@pytest.mark.parametrize(("vr", "value"), [(vr, value) for vr, values in LEGAL.items() for value in values])
def test_a_legal_value_is_legal(vr, value):
    assert is_legal(vr.encode(), value.encode())


@pytest.mark.parametrize(("vr", "value"), [(vr, value) for vr, values in ILLEGAL.items() for value in values])
def test_another_is_not(vr, value):
    assert not is_legal(vr.encode(), value.encode())


def test_long_lists_of_numbers_are_judged_in_time_that_grows_with_their_length():
    assert is_legal(b"DS", b"\\".join(b"-123.456" for _ in range(200_000)))
    assert not is_legal(b"DS", b"\\".join(b"-123.456" for _ in range(200_000)) + b"\\Smith")
    assert not is_legal(b"PN", b"x" * 200_000)


@pytest.mark.parametrize("padding", ["\0 ", " \0", "\\\0 ", "1\0 \0"])
def test_integers_may_be_padded_with_both_kinds_of_padding(padding):
    assert is_legal(b"IS", padding.encode())
