"""Ranges as users write them."""

import pytest

from mdm_async import errors
from mdm_async.cli.transfer.byte_range import parse_range


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("0-0", 10, (0, 1)),
        ("2-5", 10, (2, 6)),
        ("2-", 10, (2, 10)),
        ("-3", 10, (7, 10)),
        ("-30", 10, (0, 10)),
        ("8-100", 10, (8, 10)),
    ],
)
def test_first_and_last_are_both_included(text, size, expected):
    assert parse_range(text).within(size) == expected


@pytest.mark.parametrize("text", ["", "-", "5", "a-b", "5-4", "1-2-3", "1,2", " 1-2", "٣-٤"])
def test_nonsense_is_refused(text):
    with pytest.raises(errors.BadRequest):
        parse_range(text)


@pytest.mark.parametrize(("text", "size"), [("10-", 10), ("10-12", 10), ("-0", 10), ("0-", 0)])
def test_a_range_without_a_byte_is_refused(text, size):
    with pytest.raises(errors.BadRequest):
        parse_range(text).within(size)
