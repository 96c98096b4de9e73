"""Crypt4GH headers (Crypt4GH 1.0 §2.2, §3.2, §3.3): data keys and an edit list, sealed to one recipient.

header  = 'crypt4gh' ‖ u32 version ‖ u32 packet count ‖ packets                        (little endian)
packet  = u32 length, itself included ‖ u32 method 0 ‖ writer's public key(32) ‖ nonce(12)
          ‖ encrypted payload ‖ tag(16)
payload = u32 type 0 ‖ u32 method 0 ‖ data key(32)      or      u32 type 1 ‖ u32 n ‖ n × u64 length,
          then padding of any length, by which writers may hide the packet's type
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mdm_async.crypt4gh.exchange import agree, packet_key, public_key
from mdm_async.crypt4gh.segment import NONCE, TAG, Bytes, padded
from mdm_async.errors import BadSeal

MAGIC: Final = b"crypt4gh"
VERSION: Final = 1
PREAMBLE: Final = 16
"""Bytes before the first packet."""
MAX_HEADER: Final = 1 << 20
"""Bytes; a header of ours is a few hundred."""
MAX_PACKETS: Final = 10_000

_X25519_CHACHA20 = 0
_DATA_KEY, _EDIT_LIST = 0, 1
_CHACHA20, _CHACHA20_WITH_AEAD = 0, 1
_ENVELOPE = 4 + 4 + 32 + NONCE + TAG
_DATA_KEY_PAYLOAD = 4 + 4 + 32


@dataclass(frozen=True)
class DataKey:
    """A packet that gives the reader a key for segments."""

    key: bytes | bytearray = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) != 32:
            raise ValueError("a data key is 32 bytes")

    def payload(self) -> bytes:
        return struct.pack("<II", _DATA_KEY, _CHACHA20) + self.key


@dataclass(frozen=True)
class EditList:
    """A packet that says which plaintext bytes to keep: skip, keep, skip, keep …

    An odd last skip keeps all the rest; after a last keep all the rest is dropped, so no length at all keeps nothing.
    """

    lengths: tuple[int, ...]

    def payload(self) -> bytes:
        return struct.pack(f"<II{len(self.lengths)}Q", _EDIT_LIST, len(self.lengths), *self.lengths)


Packet: TypeAlias = DataKey | EditList


@dataclass(frozen=True)
class Header:
    """An opened header: data keys in packet order, the edit list if there is one, the size in bytes."""

    keys: tuple[bytes, ...] = field(repr=False)
    edit_list: tuple[int, ...] | None
    size: int


def edit_list_for(plain_sizes: Sequence[int], *, last_padded: bool = False) -> tuple[int, ...] | None:
    """The edit list of parts in a row, each but the last non-empty one padded to whole segments.

    `last_padded` when that last one is padded too (its stored segments were made for a view with more parts).
    It has an even count, no zero keep and no zero skip but the first, and skips padding only. Empty parts
    contribute nothing. None when there is no padding to skip.
    """
    sizes = [size for size in plain_sizes if size]
    lengths: list[int] = []
    skip = keep = 0
    for place, size in enumerate(sizes):
        keep += size
        followed = last_padded or place < len(sizes) - 1
        padding = padded(size) - size if followed else 0
        if padding:
            lengths += [skip, keep]
            skip, keep = padding, 0
    if not lengths:
        return None
    return (*lengths, skip, keep) if keep else tuple(lengths)


def header_length(n_keys: int, edit_len: int | None) -> int:
    """The size in bytes of a header for one recipient with `n_keys` data keys and an edit list of `edit_len`
    lengths (None or 0: no edit list)."""
    keys = n_keys * (_ENVELOPE + _DATA_KEY_PAYLOAD)
    return PREAMBLE + keys + (_ENVELOPE + 8 + 8 * edit_len if edit_len else 0)


def seal_header(
    packets: Sequence[Packet], *, sender_private: bytes, recipient_public: bytes, nonces: Sequence[bytes]
) -> bytes:
    """The header that only `recipient_public` opens. The same arguments give the same bytes.

    `nonces`: 12 bytes for each packet, all different (ValueError). The sender's key pair must never seal
    other packets with the same nonces. BadSeal if the recipient's key is a point of low order.
    """
    if not packets or len(packets) > MAX_PACKETS:
        raise ValueError("a header has 1 to 10,000 packets")
    if len(nonces) != len(packets) or len(set(nonces)) != len(nonces) or any(len(n) != NONCE for n in nonces):
        raise ValueError("each packet needs a 12-byte nonce of its own")
    sender_public = public_key(sender_private)
    secret = agree(sender_private, recipient_public)
    aead = ChaCha20Poly1305(packet_key(secret, reader_public=recipient_public, writer_public=sender_public))
    header = bytearray(MAGIC + struct.pack("<II", VERSION, len(packets)))
    for packet, nonce in zip(packets, nonces, strict=True):
        payload = packet.payload()
        header += struct.pack("<II", _ENVELOPE + len(payload), _X25519_CHACHA20)
        header += sender_public + nonce + aead.encrypt(nonce, payload, None)
    return bytes(header)


class HeaderReader:
    """Collects a header from a stream that comes in pieces of any size, and refuses one past the limits.

    It never holds more than the header's own bytes and the rest of the piece that ended it.
    """

    def __init__(self, *, max_size: int = MAX_HEADER, max_packets: int = MAX_PACKETS) -> None:
        self._max_size, self._max_packets = max_size, max_packets
        self._buffer = bytearray()
        self._packets_left: int | None = None
        self._packet = PREAMBLE
        self._required = PREAMBLE

    @property
    def needed(self) -> int:
        """How many bytes are certainly still missing; 0 when the header is complete."""
        return max(0, self._required - len(self._buffer))

    @property
    def header(self) -> bytes:
        """The complete header; BadSeal if it is not."""
        if self.needed:
            raise BadSeal("the stream ends inside its header")
        return bytes(self._buffer[: self._required])

    @property
    def rest(self) -> bytes:
        """What was fed past the header's end."""
        return bytes(self._buffer[self._required :])

    def feed(self, chunk: Bytes) -> bool:
        """Take the next bytes; True when the header is complete. BadSeal when it cannot be a header."""
        self._buffer += chunk
        if not MAGIC.startswith(self._buffer[: len(MAGIC)]):
            raise BadSeal("not a Crypt4GH stream: it does not begin with 'crypt4gh'")
        while self._packets_left != 0 and not self.needed:
            if self._packets_left is None:
                self._packets_left = self._packet_count()
            else:
                self._packet += self._packet_length()
                self._packets_left -= 1
            # Up to and with the length of the packet that follows, if one does.
            self._required = self._packet + (4 if self._packets_left else 0)
        return not self.needed

    def _packet_count(self) -> int:
        version, count = struct.unpack_from("<II", self._buffer, len(MAGIC))
        if version != VERSION:
            raise BadSeal(f"Crypt4GH version {version} is not supported")
        if not 0 < count <= self._max_packets:
            raise BadSeal(f"the header announces {count} packets; 1 to {self._max_packets} are read")
        return int(count)

    def _packet_length(self) -> int:
        (length,) = struct.unpack_from("<I", self._buffer, self._packet)
        if length < 8 or self._packet + length > self._max_size:
            raise BadSeal(f"a header packet of {length} bytes; the header may have {self._max_size}")
        return int(length)


def open_header(data: Bytes, *, recipient_private: bytes, expected_sender: bytes | None = None) -> Header:
    """Open the header at the beginning of `data`; bytes after it are left alone.

    Packets that this key does not open are ignored, as the standard asks. With `expected_sender` (a public
    key) nothing is forgiven: every packet must open, must come from that sender and has no padding. BadSeal
    when nothing opens, for two edit lists, an unknown packet type or cipher, a malformed or oversized header.
    Thousands of packets take most of a second: open headers of strangers outside the event loop.
    """
    reader = HeaderReader()
    reader.feed(bytes(data[:MAX_HEADER]))
    header = reader.header
    keys: list[bytes] = []
    edit_list: tuple[int, ...] | None = None
    for payload in _payloads(header, recipient_private, expected_sender):
        packet = _parse(payload)
        if expected_sender is not None and packet.payload() != payload:
            raise BadSeal(
                "a header packet holds more than it has to say", remedy="prepare the transfer again"
            )
        if isinstance(packet, DataKey):
            keys.append(bytes(packet.key))
        elif edit_list is not None:
            raise BadSeal("the header has two edit lists")
        else:
            edit_list = packet.lengths
    if not keys:
        raise BadSeal("no data key opens with this private key", remedy="use the recipient's key")
    return Header(tuple(keys), edit_list, len(header))


def _payloads(header: bytes, recipient_private: bytes, expected_sender: bytes | None) -> Iterator[bytes]:
    reader_public = public_key(recipient_private)
    ciphers: dict[bytes, ChaCha20Poly1305 | None] = {}
    position = PREAMBLE
    while position < len(header):
        length, method = struct.unpack_from("<II", header, position)
        packet = header[position + 8 : position + length]
        position += length
        writer, nonce, sealed = packet[:32], packet[32 : 32 + NONCE], packet[32 + NONCE :]
        if expected_sender is not None and writer != expected_sender:
            raise BadSeal("the header is from another transfer", remedy="prepare the transfer again")
        if method == _X25519_CHACHA20 and length >= _ENVELOPE:
            if writer not in ciphers:
                ciphers[writer] = _cipher(
                    recipient_private, reader_public, writer, strict=bool(expected_sender)
                )
            cipher = ciphers[writer]
            if cipher is not None:
                with suppress(InvalidTag):
                    yield cipher.decrypt(nonce, sealed, None)
                    continue
        if expected_sender is not None:
            raise BadSeal("a header packet was changed or is for another recipient")


def _cipher(
    recipient_private: bytes, reader_public: bytes, writer: bytes, *, strict: bool
) -> ChaCha20Poly1305 | None:
    """None for a writer's key of low order, zero for example: its secret is known to all, so it opens nothing."""
    try:
        secret = agree(recipient_private, writer)
    except BadSeal:
        if strict:
            raise
        return None
    return ChaCha20Poly1305(packet_key(secret, reader_public=reader_public, writer_public=writer))


def _parse(payload: bytes) -> Packet:
    if len(payload) < 8:
        raise BadSeal("a header packet is too short")
    kind, number = struct.unpack_from("<II", payload)
    if kind == _DATA_KEY:
        if number == _CHACHA20_WITH_AEAD:
            raise BadSeal(
                "the data is sealed with chacha20_ietf_poly1305_with_AEAD (method 1), which is not supported",
                remedy="seal it with chacha20_ietf_poly1305 (method 0), as `crypt4gh encrypt` does",
            )
        if number != _CHACHA20:
            raise BadSeal(f"the header asks for the unknown cipher {number}; ChaCha20-Poly1305 (0) is read")
        if len(payload) < _DATA_KEY_PAYLOAD:
            raise BadSeal("a header packet is too short for its data key")
        return DataKey(payload[8:_DATA_KEY_PAYLOAD])
    if kind != _EDIT_LIST:
        raise BadSeal(f"a header packet has the unknown type {kind}")
    if len(payload) < 8 + 8 * number:
        raise BadSeal("the edit list is shorter than it says")
    return EditList(struct.unpack_from(f"<{number}Q", payload, 8))
