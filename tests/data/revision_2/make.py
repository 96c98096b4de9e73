"""Makes the archive beside this file. It is kept as the code of scrubber revision 2 made it, before the rules changed.

Run once, in a checkout of the last commit of that revision: `PYTHONPATH=. python make.py FOLDER`. What it writes:
rows.json, tables as COPY tells them, with the numbers of the migrations applied; and blobs/. Every part is inline.
The key-encryption key is that of `KEK`, and opens nothing else.
"""

import asyncio
import base64
import io
import json
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import pydicom
import pydicom.data
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from mdm_async.postgres.database import connect
from tests.backfilled import backfill
from tests.conftest import Server, running_server
from tests.postgres.for_tests import postgres_for_tests

KEK = base64.b64encode(bytes(range(32))).decode()
CAREFUL = 'name = "careful"\nburned_in = "quarantine"\n'
CT, MR, CAPTURE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"
_SIDE = 16
_SPELLS_A_VR = 20300
"""As a length in little endian its low bytes are "LO"."""


def image(number: int, sop_class: str, **more: object) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UID(sop_class)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = f"1.2.3.4.{number}"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", f"1.2.3.{number}"
    made.PatientName, made.PatientID, made.PatientBirthDate = "Smith^John", "P-1", "19600101"
    made.StudyDate, made.Modality = "20200202", "MR" if sop_class == MR else "CT"
    made.Rows = made.Columns = _SIDE
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelData = bytes(2 * _SIDE * _SIDE)
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def with_length_that_spells_a_vr() -> Dataset:
    """In a removed sequence of undefined length, inside one of known length."""
    request, groups = Dataset(), Dataset()
    request.add_new(0x00420011, "OB", bytes(_SPELLS_A_VR - 12))
    groups.RequestAttributesSequence = Sequence([request])
    groups["RequestAttributesSequence"].is_undefined_length = True
    return image(2, CT, SharedFunctionalGroupsSequence=Sequence([groups]))


def with_comment() -> Dataset:
    """The comment comes right after the codestream's first marker."""
    source = Path(pydicom.data.__file__).parent / "test_files" / "SC_rgb_small_odd_jpeg.dcm"
    made = pydicom.dcmread(source)
    jpeg = next(generate_frames(made.PixelData, number_of_frames=1))
    told = b"SMITH JOHN 1960"
    jpeg = jpeg[:2] + b"\xff\xfe" + (len(told) + 2).to_bytes(2, "big") + told + jpeg[2:]
    made.PixelData = encapsulate([jpeg])
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UID(CT)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = "1.2.3.4.5"
    made.PatientName, made.PatientID = "Smith^John", "P-1"
    if "ConversionType" in made:
        del made.ConversionType
    return made


FILES = {
    "unnamed.dcm": image(1, CT, AcquisitionProtocolName="HEAD SMITH JOHN"),
    "spelled.dcm": with_length_that_spells_a_vr(),
    "digitised.dcm": image(3, MR, ConversionType="SD"),
    "high-bits.dcm": image(4, CT, PixelData=(0x5000 | 0x123).to_bytes(2, "little") * (_SIDE * _SIDE)),
    "comment.dcm": with_comment(),
    "capture.dcm": image(6, CAPTURE, ConversionType="WSD"),
}
TABLES = (
    *(
        f"public.{name}"
        for name in ("installation", "callers", "acls", "images", "parts", "views", "releases")
    ),
    *(f"public.{name}" for name in ("profiles", "entries", "tokens")),
    *(f"mdm_keys.{name}" for name in ("image_secrets", "kek_proofs", "project_keys")),
)
"""In an order in which they can be filled. Not transfers, and not the audit, whose key is not here."""
STATES = {"spelled.dcm": "refused", "capture.dcm": "refused"}


def written(dataset: Dataset) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


async def fill(server: Server) -> None:
    curator = await server.token("lri", name="curator")

    async def administer(path: str, token: str = server.admin_token, **body: object) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with server.http.post(f"{server.url}/admin/v1/{path}", json=body, headers=headers) as answer:
            assert answer.status < 300, await answer.text()

    await administer("profiles", toml=CAREFUL)
    await administer("profiles/careful/apply", surl="/")
    for name, dataset in FILES.items():
        await server.put(f"/{name}", written(dataset))
    await administer("profiles/careful/release", curator, surls=["/capture.dcm"])
    await backfill(server)  # nothing is left to do
    async with server.house.database.acquire() as db:
        rows = await db.fetch(
            "select e.name, v.name as view, v.state, v.reason from views v join entries e on e.image = v.image"
        )
    for row in rows:
        print(*map(row.get, ("name", "view", "state", "reason")))
        if row["view"] == "basic":
            assert row["state"] == STATES.get(row["name"], "ready"), dict(row)
    assert ("capture.dcm", "careful", "ready") in {(r["name"], r["view"], r["state"]) for r in rows}


async def copied(dsn: str) -> dict[str, object]:
    tables = {}
    async with connect(dsn) as db:
        for table in TABLES:
            out, (schema, name) = io.BytesIO(), table.split(".")
            await db.copy_from_table(name, schema_name=schema, output=out, format="csv", header=True)
            tables[table] = out.getvalue().decode()
        migrated = await db.fetch("select room, max(number) from schema_migrations group by 1 order by 1")
    return {"migrations": dict(map(tuple, migrated)), "tables": tables}


async def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        async with postgres_for_tests() as postgres:
            dsn = await postgres.fresh_database()
            async with running_server(data, dsn, keys={"kek": KEK}) as server:
                await fill(server)
            rows = await copied(dsn)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rows.json").write_text(json.dumps(rows, indent=1) + "\n")
        shutil.copytree(data / "blobs", folder / "blobs", dirs_exist_ok=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
