"""Orthanc as a tool of the hospital: it pushes, asks whether that is kept, finds it, and has it moved to itself."""

from pathlib import Path
from typing import Any

import aiohttp
import pydicom
from pydicom.uid import generate_uid

from tests.faults.conditions import until
from tests.orthanc import TITLE, Orthanc, running_orthanc
from tests.pacs.devices import CT, calling, image, pacs_server
from tests.pacs.tools import rule
from tests.postgres.for_tests import PostgresForTests


class Asking:
    """Orthanc's REST."""

    def __init__(self, orthanc: Orthanc, http: aiohttp.ClientSession) -> None:
        self.orthanc, self.http = orthanc, http

    async def __call__(self, method: str, path: str, body: Any = None) -> Any:
        async with self.http.request(method, self.orthanc.url + path, json=body) as answer:
            assert answer.status == 200, (path, await answer.text())
            return await answer.json(content_type=None)


async def commitment(ask: Asking, *instances: str) -> Any:
    """What Orthanc knows once it was told."""
    asked = await ask(
        "POST", "/modalities/MDM/storage-commitment", {"DicomInstances": [[CT, one] for one in instances]}
    )
    told: list[Any] = []

    async def is_told() -> bool:
        told.append(await ask("GET", asked["Path"]))
        return bool(told[-1]["Status"] != "Pending")

    await until(is_told)
    return told[-1]


async def test_orthanc_pushes_finds_and_retrieves(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn, (one, two) = await postgres.fresh_database(migrated), (image(), image())
    async with running_orthanc(tmp_path) as orthanc, aiohttp.ClientSession() as http:
        own = {"calling": [calling(TITLE, principal="user:tool", view="basic", port=orthanc.dicom_port)]}
        async with pacs_server(tmp_path / "data", dsn, pacs=own) as pacs:
            await pacs.server.srm("mkdir", surl="/pacs")
            for surl, rights in (("/", "x"), ("/pacs", "xlrwg")):
                rules = [rule("user:tool", rights)]
                await pacs.server.srm("setPermission", surls=[surl], permissionType="ADD", rules=rules)
            await orthanc.know("MDM", pacs.port)
            ask = Asking(orthanc, http)
            ids = [await orthanc.store(each.file) for each in (one, two)]
            await ask("POST", "/modalities/MDM/store", ids)
            assert (await commitment(ask, one.instance, two.instance))["Status"] == "Success"
            told = await commitment(ask, one.instance, generate_uid())
            assert told["Status"] == "Failure"
            assert [failure["FailureReason"] for failure in told["Failures"]] == [0x0112]

            for each in ids:
                await orthanc.remove(each)
            query = await ask(
                "POST", "/modalities/MDM/query", {"Level": "Study", "Query": {"PatientID": "*"}}
            )
            (answer,) = await ask("GET", query["Path"] + "/answers")
            found = await ask("GET", f"{query['Path']}/answers/{answer}/content?simplify")
            await ask(
                "POST",
                f"{query['Path']}/answers/{answer}/retrieve",
                {"TargetAet": TITLE, "Synchronous": True},
            )
            here = await ask("GET", "/instances?expand")
            assert len(here) == 2
            for each in here:
                taken = pydicom.dcmread(pydicom.filebase.DicomBytesIO(await orthanc.file(each["ID"])))
                assert taken.StudyInstanceUID == found["StudyInstanceUID"] != one.read.StudyInstanceUID
                assert taken.PatientIdentityRemoved == "YES"
