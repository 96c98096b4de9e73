"""A gateway that lies: it sends elsewhere, or lists what it says it has removed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from mdm_async.blobs.s3.requests import Requests, session
from mdm_async.errors import Unavailable
from mdm_async.settings import S3Settings

Answers = Callable[[web.Request], web.Response]


@asynccontextmanager
async def gateway(answers: Answers) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        return answers(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def requests_to(endpoint: str) -> AsyncIterator[Requests]:
    settings = S3Settings.model_validate({"endpoint": endpoint, "access_key": "MDM", "secret_key": "secret"})
    async with session(settings) as http:
        yield Requests(http, "bucket", settings)


async def test_nobody_else_is_asked_where_it_sends() -> None:
    asked: list[web.Request] = []

    def elsewhere(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(text="from elsewhere")

    async with gateway(elsewhere) as other:
        away = web.Response(status=307, headers={"Location": f"{other}/inside"})
        async with gateway(lambda _: away) as own, requests_to(own) as requests:
            answer = await requests.ask("GET", "blob", {})
    assert (answer.status, asked) == (307, [])


async def test_what_it_lists_after_it_was_removed_is_not_removed_for_ever() -> None:
    removed = 0

    def answers(request: web.Request) -> web.Response:
        nonlocal removed
        if request.method == "DELETE":
            removed += 1
            return web.Response(status=204)
        version = "<Version><Key>blob</Key><VersionId>1</VersionId></Version>"
        return web.Response(text=f"<R><IsTruncated>true</IsTruncated>{version if removed < 50 else ''}</R>")

    async with gateway(answers) as own, requests_to(own) as requests:
        with pytest.raises(Unavailable):
            await requests.remove("blob")
    assert removed == 1
