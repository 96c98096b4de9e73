"""An archive of the hospital's sends what it has by STOW-RS: a real Orthanc, with its DICOMweb client."""

from pathlib import Path

from tests.conftest import running_server
from tests.interop.test_orthanc_pushes import COUNT, asked, study
from tests.orthanc import running_orthanc
from tests.pacs.devices import Pacs, data_set
from tests.postgres.for_tests import PostgresForTests


async def test_orthanc_sends_a_study_and_sends_it_again(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    files = study()
    dsn = await postgres.fresh_database(migrated)
    own = {"delivery": {"identified": "clear"}}
    async with (
        running_orthanc(tmp_path) as orthanc,
        running_server(tmp_path / "data", dsn, **own) as server,
    ):
        pacs = Pacs(server)
        ids = [await orthanc.store(one) for one in files]
        known = {
            "Url": f"{server.url}/dicom-web/",
            "HttpHeaders": {"Authorization": f"Bearer {server.admin_token}"},
        }
        assert await asked(orthanc, "PUT", "/dicom-web/servers/mdm", known) == 200
        for _ in range(2):
            sent = {"Resources": ids, "Synchronous": True}
            assert await asked(orthanc, "POST", "/dicom-web/servers/mdm/stow", sent) == 200
            names = await pacs.names("/dicomweb")
            assert len(names) == COUNT
        kept = {data_set(await pacs.identified(lfn)) for lfn in names}
        assert kept == {data_set(one) for one in files}
