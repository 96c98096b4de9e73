"""Multipart answers are cut into their parts, whatever the chunks and the bytes of the parts are."""

import random
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mdm_async.errors import PeerFailed
from mdm_async.pacs.dicomweb.multipart import MultipartReader
from mdm_async.pacs.parts import PartBegins, PartData, PartEnds

BOUNDARY = b"b0undary"
REAL = re.compile(rb"\r\n--b0undary(--|[ \t]*\r\n)")


def body(*parts: bytes, lengths: bool, end: bool = True, padding: bytes = b"") -> bytes:
    made = b""
    for part in parts:
        length = b"Content-Length: %d\r\n" % len(part) if lengths else b""
        made += (
            b"\r\n--"
            + BOUNDARY
            + padding
            + b"\r\nContent-Type: application/dicom\r\n"
            + length
            + b"\r\n"
            + part
        )
    return made[2:] + b"\r\n--" + BOUNDARY + (b"--\r\n" if end else b"")


def read(whole: bytes, sizes: list[int]) -> list[bytes]:
    """Its parts, fed in chunks of these sizes over and over."""
    reader, parts, open_ = MultipartReader(BOUNDARY), list[bytes](), False
    at, turn = 0, 0
    while at < len(whole):
        size = sizes[turn % len(sizes)]
        for event in reader.feed(whole[at : at + size]):
            match event:
                case PartBegins(headers):
                    assert headers.get("content-type", "application/dicom") == "application/dicom"
                    assert not open_
                    parts.append(b"")
                    open_ = True
                case PartData(data):
                    assert open_
                    parts[-1] += data
                case PartEnds():
                    open_ = False
        at, turn = at + size, turn + 1
    reader.close()
    assert not open_
    return parts


LOOKALIKES = [
    b"",
    b"\r\n",
    b"\r\n--",
    b"\r\n--" + BOUNDARY + b"x",
    b"\r\n--" + BOUNDARY + b"-",
    b"\r\n--" + BOUNDARY + b" \t x",
    b"--" + BOUNDARY + b"\r\n",
    b"\r\r\n--" + BOUNDARY[:-1] + b"\r\n--",
]


@pytest.mark.parametrize("lengths", [True, False])
@given(
    parts=st.lists(st.lists(st.sampled_from([*LOOKALIKES, b"pixels"]), max_size=4).map(b"".join), min_size=1),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
def test_parts_are_what_was_sent_in_whatever_chunks(
    lengths: bool, parts: list[bytes], sizes: list[int]
) -> None:
    # What is a boundary in a part that does not say its length nobody can tell from one.
    assume(lengths or not any(REAL.search(part + b"\r\n--") for part in parts))
    assert read(body(*parts, lengths=lengths), sizes) == parts


def test_a_boundary_inside_a_part_that_says_its_length_is_harmless() -> None:
    part = b"pixels\r\n--" + BOUNDARY + b"--\r\nmore"
    assert read(body(part, part, lengths=True), [7]) == [part, part]


def test_blanks_behind_a_boundary_and_a_preamble_are_passed_over() -> None:
    whole = b"a preamble\r\n" + body(b"x", lengths=False, padding=b" \t")
    assert read(whole, [3]) == [b"x"]


@pytest.mark.parametrize("lengths", [True, False])
def test_an_answer_that_is_cut_anywhere_is_found_out(lengths: bool) -> None:
    whole = body(b"one part", b"another", lengths=lengths)
    for end in range(len(whole) - 4):
        with pytest.raises(PeerFailed):
            read(whole[:end], [5])


@pytest.mark.parametrize(
    "whole",
    [
        b"x" * 200_000,
        b"--" + BOUNDARY + b"x" * 5000,
        b"--" + BOUNDARY + b"\r\n" + b"A: b\r\n" * 5000,
        b"--" + BOUNDARY + b"\r\nno colon\r\n\r\nx",
        b"--" + BOUNDARY + b"\r\nContent-Length: -1\r\n\r\nx",
        b"--" + BOUNDARY + b"\r\nContent-Length: 2\r\n\r\nxyz\r\n--" + BOUNDARY + b"--",
    ],
)
def test_a_broken_answer_is_refused(whole: bytes) -> None:
    with pytest.raises(PeerFailed):
        read(whole, [1000])


def test_a_large_part_takes_no_memory_of_its_size() -> None:
    reader = MultipartReader(BOUNDARY)
    list(reader.feed(b"--" + BOUNDARY + b"\r\n\r\n"))
    noise, came = random.Random(1).randbytes(100_000), 0
    for _ in range(50):
        came += sum(len(event.data) for event in reader.feed(noise) if isinstance(event, PartData))
        assert len(reader._buffer) < 2000
    assert came > 49 * len(noise)


def test_many_bytes_that_look_like_a_boundary_are_one_piece() -> None:
    reader = MultipartReader(BOUNDARY)
    list(reader.feed(b"--" + BOUNDARY + b"\r\n\r\n"))
    alike = (b"\r\n--" + BOUNDARY + b"x") * 10_000
    assert len(list(reader.feed(alike))) == 1


def test_what_follows_the_last_boundary_without_end_is_refused() -> None:
    whole = body(b"x", lengths=False)
    assert read(whole + b"an epilogue", [7]) == [b"x"]
    with pytest.raises(PeerFailed):
        read(whole + b"x" * 100_000, [1000])
