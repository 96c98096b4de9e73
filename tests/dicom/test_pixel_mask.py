"""Unused bits of native pixels are cleared, and those of the picture stay."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.mask import Masker, stored_bits


def layout(bits: int, stored: int, high: int, *, big_endian: bool = False) -> Layout:
    return Layout(
        rows=1,
        columns=1,
        frames=1,
        samples=1,
        bits=bits,
        stored=stored,
        high=high,
        signed=False,
        planar=False,
        photometric="MONOCHROME2",
        big_endian=big_endian,
    )


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([(8, "B"), (16, "H"), (32, "I")]),
    st.data(),
    st.booleans(),
    st.integers(1, 40),
)
def test_only_stored_bits_stay_whatever_the_chunks(size, data, big_endian, chunk):
    bits, letter = size
    stored = data.draw(st.integers(1, bits))
    high = data.draw(st.integers(stored - 1, bits - 1))
    samples = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=50))
    one = layout(bits, stored, high, big_endian=big_endian)
    form = (">" if big_endian else "<") + letter * len(samples)
    pixels = struct.pack(form, *samples)
    masker = Masker(one, stored_bits(one))
    out = b"".join(masker.mask(pixels[at : at + chunk], at) for at in range(0, len(pixels), chunk))
    low = high + 1 - stored
    assert struct.unpack(form, out) == tuple((sample >> low & (2**stored - 1)) << low for sample in samples)


def test_blocks_of_big_chunks_join_without_a_seam():
    one = layout(16, 12, 11)
    pixels = b"\xff" * 200_001
    assert Masker(one, 0xFFF).mask(pixels, 1) == (b"\x0f\xff" * 100_001)[:200_001]
