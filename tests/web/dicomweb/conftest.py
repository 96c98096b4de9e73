"""Studies on a server, and dicomweb-client, unmodified, to ask for them."""

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient

from tests.conftest import Server
from tests.web.made_images import made


def image(seed: int, *, pixels: int = 200, syntax: str | None = None, **values: Any) -> bytes:
    """A small one that says this; a value None is left out."""
    found = pydicom.dcmread(io.BytesIO(made(pixels=pixels, seed=seed)))
    for keyword, value in values.items():
        if value is None and keyword in found:
            delattr(found, keyword)
        elif value is not None:
            setattr(found, keyword, value)
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    if syntax is not None:
        found.file_meta.TransferSyntaxUID = syntax
    written = io.BytesIO()
    found.save_as(written, enforce_file_format=True)
    return written.getvalue()


@dataclass
class Viewer:
    """A client of one base URL, by one token."""

    server: Server
    token: str
    base: str = "/dicom-web"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def client(self) -> DICOMwebClient:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.token}"
        return DICOMwebClient(url=f"{self.server.url}{self.base}", session=session)

    async def ask(self, call: Callable[[DICOMwebClient], Any]) -> Any:
        """What a call of the client gives, which is made in a thread beside the server."""
        return await asyncio.to_thread(partial(call, self.client))

    async def get(self, path: str, **headers: str) -> Any:
        return await self.server.call("GET", f"{self.base}{path}", token=self.token, headers=headers)


@dataclass
class Archive:
    """One folder with two studies, of three series and seven instances."""

    server: Server
    folder: str
    originals: dict[str, bytes]

    def viewer(self, base: str = "/dicom-web") -> Viewer:
        return Viewer(self.server, self.server.admin_token, base)


STUDIES = {"one": "1.2.3.1", "two": "1.2.3.2"}


def of_archive() -> dict[str, bytes]:
    """By name. Study one: CT with three instances and MR with two; study two: CT with two."""
    found = {}
    number = 0
    for study, series, modality, count in (
        ("one", "1.2.3.1.1", "CT", 3),
        ("one", "1.2.3.1.2", "MR", 2),
        ("two", "1.2.3.2.1", "CT", 2),
    ):
        for place in range(1, count + 1):
            number += 1
            found[f"{number}.dcm"] = image(
                number,
                PatientID=f"P-{study}",
                PatientName=f"{study.title()}^Patient",
                StudyInstanceUID=STUDIES[study],
                SeriesInstanceUID=series,
                SOPInstanceUID=f"{series}.{place}",
                Modality=modality,
                StudyDescription=None,
                InstanceNumber=place,
            )
    return found


@pytest.fixture(scope="module")
async def archive(server: Server) -> Archive:
    folder = await server.directory()
    originals = of_archive()
    for name, data in originals.items():
        await server.put(f"{folder}/{name}", data)
    return Archive(server, folder, originals)


def uid(found: dict[str, Any], tag: str) -> str:
    return str(found[tag]["Value"][0])
