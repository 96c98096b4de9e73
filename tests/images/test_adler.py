"""Checksums of what follows each other."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from mdm_async.images.parts import adler


@given(st.binary(max_size=100_000), st.binary(max_size=100_000))
def test_the_checksum_of_two_pieces_is_that_of_the_whole(first: bytes, second: bytes) -> None:
    combined = adler.combine(zlib.adler32(first), zlib.adler32(second), len(second))
    assert combined == zlib.adler32(first + second)


def test_long_pieces_wrap_rightly() -> None:
    first, second = b"\xff" * 65521, b"\xff" * (65521 * 3 + 7)
    assert adler.combine(zlib.adler32(first), zlib.adler32(second), len(second)) == zlib.adler32(
        first + second
    )


def test_leading_zeros_are_written() -> None:
    assert adler.text(1) == "00000001"
