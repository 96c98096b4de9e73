"""Macaroons: bearer tokens that whoever holds one may narrow, asking nobody (Birgisson et al., NDSS 2014 §III).

A macaroon is an identifier, caveats, and a chain of HMACs over them that begins with a key which only this server
knows. A caveat can be added by anyone and taken away by no one. The bytes are those of libmacaroons' first format, in
base64url: packets of four hexadecimal digits (the packet's length), a word, a blank, what it says, a line break.
Caveats for third parties are not understood, and so deny.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MAX_BYTES = 8192
"""Of a macaroon in base64url."""
MAX_CAVEATS = 64
_KEY_GENERATOR = b"macaroons-key-generator"
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}\Z")
_BEGINS = re.compile(rb"[0-9a-f]{4}(?:location|identifier) ")
_LENGTH_BYTES = 4
_SIGNATURE_BYTES = 32


class NoMacaroon(ValueError):
    """str(self) says why, without a part of it."""


@dataclass(frozen=True, slots=True)
class Macaroon:
    """One that nobody has verified: its caveats bar its bearer, and nothing in it gives anything."""

    location: str
    identifier: str
    caveats: tuple[str, ...]
    signature: bytes = field(repr=False)

    def is_made_with(self, root_key: bytes) -> bool:
        """Whether this server made it, and all that was done to it since was to add caveats."""
        return hmac.compare_digest(_signature(root_key, self.identifier, self.caveats), self.signature)

    def text(self) -> str:
        """As it is sent."""
        packets = [
            _packet("location", self.location.encode()),
            _packet("identifier", self.identifier.encode()),
        ]
        packets += [_packet("cid", caveat.encode()) for caveat in self.caveats]
        packets.append(_packet("signature", self.signature))
        return base64.urlsafe_b64encode(b"".join(packets)).rstrip(b"=").decode()


def mint(root_key: bytes, location: str, identifier: str, caveats: Sequence[str]) -> Macaroon:
    return Macaroon(location, identifier, tuple(caveats), _signature(root_key, identifier, caveats))


def looks_like_one(token: str) -> bool:
    """Whether it begins as they do, so that what is wrong with it is what is wrong with a macaroon."""
    start = token[:24]
    if not _BASE64URL.match(start):
        return False
    start = start.rstrip("=")
    return _BEGINS.match(base64.urlsafe_b64decode(start[: len(start) // 4 * 4])) is not None


def parse(token: str) -> Macaroon:
    """Raises NoMacaroon."""
    if len(token) > MAX_BYTES:
        raise NoMacaroon(f"it is longer than {MAX_BYTES} bytes")
    if not _BASE64URL.match(token):
        raise NoMacaroon("it is not base64url")
    token = token.rstrip("=")
    try:
        packets = list(_packets(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))))
    except binascii.Error:
        raise NoMacaroon("it is not base64url") from None
    location = _text(packets.pop(0)[1]) if packets and packets[0][0] == "location" else ""
    if len(packets) < 2 or packets[0][0] != "identifier" or packets[-1][0] != "signature":
        raise NoMacaroon("it has no identifier at its beginning, or no signature at its end")
    if any(word != "cid" for word, _ in packets[1:-1]):
        raise NoMacaroon("it has a caveat for a third party, which nobody here can ask")
    if len(packets) - 2 > MAX_CAVEATS:
        raise NoMacaroon(f"it has more than {MAX_CAVEATS} caveats")
    if len(packets[-1][1]) != _SIGNATURE_BYTES:
        raise NoMacaroon("its signature is cut")
    caveats = tuple(_text(value) for _, value in packets[1:-1])
    return Macaroon(location, _text(packets[0][1]), caveats, packets[-1][1])


def _packets(content: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(content):
        digits = content[at : at + _LENGTH_BYTES]
        if not re.fullmatch(rb"[0-9a-f]{4}", digits):
            raise NoMacaroon("a packet's length is malformed")
        length = int(digits, 16)
        packet = content[at + _LENGTH_BYTES : at + length]
        word, blank, value = packet.partition(b" ")
        if len(packet) != length - _LENGTH_BYTES or not blank or not value.endswith(b"\n"):
            raise NoMacaroon("a packet is cut")
        if not re.fullmatch(rb"[a-z]{1,16}", word):
            raise NoMacaroon("a packet is of no kind that there is")
        yield word.decode(), value[:-1]
        at += length


def _packet(word: str, value: bytes) -> bytes:
    content = word.encode() + b" " + value + b"\n"
    return b"%04x" % (len(content) + _LENGTH_BYTES) + content


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise NoMacaroon("it is not UTF-8") from None


def _signature(root_key: bytes, identifier: str, caveats: Sequence[str]) -> bytes:
    signature = _hmac(_hmac(_KEY_GENERATOR, root_key), identifier.encode())
    for caveat in caveats:
        signature = _hmac(signature, caveat.encode())
    return signature


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
