"""Where frames of encapsulated pixels begin, by whatever tells it rightly, in chunks of any size."""

import struct
from collections.abc import Sequence
from itertools import accumulate

from mdm_async.dicom.pixels.frame_places import FramePlaces, Places
from tests.canary_values import EXPLICIT, UNDEFINED

JPEG = "1.2.840.10008.1.2.4.50"
HEADER = EXPLICIT.header(0x7FE00010, "OB", UNDEFINED)
SIZES = [2, 400, 7, 30_000, 0, 21]


def element(table: bytes, sizes: Sequence[int] = SIZES) -> bytes:
    body = b"".join(EXPLICIT.item(bytes(size)) for size in sizes)
    return HEADER + EXPLICIT.item(table) + body + EXPLICIT.mark(0xE0DD)


def offsets(sizes: Sequence[int] = SIZES) -> list[int]:
    """Of each item, and of the end."""
    return list(accumulate((size + 8 for size in sizes), initial=0))


def found(data: bytes, frames: int, extended: bytes = b"", step: int = 0) -> Places | None:
    places = FramePlaces(JPEG, frames, extended)
    for at in range(0, len(data), step or len(data)):
        places.feed(memoryview(data)[at : at + (step or len(data))])
    assert places.begin == data[:12]
    return places.found()


def basic(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}L", *numbers)


def long(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def test_one_fragment_a_frame_is_found_with_either_table_or_none() -> None:
    *right, _ = offsets()
    for table, extended in ((basic(right), b""), (b"", long(right)), (b"", b"")):
        data = element(table)
        first = len(HEADER) + 8 + len(table)
        expected = Places([first + one for one in offsets()], whole=True)
        for step in (1, 5, 8, 1 << 16):
            assert found(data, len(SIZES), extended, step) == expected
    assert expected.encoded[8:16] == (first + 10).to_bytes(8, "little")


def test_frames_of_several_fragments_are_told_by_a_table_alone() -> None:
    told = [offsets()[0], offsets()[3]]
    places = found(element(basic(told)), 2)
    assert places is not None
    assert [one - places.starts[0] for one in places.starts] == [*told, offsets()[-1]]
    assert not places.whole
    assert found(element(b""), 2, long(told)) is not None
    assert found(element(b""), 2) is None


def test_a_table_that_lies_is_not_believed() -> None:
    *right, _ = offsets()
    past = 1 << 40
    for lie in (
        [one + 2 for one in right],
        right[::-1],
        [0] * 6,
        [0, *right[:-1]],
        [*right[1:], right[-1] + 29],
        [*right[:-1], past],
    ):
        whole = found(element(b""), 6)
        assert whole is not None
        if past not in lie:
            by_basic = found(element(basic(lie)), 6)
            assert by_basic is not None
            assert [one - 24 for one in by_basic.starts] == list(whole.starts)
        assert found(element(b""), 6, long(lie)) == whole
        assert found(element(b"", [*SIZES, 4]), 6, long(lie)) is None


def test_what_is_native_or_broken_has_no_places() -> None:
    native = EXPLICIT.header(0x7FE00010, "OB", 64) + bytes(64)
    cut = element(b"")
    for data in (
        native,
        HEADER,
        cut[:-8],
        cut[:40],
        HEADER + bytes(64),
        HEADER + EXPLICIT.mark(0xE0DD) + bytes(8),
    ):
        assert found(data, 6) is None
