"""Whole streams: what other tools may write is opened, what was changed is refused before its plaintext."""

import os
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.header import DataKey, seal_header
from mdm_async.crypt4gh.segment import CIPHER_SEGMENT, SEGMENT
from mdm_async.crypt4gh.stream import MAX_KEYS, Sealer, Unsealer, looks_sealed, sealed_size
from mdm_async.errors import BadSeal
from tests.crypt4gh.foreign import ZERO_WRITER, data_key, edit_list, header, packet, segments

READER = new_private_key()
SIZES = [0, 1, 65535, 65536, 65537, 131072, 131073, 17 * SEGMENT, 40 * SEGMENT + 3]


def foreign(plain: bytes, *, keys: int = 1, edits: Sequence[int] | None = None) -> bytes:
    """A stream as another tool might write it: random nonces, segment n sealed with key n modulo `keys`."""
    data_keys = [os.urandom(32) for _ in range(keys)]
    payloads = [data_key(key) for key in data_keys]
    if edits is not None:
        payloads.append(edit_list(*edits))
    return header(*(packet(payload, public_key(READER)) for payload in payloads)) + segments(plain, data_keys)


def unsealed(stream: bytes, steps: Sequence[int] = (), **limits: int) -> bytes:
    reader, plain, position = Unsealer(READER, **limits), b"", 0
    for step in [*steps, len(stream)]:
        plain += b"".join(reader.feed(stream[position : position + step]))
        position += step
    return plain + b"".join(reader.close())


def sealed(plain: bytes, steps: Sequence[int] = ()) -> bytes:
    writer, position = Sealer(public_key(READER)), 0
    stream = writer.header()
    for step in [*steps, len(plain)]:
        stream += b"".join(writer.feed(plain[position : position + step]))
        position += step
    return stream + b"".join(writer.close())


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_comes_back(size: int) -> None:
    plain = os.urandom(size)
    stream = sealed(plain)
    assert looks_sealed(stream)
    assert len(stream) == sealed_size(size)
    assert unsealed(stream) == plain


PLAIN = os.urandom(3 * SEGMENT + 11)
FOREIGN = foreign(PLAIN, keys=2)


@given(st.lists(st.integers(0, 90_000), max_size=12))
def test_pieces_of_any_size_give_the_same(steps: list[int]) -> None:
    assert unsealed(FOREIGN, steps) == PLAIN
    assert unsealed(sealed(PLAIN, steps), steps) == PLAIN


def test_one_byte_at_a_time() -> None:
    stream = foreign(b"hello")
    assert unsealed(stream, [1] * len(stream)) == b"hello"


@pytest.mark.parametrize("keys", [1, 2, 3, MAX_KEYS])
def test_several_data_keys_are_tried(keys: int) -> None:
    assert unsealed(foreign(PLAIN, keys=keys)) == PLAIN


def test_too_many_data_keys_are_refused() -> None:
    with pytest.raises(BadSeal, match="data keys"):
        unsealed(foreign(PLAIN, keys=MAX_KEYS + 1))


def test_an_empty_last_segment_is_tolerated() -> None:
    key, nonce = os.urandom(32), os.urandom(12)
    header = seal_header(
        [DataKey(key)],
        sender_private=new_private_key(),
        recipient_public=public_key(READER),
        nonces=[bytes(12)],
    )
    aead = ChaCha20Poly1305(key)
    stream = header + bytes(12) + aead.encrypt(bytes(12), PLAIN[:SEGMENT], None)
    assert unsealed(stream + nonce + aead.encrypt(nonce, b"", None)) == PLAIN[:SEGMENT]
    with pytest.raises(BadSeal):
        unsealed(stream + nonce + bytes(16))


@pytest.mark.parametrize(
    "edits",
    [
        [0],
        [5],
        [0, 1],
        [5, 10],
        [5, 10, 3],
        [65530, 20, 65530, 5],
        [65536, 65536],
        [0, len(PLAIN)],
        [len(PLAIN)],
        [len(PLAIN) + 10],
        [0, 0, 7, 0, 0, 9],
        [1, 1] * 50,
        [0, 10, 70_000],
        [],
        [0, 0],
        [0, len(PLAIN) + 1],
        [10, 5, len(PLAIN), 1],
        [len(PLAIN), 1],
        [0, 5, 2**63, 1],
        [5, 2**64 - 1],
    ],
)
def test_edit_lists_are_applied(edits: list[int]) -> None:
    expected, position = b"", 0
    for place, length in enumerate(edits):
        expected += PLAIN[position : position + length] if place % 2 else b""
        position += length
    if len(edits) % 2:
        expected += PLAIN[position:]
    stream = foreign(PLAIN, edits=edits)
    assert unsealed(stream) == expected
    assert unsealed(stream, [1000] * 100) == expected


def test_segments_dropped_by_an_even_edit_list_are_authenticated_too() -> None:
    stream = bytearray(foreign(PLAIN, edits=[0, 5]))
    stream[-1] ^= 1
    with pytest.raises(BadSeal):
        unsealed(bytes(stream))


@pytest.mark.parametrize("changed", range(4))
def test_a_changed_segment_is_refused_before_its_plaintext(changed: int) -> None:
    body = len(FOREIGN) - len(PLAIN) - 4 * 28
    stream = bytearray(FOREIGN)
    stream[body + changed * CIPHER_SEGMENT + 30] ^= 0x80
    reader, plain = Unsealer(READER), bytearray()

    def read_all() -> None:
        for start in range(0, len(stream), 10_000):
            plain.extend(b"".join(reader.feed(stream[start : start + 10_000])))
        reader.close()

    with pytest.raises(BadSeal, match=f"segment {changed} "):
        read_all()
    assert plain == PLAIN[: changed * SEGMENT]
    with pytest.raises(BadSeal, match="refused"):
        reader.feed(b"more")


def test_all_that_the_standard_allows_at_once() -> None:
    key = os.urandom(32)
    reader = public_key(READER)
    packets = [
        ZERO_WRITER,
        packet(data_key(os.urandom(32)), public_key(new_private_key()), method=9),
        packet(edit_list(7, len(PLAIN), after=bytes(33)), reader),
        packet(data_key(key, after=os.urandom(100)), reader),
    ]
    assert unsealed(header(*packets) + segments(PLAIN, [key])) == PLAIN[7:]


def test_a_stream_cut_inside_a_segment_is_refused() -> None:
    for cut in [1, 5, 12, 38, 39 + 1, CIPHER_SEGMENT]:
        with pytest.raises(BadSeal):
            unsealed(FOREIGN[:-cut])


@pytest.mark.parametrize("size", [0, 7, 8, 15, 16, 20, 100])
def test_a_stream_cut_inside_its_header_is_refused(size: int) -> None:
    with pytest.raises(BadSeal, match="header"):
        unsealed(FOREIGN[:size])


def test_limits_of_the_header_are_the_callers() -> None:
    assert unsealed(FOREIGN, max_header=300, max_packets=2) == PLAIN
    with pytest.raises(BadSeal):
        unsealed(FOREIGN, max_header=200)
    with pytest.raises(BadSeal):
        unsealed(FOREIGN, max_packets=1)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(BadSeal, match="no data key"):
        Unsealer(new_private_key()).feed(FOREIGN)


def test_every_sealing_has_fresh_keys() -> None:
    assert Sealer(public_key(READER)).header() != Sealer(public_key(READER)).header()


def test_a_closed_sealer_takes_no_more() -> None:
    writer = Sealer(public_key(READER))
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.feed(b"x")
    with pytest.raises(ValueError, match="closed"):
        writer.close()


@pytest.mark.parametrize("beginning", [b"", b"crypt4g", b"DICM" * 4])
def test_other_beginnings_do_not_look_sealed(beginning: bytes) -> None:
    assert not looks_sealed(beginning)
