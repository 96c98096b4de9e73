"""OHIF, as it is published, in a browser, on an origin of its own: a list of studies and a picture on the screen."""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from aiohttp import web
from PIL import Image
from pydicom import dcmread

from tests.conftest import Server, running_server
from tests.interop import browser
from tests.interop.grid_tools import demand
from tests.interop.table import free_port
from tests.postgres.for_tests import PostgresForTests
from tests.web.dicomweb.conftest import Viewer, uid

_ROOT = Path(__file__).parents[2]
OHIF = _ROOT / ".peers" / "ohif"
"""Where `tests/install-peers viewer` puts it."""
_BASE = "/dicom-web/@basic"
_FILES = Path(pydicom.data.__file__).parent / "test_files"


@asynccontextmanager
async def ohif(port: int, config: str) -> AsyncIterator[str]:
    """Its URL. Every address that is no file is the application's."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path == "/app-config.js":
            return web.Response(text=config, content_type="text/javascript")
        file = OHIF / request.path.lstrip("/")
        return web.FileResponse(file if file.is_file() else OHIF / "index.html")

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def study() -> list[bytes]:
    """A series of native images, and one of JPEG 2000, which the browser decodes."""
    named = {"PatientID": "P-77", "PatientName": "Canary^Carla", "StudyInstanceUID": "1.2.3.77"}
    found = []
    for number, name in enumerate(("CT_small", "CT_small", "MR_small_jp2klossless")):
        one = dcmread(_FILES / f"{name}.dcm")
        for keyword, value in named.items():
            setattr(one, keyword, value)
        one.SeriesInstanceUID = f"1.2.3.77.{1 + (one.Modality == 'MR')}"
        one.SOPInstanceUID = f"{one.SeriesInstanceUID}.{number}"
        one.InstanceNumber, one.ImagePositionPatient = number + 1, [0, 0, number * 5.0]
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        written = io.BytesIO()
        one.save_as(written)
        found.append(written.getvalue())
    return found


def _documented() -> str:
    """The configuration that docs/dicomweb.md shows."""
    (found,) = re.findall(r"```js\n(.*?)```", (_ROOT / "docs" / "dicomweb.md").read_text(), re.DOTALL)
    return str(found)


@dataclass(frozen=True)
class Viewed:
    """A server, a token of its, and the URL of a viewer that it lets in."""

    server: Server
    token: str
    url: str


@pytest.fixture
async def viewed(postgres: PostgresForTests, migrated: str, tmp_path: Path) -> AsyncIterator[Viewed]:
    demand(browser.PROGRAM, OHIF, group="viewer")
    port = free_port()
    dsn = await postgres.fresh_database(migrated)
    allowed = {"cors_origins": [f"http://127.0.0.1:{port}"]}
    async with running_server(tmp_path / "data", dsn, dicomweb=allowed) as server:
        await server.srm("mkdir", surl="/trial")
        for place, data in enumerate(study()):
            await server.put(f"/trial/{place}.dcm", data)
        token = await server.token("rlxg", path="/trial")
        config = _documented().replace("https://mdm.example.org/dicom-web/@research", f"{server.url}{_BASE}")
        async with ohif(port, config) as url:
            yield Viewed(server, token, url)


async def test_ohif_lists_a_study_and_draws_it(viewed: Viewed, tmp_path: Path) -> None:
    server, url = viewed.server, viewed.url
    (found,) = (await Viewer(server, viewed.token, _BASE).get("/studies")).tree
    patient, uid_of_study = uid(found, "00100020"), uid(found, "0020000D")
    async with browser.page(tmp_path / "browser") as page:
        await page.before_all(f"sessionStorage.token = {viewed.token!r}")
        await page.before_all("localStorage.shownTours = '[\"basicViewerTour\"]'")
        await page.call("Page.navigate", url=url)
        await page.until(f"document.body.innerText.includes({patient!r})")
        (tmp_path / "list.png").write_bytes(await page.picture())
        assert "Carla" not in await page.js("document.body.innerText")
        await page.call("Page.navigate", url=f"{url}/viewer?StudyInstanceUIDs={uid_of_study}")
        await page.until(f"[...document.images].filter({_SMALL}).length == 2")
        shades = 0
        async with asyncio.timeout(browser.LONG):
            while shades < 50:
                await asyncio.sleep(0.5)
                (tmp_path / "study.png").write_bytes(await page.picture())
                shades = shades_in(tmp_path / "study.png")
        print("pictures:", tmp_path, "answers:", len(page.answers))
        assert page.failed == []
        assert [one for one in page.answers if one[1].startswith(server.url) and one[2] >= 400] == []
        assert [one for one in page.said if one.startswith("error")] == []
        asked = {one[1].split("/")[-1].split("?")[0] for one in page.answers if one[1].startswith(server.url)}
        assert {"studies", "series", "metadata", "1", "thumbnail"} <= asked
        assert ("OPTIONS", 204) in {(one[0], one[2]) for one in page.answers}


_SMALL = "one => one.src.startsWith('blob:') && one.naturalWidth >= 64"
"""Our thumbnails, as they stand in the page."""


def shades_in(file: Path) -> int:
    """How many greys there are in the middle of the screen, where the image is."""
    shown = np.asarray(Image.open(file).convert("RGB"))[150:650, 450:1100]
    grey = shown[(shown.max(axis=2) == shown.min(axis=2))]
    return len(np.unique(grey))
