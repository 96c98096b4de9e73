"""An archive of the hospital's forwards what it has over C-STORE: a real Orthanc, also one that is killed meanwhile."""

import asyncio
import io
from pathlib import Path
from typing import Any

import aiohttp
import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.faults.conditions import until
from tests.orthanc import Orthanc, running_orthanc
from tests.pacs.devices import Pacs, calling, data_set, pacs_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

COUNT = 12


def study(pixels: int = 200_000) -> list[bytes]:
    uid, files = generate_uid(), []
    for number in range(COUNT):
        image = pydicom.dcmread(io.BytesIO(made(pixels=pixels, seed=number)))
        image.StudyInstanceUID, image.PatientID = uid, "QZ-774412"
        del image.DataSetTrailingPadding  # dcmtk, of which Orthanc is made, does not send it
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        written = io.BytesIO()
        image.save_as(written, enforce_file_format=True)
        files.append(written.getvalue())
    return files


async def asked(orthanc: Orthanc, method: str, path: str, body: Any) -> int:
    async with aiohttp.ClientSession() as http, http.request(method, orthanc.url + path, json=body) as answer:
        await answer.read()
        return answer.status


async def knows(orthanc: Orthanc, pacs: Pacs) -> None:
    modality = {"AET": "MDM", "Host": "127.0.0.1", "Port": pacs.port}
    assert await asked(orthanc, "PUT", "/modalities/mdm", modality) == 200
    assert await asked(orthanc, "POST", "/modalities/mdm/echo", {}) == 200


async def test_orthanc_forwards_a_study_and_forwards_it_again(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    files = study()
    own = {"calling": [calling("ORTHANC")]}
    dsn = await postgres.fresh_database(migrated)
    async with running_orthanc(tmp_path) as orthanc, pacs_server(tmp_path / "data", dsn, pacs=own) as pacs:
        ids = [await orthanc.store(one) for one in files]
        await knows(orthanc, pacs)
        for _ in range(2):
            assert await asked(orthanc, "POST", "/modalities/mdm/store", ids) == 200
            names = await pacs.names()
            assert len(names) == COUNT
        kept = {data_set(await pacs.identified(lfn)) for lfn in names}
        assert kept == {data_set(one) for one in files}
        assert len({lfn.rpartition("/")[0] for lfn in names}) == 1


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_an_orthanc_that_ends_meanwhile(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, fault: str
) -> None:
    files = study(pixels=4_000_000)
    own = {"calling": [calling("ORTHANC")], "idle_seconds": 3}
    dsn = await postgres.fresh_database(migrated)
    async with running_orthanc(tmp_path) as orthanc, pacs_server(tmp_path / "data", dsn, pacs=own) as pacs:
        ids = [await orthanc.store(one) for one in files]
        await knows(orthanc, pacs)
        pushing = asyncio.create_task(asked(orthanc, "POST", "/modalities/mdm/store", ids))
        await until(lambda: pacs.names())
        if fault == "killed":
            await orthanc.kill()
        else:
            orthanc.freeze()
        await until(lambda: not pacs.server.house.admission.receiving)
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        if fault == "killed":
            await orthanc.start()
        else:
            orthanc.thaw()
        await knows(orthanc, pacs)
        assert await asked(orthanc, "POST", "/modalities/mdm/store", ids) == 200
        names = await pacs.names()
        assert len(names) == COUNT
        assert {data_set(await pacs.identified(lfn)) for lfn in names} == {data_set(one) for one in files}
