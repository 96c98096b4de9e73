"""What comes sealed from a first site: a line of JSON that says what it is, and bytes."""

from collections.abc import AsyncIterator
from typing import Any

import orjson

from mdm_async.errors import BadRequest


async def line_of(
    plain: AsyncIterator[bytes], most: int, members: dict[str, type | tuple[type, ...]]
) -> tuple[dict[str, Any], AsyncIterator[bytes]]:
    """The line, of `most` bytes, with these members of these types, and what follows it. Raises BadRequest."""
    first = bytearray()
    async for piece in plain:
        first += piece
        if b"\n" in piece or len(first) > most:
            break
    line, mark, rest = first.partition(b"\n")
    try:
        told = orjson.loads(line) if mark else None
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict) or told.keys() != members.keys():
        raise BadRequest("what is sealed does not begin with what it is")
    for name, kind in members.items():
        if not isinstance(told[name], kind):
            raise BadRequest(f"what is sealed does not say its {name!r} rightly")

    async def whole() -> AsyncIterator[bytes]:
        if rest:
            yield bytes(rest)
        async for piece in plain:
            yield piece

    return told, whole()
