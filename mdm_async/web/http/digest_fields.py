"""Digests in header fields: those that a sender tells of a body, and those that a reader wants.

Content-MD5 (RFC 2616 §14.15), Digest and Want-Digest (RFC 3230), Repr-Digest, Content-Digest and Want-Repr-Digest
(RFC 9530), OC-Checksum (ownCloud's). Algorithms that are not known are passed over, as those texts have it.
"""

import base64
import re
from collections.abc import Iterator, Mapping

from aiohttp import web
from multidict import CIMultiDictProxy

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
_NOTHING = re.compile(r"(q\s*=\s*)?0(\.0*)?")


def announced(request: web.Request) -> tuple[Digest, ...]:
    """What the sender of a body says of it. Raises BadRequest for what is no digest of its algorithm."""
    return digests_in(request.headers)


def digests_in(fields: CIMultiDictProxy[str]) -> tuple[Digest, ...]:
    """As `announced`, of the header fields of any message."""
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


def wanted(request: web.Request, field: str) -> frozenset[str]:
    """The algorithms that Want-Digest (`md5;q=0.3`) or Want-Repr-Digest (`md5=3`) asks for; not those of weight 0."""
    found = set()
    for one in ",".join(request.headers.getall(field, ())).split(","):
        name, _, weight = one.replace(";", "=").partition("=")
        algorithm = _algorithm(name.strip())
        if algorithm is not None and not _NOTHING.fullmatch(weight.strip()):
            found.add(algorithm)
    return frozenset(found)


def digest(digests: Mapping[str, bytes]) -> str:
    """As a Digest field: without a space, which clients take for a part of the value."""
    return ",".join(
        f"{name}={value.hex() if name == ADLER32 else base64.b64encode(value).decode()}"
        for name, value in digests.items()
    )


def repr_digest(digests: Mapping[str, bytes]) -> str:
    """As a Repr-Digest field."""
    return ", ".join(
        f"{'adler' if name == ADLER32 else name}=:{base64.b64encode(value).decode()}:"
        for name, value in digests.items()
    )
