"""Unused bits of native pixels are found and cleared, and those of the picture stay."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.mask import Masker, UnusedBits, obstacle


def layout(bits: int, stored: int, high: int, *, big_endian: bool = False, signed: bool = False) -> Layout:
    return Layout(
        rows=1,
        columns=1,
        frames=1,
        samples=1,
        bits=bits,
        stored=stored,
        high=high,
        signed=signed,
        planar=False,
        photometric="MONOCHROME2",
        big_endian=big_endian,
    )


def masked(one: Layout, pixels: bytes, chunk: int) -> bytes:
    masker = Masker(one)
    out = [masker.mask(pixels[at : at + chunk]) for at in range(0, len(pixels), chunk)]
    return b"".join((*out, masker.close()))


def found(one: Layout, pixels: bytes, chunk: int) -> bool:
    unused = UnusedBits(one)
    for at in range(0, len(pixels), chunk):
        unused.feed(pixels[at : at + chunk])
    return unused.found


@st.composite
def samples(draw):
    """(layout, samples as unsigned numbers, their encoding's letters), of every depth and place of the stored bits."""
    bits, letter = draw(st.sampled_from([(8, "B"), (16, "H"), (32, "I")]))
    stored = draw(st.integers(1, bits))
    high = draw(st.integers(stored - 1, bits - 1))
    big_endian = draw(st.booleans()) and bits < 32
    one = layout(bits, stored, high, big_endian=big_endian, signed=draw(st.booleans()))
    numbers = draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=50))
    return one, numbers, (">" if big_endian else "<") + letter * len(numbers)


def picture(one: Layout, sample: int, *, extended: bool) -> int:
    """The sample with the bits of the picture alone, or with those above their sign like it."""
    shown = (sample >> one.shift) % 2**one.stored << one.shift
    negative = extended and shown >> one.high
    return shown | (2**one.bits - 2 ** (one.high + 1) if negative else 0)


@settings(max_examples=300)
@given(samples(), st.integers(1, 40))
def test_only_stored_bits_stay_whatever_the_chunks(one_of, chunk):
    one, numbers, form = one_of
    cleared = masked(one, struct.pack(form, *numbers), chunk)
    assert struct.unpack(form, cleared) == tuple(
        picture(one, number, extended=one.signed) for number in numbers
    )
    assert not found(one, cleared, chunk)


@settings(max_examples=300)
@given(samples(), st.integers(1, 40), st.sampled_from(["any", "zeros", "signs"]))
def test_what_is_found_is_neither_zeros_nor_the_sign(one_of, chunk, kind):
    one, numbers, form = one_of
    zeros, signs = (
        [picture(one, number, extended=extended) for number in numbers] for extended in (False, True)
    )
    numbers = {"any": numbers, "zeros": zeros, "signs": signs}[kind]
    clean = numbers == zeros or (one.signed and numbers == signs)
    assert found(one, struct.pack(form, *numbers), chunk) is not clean


def test_an_overlay_among_negative_samples_is_found():
    """The sign is written in some of them and not in others: that may be a drawing."""
    one = layout(16, 15, 14, signed=True)
    assert found(one, struct.pack("<2H", 0xC000, 0x4000), 4)
    assert not found(one, struct.pack("<2H", 0xC000, 0xC000), 4)
    assert not found(one, struct.pack("<2H", 0x4000, 0x4000), 4)


@pytest.mark.parametrize("one", [layout(32, 12, 11, big_endian=True), layout(16, 12, 7), layout(12, 8, 7)])
def test_bits_that_cannot_be_told_apart_are_an_obstacle(one):
    assert obstacle(one)


def test_blocks_of_big_chunks_join_without_a_seam():
    one = layout(16, 12, 11)
    assert masked(one, b"\xff" * 200_002, 65_537) == b"\xff\x0f" * 100_001
    assert masked(one, b"\xff" * 200_001, 1 << 20) == b"\xff\x0f" * 100_000 + b"\0"
