"""Digests in header fields: those that a sender tells of a body, and those that a reader wants.

Content-MD5 (RFC 2616 §14.15), Digest and Want-Digest (RFC 3230), Repr-Digest, Content-Digest and Want-Repr-Digest
(RFC 9530), OC-Checksum (ownCloud's). Algorithms that are not known are passed over, as those texts have it.
"""

import base64
from collections.abc import Iterator

from aiohttp import web

from mdm_async.errors import BadRequest
from mdm_async.images.parts.hashing import ADLER32, SIZES, Digest

_KNOWN = {
    "adler32": ADLER32,
    "adler": ADLER32,
    "sha": "sha-1",
    "sha1": "sha-1",
    "sha256": "sha-256",
    "sha512": "sha-512",
}
"""Names beside those of `SIZES`."""


def announced(request: web.Request) -> tuple[Digest, ...]:
    """What the sender of a body says of it. Raises BadRequest for what is no digest of its algorithm."""
    fields = request.headers
    found = [("md5", value) for value in fields.getall("Content-MD5", ())]
    for name in ("Digest", "Repr-Digest", "Content-Digest"):
        found += _pairs(",".join(fields.getall(name, ())), ",", "=")
    found += _pairs(" ".join(fields.getall("OC-Checksum", ())), None, ":")
    told = []
    for name, value in found:
        algorithm = _algorithm(name)
        if algorithm is not None:
            told.append(Digest(algorithm, _bytes(algorithm, value)))
    return tuple(dict.fromkeys(told))


def _pairs(field: str, between: str | None, within: str) -> Iterator[tuple[str, str]]:
    for one in field.split(between):
        name, _, value = one.strip().partition(within)
        if name:
            yield name.strip(), value.strip()


def _algorithm(name: str) -> str | None:
    lower = name.lower()
    return lower if lower in SIZES else _KNOWN.get(lower)


def _bytes(algorithm: str, value: str) -> bytes:
    """Of RFC 9530's `:base64:`, or else hexadecimal digits or base64, which their lengths tell apart; zeros that lead
    an ADLER32 may lack."""
    size, is_bytes = SIZES[algorithm], value.startswith(":")
    text = value.strip(':"')
    if algorithm == ADLER32 and not is_bytes and len(text) < 2 * size:
        text = text.zfill(2 * size)
    try:
        is_hex = len(text) == 2 * size and not is_bytes
        found = bytes.fromhex(text) if is_hex else base64.b64decode(text, validate=True)
    except ValueError:
        found = b""
    if len(found) != size:
        raise BadRequest(f"the request's {algorithm.upper()} is no such digest", remedy="write it in base64")
    return found
