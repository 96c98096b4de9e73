"""Regions of native pixels become black, in every frame, and nothing else changes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.regions import Blanker, clipped, obstacle
from mdm_async.dicom.profile import Region

SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3}


def layout(rows, columns, frames=1, bits=8, photometric="MONOCHROME2", planar=False, **more) -> Layout:
    stored = more.pop("stored", bits)
    of = {"samples": SAMPLES.get(photometric, 3), "stored": stored, "high": stored - 1, "signed": False}
    return Layout(
        rows=rows,
        columns=columns,
        frames=frames,
        bits=bits,
        planar=planar,
        photometric=photometric,
        **{**of, **more},
    )


def blank(one: Layout, pixels: bytes, regions: tuple[Region, ...], size: int) -> bytes:
    blanker = Blanker(one, clipped(regions, one))
    out = b""
    for at in range(0, len(pixels), size):
        chunk = bytearray(pixels[at : at + size])
        blanker.blank(chunk, at)
        out += chunk
    return out


def pixel_by_pixel(one: Layout, pixels: bytes, regions: tuple[Region, ...]) -> bytes:
    """The same, slowly: sample after sample."""
    black = [0] * one.samples
    if one.photometric == "MONOCHROME1":
        black = [2**one.stored - 1]
    elif one.photometric == "YBR_FULL":
        black = [0, 2 ** (one.stored - 1), 2 ** (one.stored - 1)]
    bits = [byte >> bit & 1 for byte in pixels for bit in range(8)]
    for frame in range(one.frames):
        for y in range(one.rows):
            for x in range(one.columns):
                if not any(r.x <= x < r.x + r.width and r.y <= y < r.y + r.height for r in regions):
                    continue
                for sample in range(one.samples):
                    at = y * one.columns + x
                    at = sample * one.rows * one.columns + at if one.planar else at * one.samples + sample
                    at = (frame * one.rows * one.columns * one.samples + at) * one.bits
                    value = black[sample].to_bytes(8, "little")
                    if one.big_endian:
                        value = black[sample].to_bytes(one.bits // 8, "big")
                    bits[at : at + one.bits] = [byte >> bit & 1 for byte in value for bit in range(8)][
                        : one.bits
                    ]
    return bytes(
        sum(bit << number for number, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8)
    )


REGIONS = st.lists(
    st.builds(Region, st.integers(0, 8), st.integers(0, 8), st.integers(1, 9), st.integers(1, 9)),
    min_size=1,
    max_size=3,
).map(tuple)


@settings(max_examples=300)
@given(
    shape=st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 3)),
    bits=st.sampled_from([1, 8, 16, 32]),
    photometric=st.sampled_from(sorted(SAMPLES)),
    planar=st.booleans(),
    big_endian=st.booleans(),
    regions=REGIONS,
    size=st.integers(1, 60),
    data=st.data(),
)
def test_what_lies_in_regions_is_black_and_all_else_is_as_it_was(
    shape, bits, photometric, planar, big_endian, regions, size, data
):
    one = layout(*shape, bits, photometric, planar, big_endian=big_endian)
    if obstacle(one) or not clipped(regions, one):
        return
    pixels = data.draw(st.binary(min_size=one.total, max_size=one.total))
    assert blank(one, pixels, regions, size) == pixel_by_pixel(one, pixels, regions)


def test_black_is_within_the_stored_bits():
    one = layout(1, 2, bits=16, stored=12, photometric="MONOCHROME1")
    assert blank(one, bytes(4), (Region(1, 0, 1, 1),), 3) == b"\0\0\xff\x0f"
    shifted = layout(1, 1, bits=16, stored=12, photometric="MONOCHROME1", high=15)
    assert blank(shifted, bytes(2), (Region(0, 0, 1, 1),), 9) == b"\xf0\xff"
    signed = layout(1, 1, bits=16, stored=12, photometric="MONOCHROME1", signed=True)
    assert blank(signed, bytes(2), (Region(0, 0, 1, 1),), 9) == b"\xff\x07"


@pytest.mark.parametrize("size", [1, 3, 99])
def test_pixels_that_share_their_chrominance_go_together(size):
    one = layout(2, 4, 2, photometric="YBR_FULL_422")
    pixels = bytes(range(1, 33))
    pair = b"\0\0\x80\x80"
    blanked = blank(one, pixels, (Region(1, 0, 2, 1), Region(3, 1, 1, 1)), size)
    first, second = pixels[:16], pixels[16:]
    assert blanked == pair + pair + first[8:12] + pair + pair + pair + second[8:12] + pair


def test_regions_are_clipped_to_the_picture():
    one = layout(4, 4)
    assert clipped((Region(2, 2, 9, 9), Region(4, 0, 1, 1), Region(0, 4, 1, 1)), one) == (Region(2, 2, 2, 2),)


@pytest.mark.parametrize(
    "one",
    [
        layout(2, 2, photometric="HSV"),
        layout(2, 2, photometric="YBR_PARTIAL_420"),
        layout(2, 3, photometric="YBR_FULL_422"),
        layout(2, 2, photometric="YBR_FULL_422", planar=True),
        layout(2, 2, photometric="RGB", samples=1),
        layout(2, 2, photometric="RGB", bits=1),
        layout(2, 2, bits=12),
        layout(2, 2, bits=16, stored=12, high=10),
        layout(2, 2, bits=8, big_endian=True),
    ],
)
def test_what_cannot_be_blanked_exactly_says_why(one):
    assert obstacle(one)
