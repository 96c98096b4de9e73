"""Where frames lie: by tables that are right, in spite of tables that lie, and not at all where nothing tells."""

import random
import struct
from collections.abc import Sequence

import pytest

from mdm_async.dicom.elements import EXPLICIT_LITTLE
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.placed import Placed
from mdm_async.errors import Malformed, NotAcceptable, TooLarge
from mdm_async.images.studies import frames
from mdm_async.images.studies.frames import _encapsulated, _native

SYNTAX = "1.2.840.10008.1.2.4.50"


def layout(count: int, **more: int | str) -> Layout:
    about = {
        "rows": 4,
        "columns": 4,
        "samples": 1,
        "bits": 8,
        "stored": 8,
        "high": 7,
        "photometric": "MONOCHROME2",
    }
    return Layout(frames=count, signed=False, planar=False, **(about | more))  # type: ignore[arg-type]


def pixels(count: int, end: int, extended: tuple[bytes, bytes] | None = None, **more: int | str) -> Placed:
    return Placed(SYNTAX, 0x7FE00010, b"OB", 0, None, end, layout(count, **more), extended, EXPLICIT_LITTLE)


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<L", len(value)) + value


END = b"\xfe\xff\xdd\xe0\0\0\0\0"


async def found(
    table: bytes,
    fragments: Sequence[bytes],
    count: int,
    numbers: Sequence[int],
    extended: tuple[bytes, bytes] | None = None,
) -> tuple[list[bytes], int]:
    """The frames that are found, and by how many reads."""
    data = item(table) + b"".join(map(item, fragments)) + END

    reads = 0

    async def read(start: int, stop: int) -> bytes:
        nonlocal reads
        reads += 1
        return data[start:stop]

    told = await _encapsulated(read, pixels(count, len(data), extended), count, numbers)
    return [b"".join(data[start:stop] for start, stop in frame) for frame in told], reads


def offsets(sizes: Sequence[int], unit: str = "L") -> bytes:
    at, told = 0, []
    for size in sizes:
        told.append(at)
        at += size + 8
    return struct.pack(f"<{len(told)}{unit}", *told)


SIZES = [2, 400, 6, 80_000, 4, 20]
FRAGMENTS = [random.Random(size).randbytes(size) for size in SIZES]


async def test_each_frame_by_either_table_or_none() -> None:
    extended = offsets(SIZES, "Q"), struct.pack("<6Q", *SIZES)
    for number in range(1, 7):
        for table, beside in ((offsets(SIZES), None), (b"", extended), (b"", None)):
            told, reads = await found(table, FRAGMENTS, 6, [number], beside)
            assert told == [FRAGMENTS[number - 1]]
            assert reads <= 4


async def test_fragments_of_one_frame_are_joined() -> None:
    table = struct.pack("<2L", 0, sum(SIZES[:3]) + 24)
    told, _ = await found(table, FRAGMENTS, 2, [2, 1])
    assert told == [b"".join(FRAGMENTS[3:]), b"".join(FRAGMENTS[:3])]
    told, _ = await found(b"", FRAGMENTS, 1, [1])
    assert told == [b"".join(FRAGMENTS)]


async def test_a_table_that_lies_is_not_believed() -> None:
    right = struct.unpack("<6L", offsets(SIZES))
    lies = [
        tuple(one + 2 for one in right),
        tuple(reversed(right)),
        (0, 0, 0, 0, 0, 0),
        (right[0], *right[:5]),
        (*right[1:], right[5] + 28),
        (0, 0xFFFFFFF0, 0xFFFFFFF1, 0xFFFFFFF2, 0xFFFFFFF3, 0xFFFFFFF4),
    ]
    for lie in lies:
        for number in range(1, 7):
            told, _ = await found(struct.pack("<6L", *lie), FRAGMENTS, 6, [number])
            assert told == [FRAGMENTS[number - 1]], (lie, number)
            wide = struct.pack("<6Q", *lie), struct.pack("<6Q", *SIZES)
            assert (await found(b"", FRAGMENTS, 6, [number], wide))[0] == [FRAGMENTS[number - 1]]


async def test_what_cannot_be_told_apart_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (2, 5, 7):
        with pytest.raises(NotAcceptable):
            await found(b"", FRAGMENTS, count, [1])
    monkeypatch.setattr(frames, "MOST_READS", 50)
    large = [bytes(20_000)] * 100
    with pytest.raises(TooLarge):
        await found(b"", large, 100, [1])
    told, reads = await found(offsets([20_000] * 100), large, 100, [99])
    assert (len(told[0]), reads <= 4) == (20_000, True)


async def test_a_frame_takes_as_few_reads_wherever_it_is() -> None:
    sizes = [900] * 20_000
    table, many = offsets(sizes), [bytes(900)] * 20_000
    assert {(await found(table, many, 20_000, [number]))[1] for number in (2, 10_000, 19_999)} <= {2, 3}


async def test_broken_items_are_malformed() -> None:
    for data in (
        b"",
        item(b"") + b"\0" * 8,
        item(b"") + item(b"ab")[:-1],
        item(b"")[:-2],
        item(b"") + END[:4],
    ):

        async def read(start: int, stop: int, data: bytes = data) -> bytes:
            return data[start:stop]

        with pytest.raises((Malformed, NotAcceptable)):
            await _encapsulated(read, pixels(1, len(data)), 1, [1])


def test_native_frames_are_arithmetic() -> None:
    def native(length: int, count: int, numbers: list[int], **more: int | str) -> list[list[tuple[int, int]]]:
        about = pixels(count, 100 + length, **more)
        assert about.layout is not None
        return [list(one) for one in _native(about, about.layout, length, numbers)]

    assert native(48, 3, [3, 1]) == [[(32, 48)], [(0, 16)]]
    assert native(8, 1, [1], rows=1, columns=7) == [[(0, 7)]]
    assert native(2, 1, [1], rows=3, columns=5, bits=1) == [[(0, 2)]]
    assert native(96, 2, [2], samples=3) == [[(48, 96)]]
    assert native(64, 2, [2], samples=3, photometric="YBR_FULL_422") == [[(32, 64)]]
    assert native(96, 2, [2], samples=3, photometric="YBR_FULL_422") == [[(48, 96)]]
    assert native(6, 3, [2], rows=4, columns=4, bits=1) == [[(2, 4)]]
    for length, count, more in ((47, 3, {}), (64, 3, {}), (6, 3, {"rows": 3, "columns": 5, "bits": 1})):
        with pytest.raises(NotAcceptable):
            native(length, count, [1], **more)
