"""Headless Chromium, steered by the DevTools protocol, and what its pages say, ask and are refused."""

import asyncio
import base64
import itertools
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.patience import PATIENCE

PROGRAM = "chromium-headless-shell"
_OPTIONS = (
    "--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--hide-scrollbars", "--window-size=1280,800", "--no-first-run", "--remote-debugging-port=0",
)  # fmt: skip
LONG = 3 * PATIENCE
"""Seconds: whole applications start in it."""


@dataclass
class Page:
    """`said`: what stands in its console; `answers`: method, URL and status of each; `failed`: why others had none."""

    socket: aiohttp.ClientWebSocketResponse
    said: list[str] = field(default_factory=list)
    answers: list[tuple[str, str, int]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _waiting: dict[int, "asyncio.Future[Any]"] = field(default_factory=dict)
    _methods: dict[str, str] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def call(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(LONG):
            return await self._waiting[number]

    async def before_all(self, script: str) -> None:
        """Run it in each document before the document's own."""
        await self.call("Page.addScriptToEvaluateOnNewDocument", source=f"try {{ {script} }} catch {{}}")

    async def js(self, expression: str) -> Any:
        """The value of an expression, which may be a promise."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Its value as soon as that is true in some way."""
        value = None
        try:
            async with asyncio.timeout(LONG):
                while not value:
                    with suppress(AssertionError):
                        value = await self.js(expression)
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError((expression, self.said[-10:], self.failed, self.answers[-10:])) from None
        return value

    async def picture(self) -> bytes:
        """What is on the screen, as a PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])

    async def listen(self) -> None:
        async for message in self.socket:
            told = message.json()
            if (waiting := self._waiting.pop(told.get("id", 0), None)) is not None:
                if not waiting.done():
                    waiting.set_result(told.get("result", told))
            else:
                self._note(told.get("method", ""), told.get("params", {}))

    def _note(self, method: str, about: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self._methods[about["requestId"]] = about["request"]["method"]
            case "Network.responseReceived":
                response = about["response"]
                sent = self._methods.get(about["requestId"], "")
                self.answers.append((sent, response["url"], response["status"]))
            case "Network.loadingFailed" if not about.get("canceled"):
                self.failed.append(f"{about.get('errorText')} {about.get('corsErrorStatus', '')}")
            case "Runtime.consoleAPICalled":
                words = (str(one.get("value", one.get("description", ""))) for one in about["args"])
                self.said.append(f"{about['type']}: {' '.join(words)}")
            case "Runtime.exceptionThrown":
                self.said.append(f"error: {about['exceptionDetails']}")
            case "Log.entryAdded":
                entry = about["entry"]
                self.said.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")


@asynccontextmanager
async def page(folder: Path) -> AsyncIterator[Page]:
    """An empty one, of a browser of its own, which keeps what it keeps in the folder."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *_OPTIONS,
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                (first, *_) = [one for one in await answer.json() if one["type"] == "page"]
            async with http.ws_connect(first["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                found = Page(socket)
                listening = asyncio.create_task(found.listen())
                try:
                    for domain in ("Page", "Runtime", "Network", "Log"):
                        await found.call(f"{domain}.enable")
                    yield found
                finally:
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)
    finally:
        # What is started is a script, and has many processes below it.
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _port(file: Path) -> int:
    async with asyncio.timeout(PATIENCE):
        while not (file.exists() and file.read_text().count("\n")):  # noqa: ASYNC110 - a file says it
            await asyncio.sleep(0.05)
    return int(file.read_text().split()[0])
