"""Where parts lie in a sealed transfer."""

import itertools

import pytest

from mdm_async.crypt4gh.header import edit_list_for
from mdm_async.crypt4gh.layout import SealedLayout, SealedPart, packet_order
from mdm_async.crypt4gh.segment import CIPHER_SEGMENT, SEGMENT, cipher_size, padded

SIZES = [0, 1, 65535, 65536, 65537, 131072]
COMBINATIONS = [sizes for n in (1, 2, 3) for sizes in itertools.product(SIZES, repeat=n)]


def layout(*sizes: int, last_padded: bool = False) -> SealedLayout:
    return SealedLayout([SealedPart(size, b"prefix7", last_padded) for size in sizes])


def applied(edit_list: tuple[int, ...] | None, stream: bytes) -> bytes:
    """What the standard says an edit list keeps, in the plainest words."""
    if edit_list is None:
        return stream
    kept, position = b"", 0
    for place, length in enumerate(edit_list):
        if place % 2:
            kept += stream[position : position + length]
        position += length
    return kept + stream[position:] if len(edit_list) % 2 else kept


def test_the_pixels_key_comes_first() -> None:
    assert [packet_order(n) for n in (1, 2, 3)] == [(0,), (1, 0), (1, 0, 2)]
    with pytest.raises(ValueError, match="parts"):
        packet_order(0)
    with pytest.raises(ValueError, match="parts"):
        packet_order(4)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((), None),
        ((0,), None),
        ((10,), None),
        ((65536, 10), None),
        ((0, 10, 0), None),
        ((10, 20), (0, 10, 65526, 20)),
        ((10, 0, 20), (0, 10, 65526, 20)),
        ((10, 20, 0), (0, 10, 65526, 20)),
        ((10, 65536, 5), (0, 10, 65526, 65541)),
        ((65536, 10, 5), (0, 65546, 65526, 5)),
        ((10, 20, 30), (0, 10, 65526, 20, 65516, 30)),
    ],
)
def test_edit_lists_written_out(sizes: tuple[int, ...], expected: tuple[int, ...] | None) -> None:
    assert edit_list_for(sizes) == expected


def test_a_last_part_with_padding_of_its_own_is_cut() -> None:
    assert edit_list_for((10, 20), last_padded=True) == (0, 10, 65526, 20)
    assert edit_list_for((65536, 20, 0), last_padded=True) == (0, 65556)
    assert edit_list_for((65536,), last_padded=True) is None


@pytest.mark.parametrize("last_padded", [False, True])
@pytest.mark.parametrize("sizes", COMBINATIONS)
def test_edit_lists_skip_padding_and_nothing_else(sizes: tuple[int, ...], last_padded: bool) -> None:
    made = layout(*sizes, last_padded=last_padded)
    edits = made.edit_list
    if edits is not None:
        assert len(edits) % 2 == 0
        assert all(edits[1::2])
        assert all(0 < skip < SEGMENT for skip in edits[2::2])
        assert edits[0] == 0
    parts = [bytes([n + 1]) * size for n, size in enumerate(sizes)]
    stream = b"".join(p.ljust(n, b"\0") for p, n in zip(parts, made.sealed_sizes, strict=True))
    assert applied(edits, stream) == b"".join(parts)


@pytest.mark.parametrize("sizes", COMBINATIONS)
def test_only_the_last_segment_of_the_stream_may_be_short(sizes: tuple[int, ...]) -> None:
    made = layout(*sizes)
    assert made.plain_size == sum(sizes)
    assert made.stream_size == made.header_size + cipher_size(sum(made.sealed_sizes))
    filled = [place for place, size in enumerate(sizes) if size]
    for place in filled[:-1]:
        assert made.sealed_sizes[place] == padded(sizes[place])
        assert (made.cipher_starts[place] - made.header_size) % CIPHER_SEGMENT == 0
    if filled:
        assert made.sealed_sizes[filled[-1]] == sizes[filled[-1]]


def test_a_layout_written_out() -> None:
    made = layout(10, 65537, 5)
    assert made.header_size == 16 + 3 * 108 + 68 + 8 + 6 * 8
    assert made.cipher_sizes == (CIPHER_SEGMENT, 2 * CIPHER_SEGMENT, 33)
    assert made.cipher_starts == (464, 464 + CIPHER_SEGMENT, 464 + 3 * CIPHER_SEGMENT)
    assert made.stream_size == 464 + 3 * CIPHER_SEGMENT + 33
    assert made.plain_starts == (0, 10, 65547)
    assert made.segments == (1, 2, 1)


@pytest.mark.parametrize("sizes", COMBINATIONS)
def test_located_segments_hold_the_range_and_follow_each_other(sizes: tuple[int, ...]) -> None:
    made = layout(*sizes)
    total = sum(sizes)
    edges = {0, total, *made.plain_starts, *(p + SEGMENT for p in made.plain_starts)}
    points = sorted({p + d for p in edges for d in (-1, 0, 1) if 0 <= p + d <= total})
    for start, stop in itertools.combinations_with_replacement(points, 2):
        found = made.locate(start, stop)
        assert sum(c.cut_stop - c.cut_start for c in found) == stop - start
        position = start
        for cover in found:
            begin = made.plain_starts[cover.part] + cover.first_segment * SEGMENT
            assert begin + cover.cut_start == position
            assert 0 <= cover.cut_start < SEGMENT
            assert cover.cut_start < cover.cut_stop
            position = begin + cover.cut_stop
            assert made.header_size <= cover.cipher_start < cover.cipher_stop <= made.stream_size
        for before, after in itertools.pairwise(found):
            assert before.cipher_stop == after.cipher_start


@pytest.mark.parametrize(("start", "stop"), [(-1, 0), (2, 1), (0, 11)])
def test_ranges_outside_the_view_are_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="range"):
        layout(10).locate(start, stop)


def test_parts_must_make_sense() -> None:
    with pytest.raises(ValueError, match="prefix"):
        SealedPart(1, b"short")
    with pytest.raises(ValueError, match="size"):
        SealedPart(-1, b"prefix7")
