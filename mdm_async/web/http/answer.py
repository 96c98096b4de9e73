"""JSON answers."""

import orjson
from aiohttp import web


def json_answer(tree: object, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(tree, default=str),  # asyncpg's UUIDs are a subclass, which orjson does not know
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
