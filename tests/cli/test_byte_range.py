"""Ranges as users write them."""

import pytest

from mdm_async import errors
from mdm_async.cli.transfer.byte_range import parse_range


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-0", b"0"),
        ("2-5", b"2345"),
        ("2-", b"23456789"),
        ("-3", b"789"),
        ("-30", b"0123456789"),
        ("8-100", b"89"),
    ],
)
def test_first_and_last_are_both_included(text, expected):
    assert b"0123456789"[slice(*parse_range(text).as_slice())] == expected


@pytest.mark.parametrize("text", ["", "-", "5", "a-b", "5-4", "1-2-3", "1,2", "-0", "-00", " 1-2", "٣-٤"])
def test_nonsense_is_refused(text):
    with pytest.raises(errors.BadRequest):
        parse_range(text)
