"""Attributes that are chosen, as callers give them."""

from mdm_async.client.finding import listed


def test_one_text_is_attributes_and_never_letters():
    assert listed("Rows") == ["Rows"]
    assert listed("Rows, mine.quality,") == ["Rows", "mine.quality"]
    assert listed(["Rows", "-Columns"]) == ["Rows", "-Columns"]
    assert listed(()) == []
