"""An archive that answers as a test wants: well, badly, late or not at all."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pydicom
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeArchive:
    """`files` by SOP Instance UID. `instead` and `told`: answer every request for an instance, and every query, when
    they are set."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    instead: Answer | None = None
    told: Answer | None = None
    together: Answer | None = None
    """Answers every request for a series."""
    untold: tuple[str, ...] = ()
    """Tags (8 hexadecimal digits) that no list tells."""
    counts: int | None = None
    """Instances that it says a study has."""
    asked: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0
    """Requests at once, at the most."""

    def add(self, file: bytes) -> pydicom.Dataset:
        image = pydicom.dcmread(io.BytesIO(file))
        self.files[str(image.SOPInstanceUID)] = file
        return image

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            parts = request.path.strip("/").split("/")
            if parts[-2] == "instances":
                return await (self.instead or self._instance)(request)
            if parts[-2] == "series":
                return await (self.together or self.instead or self._series)(request)
            return await self.told(request) if self.told else self._query(request, parts)
        finally:
            self.running -= 1

    async def _instance(self, request: web.Request) -> web.StreamResponse:
        file = self.files.get(request.path.rpartition("/")[2])
        if file is None:
            return web.Response(status=404)
        return await multipart(request, file)

    async def _series(self, request: web.Request) -> web.StreamResponse:
        study, series = request.path.split("/")[-3::2]
        found = [
            file
            for file in self.files.values()
            if (one := pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True)).StudyInstanceUID == study
            and one.SeriesInstanceUID == series
        ]
        return await multipart(request, *found) if found else web.Response(status=404)

    def _query(self, request: web.Request, parts: list[str]) -> web.Response:
        found = [pydicom.dcmread(io.BytesIO(one), stop_before_pixels=True) for one in self.files.values()]
        asked = request.query
        if "studies" in parts[:-1]:
            study = parts[parts.index("studies") + 1]
            found = [one for one in found if one.StudyInstanceUID == study]
            if "SOPInstanceUID" in asked:
                found = [one for one in found if one.SOPInstanceUID == asked["SOPInstanceUID"]]
        else:
            found = list({one.StudyInstanceUID: one for one in found}.values())
            if "StudyInstanceUID" in asked:
                found = [one for one in found if one.StudyInstanceUID == asked["StudyInstanceUID"]]
        offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", 100))
        page = [
            {tag: said for tag, said in one.to_json_dict().items() if tag not in self.untold}
            for one in found[offset : offset + limit]
        ]
        if self.counts is not None and "studies" not in parts[:-1]:
            page = [one | {"00201208": {"vr": "IS", "Value": [self.counts]}} for one in page]
        return web.json_response(page, content_type="application/dicom+json")


async def multipart(request: web.Request, *files: bytes, boundary: str = "b0undary") -> web.StreamResponse:
    answer = web.StreamResponse()
    answer.headers["Content-Type"] = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    for file in files:
        await answer.write(f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file)
    await answer.write(f"\r\n--{boundary}--".encode())
    await answer.write_eof()
    return answer


async def never(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


@asynccontextmanager
async def fake_archive() -> AsyncIterator[FakeArchive]:
    archive = FakeArchive()
    app = web.Application()
    app.router.add_get("/{path:.*}", archive.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    archive.url = f"http://127.0.0.1:{runner.addresses[0][1]}/dicom-web"
    try:
        yield archive
    finally:
        await runner.cleanup()
