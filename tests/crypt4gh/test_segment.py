"""Size arithmetic to exhaustion at the borders; runs of segments refuse everything out of place."""

import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.crypt4gh.segment import (
    CIPHER_SEGMENT,
    NONCE,
    OVERHEAD,
    SEGMENT,
    SegmentKey,
    cipher_size,
    cipher_span,
    covering,
    padded,
    plain_size,
    segment_count,
)
from mdm_async.errors import BadSeal

KEY = SegmentKey(bytes(range(32)), b"prefix7")
BORDERS = [n * SEGMENT + d for n in range(4) for d in range(-40, 41) if n * SEGMENT + d >= 0]


@pytest.mark.parametrize(
    ("plain", "segments", "cipher"),
    [
        (0, 0, 0),
        (1, 1, 29),
        (65535, 1, 65563),
        (65536, 1, 65564),
        (65537, 2, 65593),
        (131072, 2, 131128),
        (131073, 3, 131157),
    ],
)
def test_sizes_written_out(plain: int, segments: int, cipher: int) -> None:
    assert segment_count(plain) == segments
    assert cipher_size(plain) == cipher
    assert plain_size(cipher) == plain


def test_sizes_at_every_border() -> None:
    for plain in BORDERS:
        count = len(range(0, plain, SEGMENT))
        assert segment_count(plain) == count
        assert cipher_size(plain) == plain + 28 * count
        assert plain_size(cipher_size(plain)) == plain
        assert padded(plain) == count * SEGMENT
        assert padded(padded(plain)) == padded(plain)


def test_every_possible_ciphertext_size_of_two_segments() -> None:
    possible = {cipher_size(plain): plain for plain in range(2 * SEGMENT + 1)}
    for cipher in range(2 * CIPHER_SEGMENT + 1):
        if cipher in possible:
            assert plain_size(cipher) == possible[cipher]
        else:
            with pytest.raises(BadSeal):
                plain_size(cipher)


@pytest.mark.parametrize("function", [segment_count, cipher_size, plain_size, padded])
def test_negative_sizes_are_refused(function: Callable[[int], int]) -> None:
    with pytest.raises(ValueError, match="negative"):
        function(-1)


def test_covering_at_every_pair_of_borders() -> None:
    points = sorted({n * SEGMENT + d for n in range(4) for d in (-1, 0, 1) if n * SEGMENT + d >= 0})
    for start in points:
        for stop in (p for p in points if p >= start):
            run = covering(start, stop)
            if start == stop:
                assert len(run) == 0
            else:
                assert run.start * SEGMENT <= start < (run.start + 1) * SEGMENT
                assert (run.stop - 1) * SEGMENT < stop <= run.stop * SEGMENT


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (4, 3)])
def test_covering_refuses_what_is_no_range(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="range"):
        covering(start, stop)


def test_cipher_span_of_a_short_last_segment() -> None:
    assert cipher_span(range(1), SEGMENT + 5) == (0, CIPHER_SEGMENT)
    assert cipher_span(range(1, 2), SEGMENT + 5) == (CIPHER_SEGMENT, CIPHER_SEGMENT + 33)
    assert cipher_span(range(2), SEGMENT + 5) == (0, CIPHER_SEGMENT + 33)
    assert cipher_span(range(0), 0) == (0, 0)


@given(st.integers(0, 2**50))
def test_sizes_are_inverse(plain: int) -> None:
    assert plain_size(cipher_size(plain)) == plain


def test_the_nonce_tells_prefix_counter_and_last() -> None:
    assert KEY.nonce(0, False) == b"prefix7\0\0\0\0\0"
    assert KEY.nonce(0x01020304, True) == b"prefix7\1\2\3\4\1"
    assert KEY.nonce(2**32 - 1, False) == b"prefix7\xff\xff\xff\xff\0"


@pytest.mark.parametrize("index", [-1, 2**32])
def test_the_counter_does_not_wrap(index: int) -> None:
    with pytest.raises(ValueError, match="segments"):
        KEY.nonce(index, False)


@pytest.mark.parametrize(("key", "prefix"), [(bytes(31), bytes(7)), (bytes(32), bytes(8))])
def test_keys_have_a_size(key: bytes, prefix: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SegmentKey(key, prefix)


def test_a_key_shows_nothing_of_itself() -> None:
    assert "prefix7" not in repr(KEY)
    assert bytes(range(32)).hex() not in repr(KEY)


def test_segments_are_what_the_standard_says() -> None:
    plain = os.urandom(SEGMENT + 10)
    sealed = bytes(KEY.encrypt_run(plain, 0, final=True))
    aead = ChaCha20Poly1305(bytes(range(32)))
    first, second = sealed[:CIPHER_SEGMENT], sealed[CIPHER_SEGMENT:]
    assert first[:NONCE] == KEY.nonce(0, False)
    assert second[:NONCE] == KEY.nonce(1, True)
    assert aead.decrypt(first[:NONCE], first[NONCE:], None) == plain[:SEGMENT]
    assert aead.decrypt(second[:NONCE], second[NONCE:], None) == plain[SEGMENT:]


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072, 131073])
def test_runs_come_back(size: int) -> None:
    plain = os.urandom(size)
    sealed = KEY.encrypt_run(plain, 0, final=True)
    assert len(sealed) == cipher_size(size)
    assert KEY.decrypt_run(sealed, 0, segment_count(size)) == plain


def test_a_part_in_several_runs_is_the_same_as_in_one() -> None:
    plain = os.urandom(5 * SEGMENT + 7)
    whole = KEY.encrypt_run(plain, 0, final=True)
    cut = 2 * SEGMENT
    runs = KEY.encrypt_run(plain[:cut], 0, final=False) + KEY.encrypt_run(
        memoryview(plain)[cut:], 2, final=True
    )
    assert runs == whole
    for first in range(6):
        for stop in range(first, 7):
            segments = whole[first * CIPHER_SEGMENT : stop * CIPHER_SEGMENT]
            assert KEY.decrypt_run(segments, first, 6) == plain[first * SEGMENT : stop * SEGMENT]


def test_into_a_reused_buffer_writes_only_the_run() -> None:
    plain = os.urandom(SEGMENT + 1)
    sealed = bytearray(b"\xee" * (cipher_size(len(plain)) + 3))
    assert KEY.encrypt_run_into(plain, sealed, 0, True) == cipher_size(len(plain))
    assert sealed[-3:] == b"\xee" * 3
    opened = bytearray(b"\xee" * (len(plain) + 3))
    assert KEY.decrypt_run_into(memoryview(sealed)[:-3], opened, 0, 2) == len(plain)
    assert opened == plain + b"\xee" * 3


def test_short_output_buffers_are_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        KEY.encrypt_run_into(b"ab", bytearray(29), 0, True)
    with pytest.raises(ValueError, match="too small"):
        KEY.decrypt_run_into(KEY.encrypt_run(b"ab", 0, True), bytearray(1), 0, 1)


def test_only_a_final_run_may_be_short() -> None:
    with pytest.raises(ValueError, match="short"):
        KEY.encrypt_run(b"x", 0, final=False)


# What an attacker may do to the segments of a part of four, the last one short.

PLAIN = os.urandom(3 * SEGMENT + 100)
SEALED = bytes(KEY.encrypt_run(PLAIN, 0, final=True))
PIECES = [SEALED[i : i + CIPHER_SEGMENT] for i in range(0, len(SEALED), CIPHER_SEGMENT)]
OTHER_PREFIX = bytes(SegmentKey(bytes(range(32)), b"another").encrypt_run(PLAIN, 0, final=True))


@pytest.mark.parametrize(
    ("hostile", "named"),
    [
        pytest.param([0, 2, 1, 3], "segment 1 ", id="swapped"),
        pytest.param([1, 1, 2, 3], "segment 0 ", id="first replaced"),
        pytest.param([0, 1, 1, 3], "segment 2 ", id="repeated"),
        pytest.param([0, 2, 3], "segment 1 ", id="dropped"),
        pytest.param([1, 2, 3], "segment 0 ", id="beginning dropped"),
        pytest.param([0, 1, 2, 2, 3], "segment 3 ", id="one repeated and more"),
        pytest.param([0, 1, 2, 2], "segment 3 ", id="last replaced by a whole one"),
    ],
)
def test_segments_out_of_place_are_named(hostile: list[int], named: str) -> None:
    with pytest.raises(BadSeal, match=named):
        KEY.decrypt_run(b"".join(PIECES[i] for i in hostile), 0, 4)


def test_the_last_flag_must_stand_on_the_last_segment_only() -> None:
    with pytest.raises(BadSeal, match="segment 2 "):
        KEY.decrypt_run(b"".join(PIECES[:3]), 0, 3)  # a part cut at a border, its size forged
    with pytest.raises(BadSeal, match="segment 3 "):
        KEY.decrypt_run(SEALED, 0, 5)


def test_more_segments_than_the_part_has_are_refused() -> None:
    with pytest.raises(BadSeal, match="segment 4 lies past the end"):
        KEY.decrypt_run(PIECES[3].ljust(CIPHER_SEGMENT, b"\0"), 4, 4)


def test_a_run_cut_before_the_last_segment_is_refused() -> None:
    with pytest.raises(BadSeal, match="segment 1 is cut"):
        KEY.decrypt_run(SEALED[: CIPHER_SEGMENT + 1000], 0, 4)


@pytest.mark.parametrize("cut", [1, 99, 100, 101, 127])
def test_a_cut_segment_is_refused(cut: int) -> None:
    with pytest.raises(BadSeal):
        KEY.decrypt_run(SEALED[:-cut], 0, 4)


def test_segments_of_another_prefix_are_refused_although_they_authenticate() -> None:
    with pytest.raises(BadSeal, match="segment 0 "):
        KEY.decrypt_run(OTHER_PREFIX, 0, 4)


@given(st.integers(0, len(SEALED) - 1), st.integers(0, 7))
def test_any_flipped_bit_is_found_and_nothing_is_left_in_the_buffer(place: int, bit: int) -> None:
    changed = bytearray(SEALED)
    changed[place] ^= 1 << bit
    out = bytearray(len(PLAIN))
    with pytest.raises(BadSeal, match=f"segment {place // CIPHER_SEGMENT} "):
        KEY.decrypt_run_into(changed, out, 0, 4)
    assert not any(out[:100])
    assert out.count(0) == len(out)


def test_errors_quote_neither_key_nor_plaintext() -> None:
    with pytest.raises(BadSeal) as caught:
        SegmentKey(bytes(32), b"prefix7").decrypt_run(SEALED, 0, 4)
    assert str(caught.value) == "segment 0 was changed or sealed with another key"


def test_overhead_is_nonce_and_tag() -> None:
    assert OVERHEAD == CIPHER_SEGMENT - SEGMENT == 28
