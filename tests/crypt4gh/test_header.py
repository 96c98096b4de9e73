"""Headers: built, opened, and refused when hostile."""

import os
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.header import (
    MAX_HEADER,
    MAX_PACKETS,
    DataKey,
    EditList,
    Header,
    HeaderReader,
    Packet,
    header_length,
    open_header,
    seal_header,
)
from mdm_async.errors import BadSeal
from tests.crypt4gh import foreign

READER, SENDER, STRANGER = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32
FIRST, SECOND = DataKey(b"k" * 32), DataKey(b"q" * 32)
EDITS = EditList((0, 10, 65526, 20))
LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),
]


def sealed(*packets: Packet, sender: bytes = SENDER, reader: bytes = READER) -> bytes:
    nonces = [bytes([n]) * 12 for n in range(len(packets))]
    return seal_header(packets, sender_private=sender, recipient_public=public_key(reader), nonces=nonces)


def joined(*headers: bytes) -> bytes:
    """One header with all packets of several."""
    count = sum(struct.unpack_from("<I", h, 12)[0] for h in headers)
    return headers[0][:12] + struct.pack("<I", count) + b"".join(h[16:] for h in headers)


def raw_packet(payload: bytes, *, method: int = 0) -> bytes:
    """A header of one packet with any payload, sealed for READER."""
    return foreign.header(foreign.packet(payload, public_key(READER), method=method, sender=SENDER))


def test_a_header_comes_back_with_keys_in_packet_order() -> None:
    header = sealed(SECOND, FIRST, EDITS)
    opened = open_header(header + b"segments", recipient_private=READER)
    assert opened == Header((SECOND.key, FIRST.key), EDITS.lengths, len(header))
    assert len(header) == header_length(2, 4)


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert sealed(FIRST, EDITS) == sealed(FIRST, EDITS)


@pytest.mark.parametrize(("keys", "edits"), [(1, None), (1, 0), (2, 4), (3, 6), (3, 1)])
def test_the_length_is_known_beforehand(keys: int, edits: int | None) -> None:
    packets: list[Packet] = [FIRST] * keys
    if edits:
        packets.append(EditList((1,) * edits))
    assert len(sealed(*packets)) == header_length(keys, edits)


def test_packets_for_others_are_ignored_unless_strict() -> None:
    mixed = joined(sealed(FIRST, reader=STRANGER), sealed(SECOND))
    assert open_header(mixed, recipient_private=READER).keys == (SECOND.key,)
    with pytest.raises(BadSeal, match="another recipient"):
        open_header(mixed, recipient_private=READER, expected_sender=public_key(SENDER))


def test_a_strict_reader_opens_what_the_pinned_sender_sealed() -> None:
    opened = open_header(sealed(FIRST, EDITS), recipient_private=READER, expected_sender=public_key(SENDER))
    assert opened.keys == (FIRST.key,)


def test_a_packet_added_by_a_stranger_is_refused_when_strict() -> None:
    mixed = joined(sealed(FIRST), sealed(EDITS, sender=STRANGER))
    assert open_header(mixed, recipient_private=READER).edit_list == EDITS.lengths
    with pytest.raises(BadSeal, match="from another transfer"):
        open_header(mixed, recipient_private=READER, expected_sender=public_key(SENDER))


def test_a_packet_of_an_unknown_method_is_ignored_unless_strict() -> None:
    mixed = joined(raw_packet(FIRST.payload(), method=7), sealed(SECOND))
    assert open_header(mixed, recipient_private=READER).keys == (SECOND.key,)
    with pytest.raises(BadSeal):
        open_header(mixed, recipient_private=READER, expected_sender=public_key(SENDER))


def test_a_header_for_another_recipient_does_not_open() -> None:
    with pytest.raises(BadSeal, match="no data key"):
        open_header(sealed(FIRST, reader=STRANGER), recipient_private=READER)


def test_an_edit_list_alone_opens_nothing() -> None:
    with pytest.raises(BadSeal, match="no data key"):
        open_header(sealed(EDITS), recipient_private=READER)


def test_two_edit_lists_are_refused() -> None:
    with pytest.raises(BadSeal, match="two edit lists"):
        open_header(sealed(FIRST, EDITS, EDITS), recipient_private=READER)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "too short"),
        (struct.pack("<I", 0), "too short"),
        (struct.pack("<II", 0, 0) + b"k" * 31, "too short for its data key"),
        (struct.pack("<II", 0, 1) + b"k" * 40, "with_AEAD .* is not supported; seal it with .*method 0"),
        (struct.pack("<II", 0, 2) + b"k" * 32, "unknown cipher 2"),
        (struct.pack("<II", 2, 0) + b"k" * 32, "unknown type 2"),
        (struct.pack("<IIQ", 1, 2, 5), "edit list"),
        (struct.pack("<IIQ", 1, 2**32 - 1, 5), "edit list"),
    ],
)
def test_malformed_payloads_are_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(BadSeal, match=reason):
        open_header(raw_packet(payload), recipient_private=READER)


@pytest.mark.parametrize("padding", [b"\0", bytes(1000), b"k" * 32, bytes(range(1, 8))])
@pytest.mark.parametrize("packet", [FIRST, EDITS, EditList(())])
def test_padding_after_a_packet_is_let_pass_unless_strict(packet: Packet, padding: bytes) -> None:
    padded = joined(raw_packet(packet.payload() + padding), sealed(SECOND))
    opened = open_header(padded, recipient_private=READER)
    if isinstance(packet, DataKey):
        assert opened.keys == (FIRST.key, SECOND.key)
    else:
        assert opened.edit_list == packet.lengths
    with pytest.raises(BadSeal, match="more than it has to say"):
        open_header(padded, recipient_private=READER, expected_sender=public_key(SENDER))


@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_packet_whose_writer_is_of_low_order_is_ignored_unless_strict(point: bytes) -> None:
    forged = bytearray(sealed(FIRST))
    forged[24:56] = point
    mixed = joined(bytes(forged), sealed(SECOND))
    assert open_header(mixed, recipient_private=READER).keys == (SECOND.key,)
    for sender, why in ((point, "low order"), (public_key(SENDER), "another transfer")):
        with pytest.raises(BadSeal, match=why):
            open_header(mixed, recipient_private=READER, expected_sender=sender)


def test_data_methods_are_not_mixed() -> None:
    mixed = joined(sealed(FIRST), raw_packet(foreign.data_key(b"k" * 32, method=1, after=bytes(8))))
    with pytest.raises(BadSeal, match="AEAD"):
        open_header(mixed, recipient_private=READER)


@pytest.mark.parametrize("point", LOW_ORDER)
def test_points_of_low_order_are_refused(point: bytes) -> None:
    with pytest.raises(BadSeal, match="low order"):
        seal_header([FIRST], sender_private=SENDER, recipient_public=point, nonces=[bytes(12)])
    forged = bytearray(sealed(FIRST))
    forged[24:56] = point
    with pytest.raises(BadSeal, match="no data key"):
        open_header(forged, recipient_private=READER)
    with pytest.raises(BadSeal, match="low order"):
        open_header(forged, recipient_private=READER, expected_sender=point)


@pytest.mark.parametrize("nonces", [[], [bytes(12)], [bytes(12)] * 2, [bytes(12), bytes(11)]])
def test_each_packet_needs_a_nonce_of_its_own(nonces: list[bytes]) -> None:
    with pytest.raises(ValueError, match="nonce"):
        seal_header([FIRST, EDITS], sender_private=SENDER, recipient_public=public_key(READER), nonces=nonces)


def test_a_header_has_packets() -> None:
    with pytest.raises(ValueError, match="packets"):
        sealed()


def test_a_data_key_has_a_size_and_stays_out_of_sight() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        DataKey(b"short")
    assert "kkk" not in repr(FIRST)
    assert "kkk" not in repr(open_header(sealed(FIRST), recipient_private=READER))


@given(st.integers(0, header_length(1, 4) * 8 - 1))
def test_any_flipped_bit_is_found_when_strict(bit: int) -> None:
    changed = bytearray(sealed(FIRST, EDITS))
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadSeal):
        open_header(changed, recipient_private=READER, expected_sender=public_key(SENDER))


@given(st.binary(max_size=300))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes) -> None:
    for data in (noise, b"crypt4gh\1\0\0\0" + noise):
        with pytest.raises(BadSeal):
            open_header(data, recipient_private=READER)


def test_every_cut_header_is_refused() -> None:
    header = sealed(FIRST, EDITS)
    for stop in range(len(header)):
        with pytest.raises(BadSeal):
            open_header(header[:stop], recipient_private=READER)


def test_a_reader_that_takes_just_what_is_needed_takes_just_the_header() -> None:
    header = sealed(FIRST, EDITS)
    reader, position = HeaderReader(), 0
    assert reader.needed == 16
    while reader.needed:
        step = reader.needed
        reader.feed(header[position : position + step])
        position += step
    assert (position, reader.header, reader.rest) == (len(header), header, b"")


@given(st.lists(st.integers(1, 80)), st.binary(max_size=50))
def test_a_header_may_come_in_any_pieces(steps: list[int], after: bytes) -> None:
    header = sealed(FIRST, SECOND, EDITS)
    stream, reader, position = header + after, HeaderReader(), 0
    for step in [*steps, len(stream)]:
        if reader.feed(stream[position : position + step]):
            assert reader.header == header
            assert header + reader.rest == stream[: position + step]
            return
        position += step
    pytest.fail("the header never became complete")


@pytest.mark.parametrize(
    "beginning",
    [
        b"not a header",
        b"crypt4gi",
        b"crypt4gh" + struct.pack("<II", 2, 1),
        b"crypt4gh" + struct.pack("<II", 1, 0),
        b"crypt4gh" + struct.pack("<II", 1, MAX_PACKETS + 1),
        b"crypt4gh" + struct.pack("<III", 1, 1, 0),
        b"crypt4gh" + struct.pack("<III", 1, 1, 7),
        b"crypt4gh" + struct.pack("<III", 1, 1, MAX_HEADER),
        b"crypt4gh" + struct.pack("<III", 1, 1, 2**32 - 1),
    ],
)
def test_hostile_beginnings_are_refused_at_once(beginning: bytes) -> None:
    with pytest.raises(BadSeal):
        HeaderReader().feed(beginning)


def test_a_header_that_grows_past_its_limit_is_refused_on_the_way() -> None:
    packet = struct.pack("<I", 1000) + bytes(996)
    reader = HeaderReader()
    reader.feed(b"crypt4gh" + struct.pack("<II", 1, MAX_PACKETS))
    for _ in range(MAX_HEADER // len(packet)):
        assert not reader.feed(packet)
    with pytest.raises(BadSeal, match="1000 bytes"):
        reader.feed(packet)


def test_ten_thousand_strangers_cost_seconds_at_most() -> None:
    template = sealed(FIRST, reader=STRANGER)[16:]
    packets = [template[:8] + os.urandom(32) + template[40:] for _ in range(MAX_HEADER // len(template) - 1)]
    hostile = b"crypt4gh" + struct.pack("<II", 1, len(packets)) + b"".join(packets)
    started = time.process_time()
    with pytest.raises(BadSeal):
        open_header(hostile, recipient_private=READER)
    assert time.process_time() - started < 20


def test_fresh_keys_differ() -> None:
    assert new_private_key() != new_private_key()
