"""`mdm manifest`; dcmtk reads what it makes."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.cli.conftest import Run
from tests.conftest import CI, Server
from tests.web.dicomweb.conftest import image


def _dsrdump(file: Path) -> str:
    program = shutil.which("dsrdump")
    if program is None:
        if CI:
            pytest.fail("missing: dsrdump (tests/install-peers dcmtk)")
        pytest.skip("PEERS MISSING: dsrdump (as root: tests/install-peers dcmtk)")
    ended = subprocess.run([program, "-Er", "+Pu", str(file)], capture_output=True, text=True, check=True)
    assert not re.search("^[EF]:", ended.stderr, re.MULTILINE), ended.stderr
    return ended.stdout


async def test_a_manifest_is_written(mdm: Run, server: Server, folder: str, tmp_path: Path) -> None:
    for number in (1, 2):
        uids = {"StudyInstanceUID": "1.2.8.1", "SeriesInstanceUID": "1.2.8.1.1"}
        data = image(800 + number, **uids, SOPInstanceUID=f"1.2.8.1.1.{number}")
        await server.put(f"{folder}/{number}.dcm", data)
    file = tmp_path / "manifest.dcm"
    made = await mdm("manifest", folder, "--view", "basic", "--out", file)
    assert made.text == f"{file}: {file.stat().st_size} bytes\n"
    shown = _dsrdump(file)
    assert "Key Object Selection Document" in shown
    assert '"Manifest")' in shown
    assert shown.count("<contains IMAGE:") == 2
    told = await mdm("manifest", folder, "--view", "basic", "--out", file, "--json")
    size = file.stat().st_size
    assert told.json == {"file": str(file), "format": "kos", "bytes": size, "leftOut": {}}
    as_fhir = await mdm("manifest", f"{folder}/1.dcm", f"{folder}/2.dcm", "--format", "fhir")
    assert json.loads(as_fhir.out)["resourceType"] == "Bundle"


async def test_how_many_are_left_out_is_said(mdm: Run, server: Server, folder: str, tmp_path: Path) -> None:
    for number, more in enumerate(({}, {"BurnedInAnnotation": "YES"}, {"BurnedInAnnotation": "YES"})):
        await server.put(f"{folder}/{number}.dcm", image(810 + number, StudyInstanceUID="1.2.8.2", **more))
    file = tmp_path / "manifest.dcm"
    # Named twice, and counted once.
    made = await mdm("manifest", folder, f"{folder}/1.dcm", "--view", "basic", "--out", file, "--json")
    assert made.json["leftOut"] == {"refused": 2}
    assert made.err == "mdm: files that it does not tell of: 2 refused\n"
    assert _dsrdump(file).count("<contains IMAGE:") == 1
    # Whose study a file without that view is of is not known.
    study = dcmread(file).CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID
    made = await mdm("manifest", folder, "--view", "basic", "--study", study, "--out", file)
    assert made.err == "mdm: files that it does not tell of, of that study or another: 2 refused\n"


async def test_what_is_wrong_is_said(mdm: Run, folder: str) -> None:
    missing = await mdm("manifest", f"{folder}/none")
    assert missing.code != 0
    assert f"{folder}/none" in missing.err
    several = await mdm("manifest", folder, f"{folder}/none")
    assert "name 2 of 2: no such file" in several.err
    to_terminal = await mdm("manifest", folder, "--json")
    assert "--out manifest.dcm" in to_terminal.err
