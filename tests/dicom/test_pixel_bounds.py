"""Tiny fragments cost what as many bytes cost, whatever is read or overwritten over them."""

import time

from mdm_async.dicom.pixels.findings import Wipes
from mdm_async.dicom.pixels.pulled import Pulled, Steps

SECONDS = 4
"""Of CPU; going through everything again for each fragment takes over half a minute."""


def test_a_whole_is_gathered_from_tiny_pieces_in_linear_time() -> None:
    source = Pulled()

    def steps() -> Steps:
        assert (yield from source.take(1 << 20)) == b"ab" * (1 << 19)
        assert (yield from source.take(1)) == b"c"
        yield

    parser = steps()
    next(parser)
    begun = time.process_time()
    for _ in range(1 << 19):
        parser.send(b"ab")
    assert time.process_time() - begun < SECONDS
    assert source.taken == 1 << 20
    parser.send(b"c")


def test_what_a_parser_lacks_is_left_when_the_bytes_end() -> None:
    source = Pulled()
    parser = source.take(8)
    next(parser)
    for byte in b"text":
        parser.send(bytes([byte]))
    assert source.left == b"text"


def test_overwriting_over_tiny_fragments_takes_linear_time() -> None:
    wipes = Wipes()
    wipes.wipe(0, 1 << 30)
    begun = time.process_time()
    for number in range(15_000):
        wipes.fragment(9 * number, 1)
    assert time.process_time() - begun < SECONDS
    assert wipes.edits() == [(9 * number, b"\0") for number in range(15_000)]


def test_what_lies_over_several_fragments_is_overwritten_in_each() -> None:
    wipes = Wipes()
    for number in range(4):
        wipes.fragment(10 * number, 2)
    wipes.wipe(1, 6, by=b"abcde")
    assert sorted(wipes.edits()) == [(1, b"a"), (10, b"bc"), (20, b"de")]
