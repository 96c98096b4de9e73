"""GETs whose head holds nothing to think about: what they say that matters, from the bytes that came.

Whatever else a head may hold, and whatever is not quite as most clients write it, is for aiohttp's parser.
"""

import re
from dataclasses import dataclass, field
from typing import Final

MOST: Final = 1024
"""Bytes of such a head at the most: the least that `limits` can allow for a line, a field, or a head."""
_HEAD = re.compile(
    rb"GET (/[A-Za-z0-9/._~-]+) HTTP/1\.1\r\n((?:[A-Za-z-]+:[ -~]*\r\n){1,8})\r\n\Z",
)
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-f:.]+\](?::[0-9]{1,5})?")
_NOTHING: Final = frozenset({"accept", "accept-encoding", "user-agent"})
"""Fields that change nothing of an answer that has one form."""
_READ: Final = frozenset({"host", "range", "connection", "authorization"})


@dataclass(frozen=True, slots=True)
class PlainGet:
    path: str
    host: str
    """The Host field."""
    range: str | None
    """The Range field."""
    authorization: str | None = field(default=None, repr=False)
    """The Authorization field."""


def plain_get(head: bytes) -> PlainGet | None:
    """The request that is exactly these bytes; None when it is another one, or not whole, or not alone."""
    if len(head) > MOST or (match := _HEAD.match(head)) is None:
        return None
    found: dict[str, str] = {}
    for line in match[2].decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name = name.lower()
        if name in _NOTHING:
            continue
        if name not in _READ or name in found:
            return None
        found[name] = value.strip(" ")
    host = found.get("host", "")
    if _HOST.fullmatch(host) is None or found.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    return PlainGet(match[1].decode("ascii"), host, found.get("range"), found.get("authorization"))
