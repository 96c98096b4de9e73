"""The strict reader opens exactly the announced transfer; every other stream is refused before its plaintext."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.client.sealed_reader import SealedReader
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.header import DataKey, EditList, Packet, seal_header
from mdm_async.crypt4gh.layout import SealedLayout, SealedPart, packet_order
from mdm_async.crypt4gh.segment import CIPHER_SEGMENT, SEGMENT, SegmentKey
from mdm_async.errors import BadSeal

READER = new_private_key()
LAYOUTS = [
    (0,),
    (1,),
    (65536,),
    (65537,),
    (0, 0),
    (10, 0),
    (0, 10),
    (65535, 65537),
    (0, 0, 0),
    (10, 0, 7),
    (10, 70_000, 0),
    (65536, 65536, 65536),
    (70_000, 1_300_000, 5),
    (65537, 65535, 1),
]


@dataclass(frozen=True)
class Transfer:
    """A sealed transfer and all that the server knows of it."""

    plains: tuple[bytes, ...]
    parts: tuple[SealedPart, ...]
    keys: tuple[bytes, ...]
    sender: bytes = field(default_factory=new_private_key)

    @property
    def layout(self) -> SealedLayout:
        return SealedLayout(self.parts)

    @property
    def plain(self) -> bytes:
        return b"".join(self.plains)

    @property
    def packets(self) -> list[Packet]:
        keys: list[Packet] = [DataKey(self.keys[part]) for part in packet_order(len(self.parts))]
        edits = self.layout.edit_list
        return keys if edits is None else [*keys, EditList(edits)]

    def header(self, packets: Sequence[Packet] | None = None, *, sender: bytes | None = None) -> bytes:
        chosen = self.packets if packets is None else packets
        return seal_header(
            chosen,
            sender_private=sender or self.sender,
            recipient_public=public_key(READER),
            nonces=[bytes([n]) * 12 for n in range(len(chosen))],
        )

    def body(self, part: int, padding: bytes = b"\0") -> bytes:
        key = SegmentKey(self.keys[part], self.parts[part].prefix)
        return bytes(
            key.encrypt_run(self.plains[part].ljust(self.layout.sealed_sizes[part], padding), 0, True)
        )

    @property
    def segments(self) -> list[bytes]:
        bodies = [self.body(part) for part in range(len(self.parts))]
        return [body[i : i + CIPHER_SEGMENT] for body in bodies for i in range(0, len(body), CIPHER_SEGMENT)]

    @property
    def stream(self) -> bytes:
        return self.header() + b"".join(self.segments)

    def reader(self) -> SealedReader:
        return SealedReader(
            self.parts,
            recipient_private=READER,
            sender_public=public_key(self.sender),
            sealed_size=self.layout.stream_size,
            plain_size=self.layout.plain_size,
        )


def transfer(*sizes: int, padded: bool = False) -> Transfer:
    return Transfer(
        tuple(os.urandom(size) for size in sizes),
        tuple(SealedPart(size, os.urandom(7), padded) for size in sizes),
        tuple(os.urandom(32) for _ in sizes),
    )


def read(reader: SealedReader, stream: bytes, steps: Sequence[int] = ()) -> bytes:
    plain, position = b"", 0
    for step in [*steps, len(stream)]:
        plain += b"".join(reader.feed(stream[position : position + step]))
        position += step
    return plain + b"".join(reader.close())


def released(reader: SealedReader, stream: bytes, step: int = 10_000) -> bytes:
    """All plaintext that left before the reader refused the stream. Fails if it accepted it."""
    plain = b""
    try:
        for start in range(0, len(stream), step):
            plain += b"".join(reader.feed(stream[start : start + step]))
        reader.close()
    except BadSeal:
        return plain
    return pytest.fail("the stream was accepted")


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("sizes", LAYOUTS)
def test_the_announced_transfer_opens(sizes: tuple[int, ...], padded: bool) -> None:
    made = transfer(*sizes, padded=padded)
    assert read(made.reader(), made.stream) == made.plain
    assert read(made.reader(), made.stream, [65_000] * 30) == made.plain


MADE = transfer(100, 3 * SEGMENT + 50, 70_000)
STREAM = MADE.stream
HEADER = MADE.layout.header_size
SEGMENTS = MADE.segments


@given(st.lists(st.integers(0, 90_000), max_size=12))
def test_pieces_of_any_size_give_the_same(steps: list[int]) -> None:
    assert read(MADE.reader(), STREAM, steps) == MADE.plain


def test_one_byte_at_a_time() -> None:
    made = transfer(3, 4)
    assert read(made.reader(), made.stream, [1] * made.layout.stream_size) == made.plain


def test_a_segment_is_given_as_soon_as_it_is_complete() -> None:
    reader = MADE.reader()
    assert reader.feed(STREAM[: HEADER + CIPHER_SEGMENT - 1]) == []
    assert (
        b"".join(reader.feed(STREAM[HEADER + CIPHER_SEGMENT - 1 : HEADER + CIPHER_SEGMENT])) == MADE.plains[0]
    )


@given(st.data())
def test_any_range_opens_from_its_covering(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(MADE.plain)))
    stop = data.draw(st.integers(start, len(MADE.plain)))
    reader = MADE.reader()
    reader.open_header(STREAM[:HEADER])
    first, last = reader.covering(start, stop)
    assert b"".join(reader.decrypt_range(start, stop, STREAM[first:last])) == MADE.plain[start:stop]


@pytest.mark.parametrize("sizes", LAYOUTS)
def test_ranges_at_every_border_open(sizes: tuple[int, ...]) -> None:
    made = transfer(*sizes)
    stream, reader, total = made.stream, made.reader(), sum(sizes)
    reader.open_header(stream)
    edges = {0, total, *made.layout.plain_starts, *(p + SEGMENT for p in made.layout.plain_starts)}
    points = sorted({p + d for p in edges for d in (-1, 0, 1) if 0 <= p + d <= total})
    for start in points:
        for stop in (p for p in points if p >= start):
            first, last = reader.covering(start, stop)
            got = b"".join(reader.decrypt_range(start, stop, stream[first:last]))
            assert got == made.plain[start:stop]


def test_ranges_may_be_opened_side_by_side() -> None:
    reader = MADE.reader()
    reader.open_header(STREAM)

    def fetch(start: int) -> bytes:
        stop = min(start + 5000, len(MADE.plain))
        first, last = reader.covering(start, stop)
        return b"".join(reader.decrypt_range(start, stop, STREAM[first:last]))

    with ThreadPoolExecutor(8) as pool:
        assert b"".join(pool.map(fetch, range(0, len(MADE.plain), 5000))) == MADE.plain


def test_a_range_needs_the_header_and_the_right_size() -> None:
    reader = MADE.reader()
    with pytest.raises(ValueError, match="header"):
        reader.decrypt_range(0, 1, b"")
    reader.open_header(STREAM)
    for wrong in (STREAM[HEADER : HEADER + CIPHER_SEGMENT - 1], STREAM[HEADER : HEADER + CIPHER_SEGMENT + 1]):
        with pytest.raises(BadSeal, match="size"):
            reader.decrypt_range(0, 1, wrong)


def test_a_range_made_of_other_segments_is_refused() -> None:
    reader = MADE.reader()
    reader.open_header(STREAM)
    for segment in SEGMENTS[2:4]:
        with pytest.raises(BadSeal, match="segment 0 "):
            reader.decrypt_range(100, 101, segment)


# Part 0 is segment 0, part 1 segments 1 to 4, part 2 segments 5 and 6.
OUT_OF_PLACE = [
    pytest.param([0, 2, 1, 3, 4, 5, 6], 1, id="swapped"),
    pytest.param([1, 0, 2, 3, 4, 5, 6], 0, id="swapped between parts"),
    pytest.param([0, 1, 1, 3, 4, 5, 6], 2, id="repeated instead of its neighbour"),
    pytest.param([0, 1, 1, 2, 3, 4, 5, 6], 2, id="repeated"),
    pytest.param([0, 1, 2, 4, 5, 6], 3, id="dropped"),
    pytest.param([0, 1, 2, 3, 5, 6], 4, id="last of a part dropped"),
    pytest.param([0, 5, 6, 1, 2, 3, 4], 1, id="parts swapped"),
    pytest.param([1, 2, 3, 4, 5, 6], 0, id="first part dropped"),
    pytest.param([0, 1, 2, 3, 4, 5], 6, id="cut at a segment"),
    pytest.param([0, 1, 2, 3, 4], 5, id="cut at a part"),
    pytest.param([], 0, id="header alone"),
]


@pytest.mark.parametrize(("order", "good"), OUT_OF_PLACE)
def test_segments_out_of_place_are_refused_before_their_plaintext(order: list[int], good: int) -> None:
    stream = STREAM[:HEADER] + b"".join(SEGMENTS[i] for i in order)
    sizes = [100, SEGMENT, SEGMENT, SEGMENT, 50, SEGMENT, 70_000 - SEGMENT]
    assert released(MADE.reader(), stream) == MADE.plain[: sum(sizes[:good])]


@given(st.integers(0, len(STREAM) * 8 - 1))
def test_any_flipped_bit_is_refused_before_its_plaintext(bit: int) -> None:
    changed = bytearray(STREAM)
    changed[bit // 8] ^= 1 << bit % 8
    bad_segment = max(bit // 8 - HEADER, 0) // CIPHER_SEGMENT
    plain = released(MADE.reader(), bytes(changed))
    assert MADE.plain.startswith(plain)
    assert len(plain) <= bad_segment * SEGMENT


@given(st.integers(0, len(STREAM) - 1))
def test_a_stream_cut_anywhere_is_refused(size: int) -> None:
    assert MADE.plain.startswith(released(MADE.reader(), STREAM[:size]))


@pytest.mark.parametrize("after", [b"\0", b"x" * CIPHER_SEGMENT])
def test_a_stream_that_goes_on_is_refused(after: bytes) -> None:
    released(MADE.reader(), STREAM + after)
    reader = MADE.reader()
    reader.feed(STREAM)
    with pytest.raises(BadSeal, match="longer"):
        reader.feed(after)


def test_a_refused_stream_stays_refused() -> None:
    reader = MADE.reader()
    released(reader, STREAM[:HEADER] + SEGMENTS[1])
    with pytest.raises(BadSeal, match="refused"):
        reader.feed(SEGMENTS[0])
    with pytest.raises(BadSeal, match="refused"):
        reader.close()


# Headers. The attacker knows the recipient's public key, so he can seal packets of his own.

ATTACKER = new_private_key()


def spliced(*headers: bytes) -> bytes:
    """One header with the packets of several."""
    count = sum(int.from_bytes(header[12:16], "little") for header in headers)
    return headers[0][:12] + count.to_bytes(4, "little") + b"".join(header[16:] for header in headers)


def packet(header: bytes, number: int) -> bytes:
    position = 16
    for _ in range(number):
        position += int.from_bytes(header[position : position + 4], "little")
    return header[position : position + int.from_bytes(header[position : position + 4], "little")]


EDITS = EditList(MADE.layout.edit_list or ())
OTHER_EDITS = EditList((0, 50, 65486, *EDITS.lengths[3:], 0)[: len(EDITS.lengths)])
HONEST = MADE.header()
KEY_PACKETS = [packet(HONEST, n) for n in range(3)]
EDIT_PACKET = packet(HONEST, 3)
START = HONEST[:12] + b"\4\0\0\0"

HOSTILE_HEADERS: dict[str, Callable[[], bytes]] = {
    "another transfer's": lambda: replace(MADE, sender=ATTACKER).header(),
    "edit list replaced by the attacker's": lambda: (
        START + b"".join(KEY_PACKETS) + packet(MADE.header([OTHER_EDITS], sender=ATTACKER), 0)
    ),
    "same edit list, but the attacker's": lambda: (
        START + b"".join(KEY_PACKETS) + packet(MADE.header([EDITS], sender=ATTACKER), 0)
    ),
    "edit list added": lambda: spliced(HONEST, MADE.header([OTHER_EDITS], sender=ATTACKER)),
    "key added in front": lambda: spliced(MADE.header([DataKey(bytes(32))], sender=ATTACKER), HONEST),
    "key replaced": lambda: (
        START
        + packet(MADE.header([DataKey(bytes(32))], sender=ATTACKER), 0)
        + b"".join(KEY_PACKETS[1:])
        + EDIT_PACKET
    ),
    "packet missing": lambda: START[:12] + b"\3\0\0\0" + b"".join(KEY_PACKETS),
    "key missing": lambda: START[:12] + b"\3\0\0\0" + b"".join(KEY_PACKETS[:2]) + EDIT_PACKET,
    "packet repeated": lambda: spliced(HONEST, HONEST),
    "key packet repeated in place of another": lambda: (
        START + KEY_PACKETS[0] * 2 + KEY_PACKETS[2] + EDIT_PACKET
    ),
    "key packets in another order": lambda: (
        START + KEY_PACKETS[1] + KEY_PACKETS[0] + KEY_PACKETS[2] + EDIT_PACKET
    ),
    "sender's own, with another edit list": lambda: MADE.header([*MADE.packets[:3], OTHER_EDITS]),
    "sender's own, without edit list": lambda: MADE.header(MADE.packets[:3]),
    "sender's own, with a key too many": lambda: MADE.header([DataKey(bytes(32)), *MADE.packets]),
    "sender's own, a key where the edit list was": lambda: MADE.header(
        [*MADE.packets[:3], DataKey(bytes(32))]
    ),
    "for another recipient": lambda: seal_header(
        MADE.packets,
        sender_private=MADE.sender,
        recipient_public=public_key(ATTACKER),
        nonces=[bytes([n]) * 12 for n in range(4)],
    ),
}


@pytest.mark.parametrize("name", HOSTILE_HEADERS)
def test_hostile_headers_release_nothing(name: str) -> None:
    header = HOSTILE_HEADERS[name]()
    assert released(MADE.reader(), header + b"".join(SEGMENTS)) == b""


def test_a_header_of_another_transfer_is_named() -> None:
    with pytest.raises(BadSeal, match="another transfer"):
        MADE.reader().open_header(replace(MADE, sender=ATTACKER).header())


def test_padding_must_be_zero() -> None:
    stream = MADE.header() + MADE.body(0, b"\1") + MADE.body(1) + MADE.body(2)
    assert released(MADE.reader(), stream) == b""
    stream = MADE.header() + MADE.body(0) + MADE.body(1, b"\1") + MADE.body(2)
    assert MADE.plains[2] not in released(MADE.reader(), stream)
    padded = transfer(10, 20, padded=True)
    stream = padded.header() + padded.body(0) + padded.body(1, b"\1")
    assert released(padded.reader(), stream) == padded.plains[0]


@pytest.mark.parametrize(("sealed", "plain"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_announced_sizes_that_contradict_the_parts_are_refused(sealed: int, plain: int) -> None:
    with pytest.raises(BadSeal, match="contradict"):
        SealedReader(
            MADE.parts,
            recipient_private=READER,
            sender_public=public_key(MADE.sender),
            sealed_size=MADE.layout.stream_size + sealed,
            plain_size=MADE.layout.plain_size + plain,
        )


def test_segments_under_another_prefix_are_refused() -> None:
    wrong = replace(MADE, parts=tuple(replace(part, prefix=b"another") for part in MADE.parts))
    assert released(wrong.reader(), STREAM) == b""


def test_an_empty_view_is_its_header() -> None:
    made = transfer(0, 0, 0)
    reader = made.reader()
    assert reader.feed(made.header()) == []
    assert reader.close() == []
    assert reader.covering(0, 0) == (0, 0)
    assert reader.decrypt_range(0, 0, b"") == []
