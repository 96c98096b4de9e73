"""Structured reports, encapsulated PDFs and what else is no image under views, as docs/de-identification.md has it, on
every face: by SRM, WebDAV, DICOMweb and C-GET."""

import io
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import FileDataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from tests.conftest import CI
from tests.dicom.presentation_states import presentation_state
from tests.pacs.devices import Image, Pacs, calling, pacs_server
from tests.pacs.tools import Tool, identifier, rule
from tests.postgres.for_tests import PostgresForTests
from tests.web.dicomweb.conftest import Viewer, uid
from tests.web.dicomweb.test_retrieve import STUDY, address, instances
from tests.web.dicomweb.test_store import stow
from tests.web.test_profiles import add, applied

NAME, ID, SAID = "Quirinzebra^Anna", "QZ4711", "Anna Quirinzebra has a cough"
PAPERS = 'name = "papers"\ndocuments = "allow"\noptions = ["clean_structured_content"]\n'
PDF = f"%PDF-1.4\n% {SAID}\n1 0 obj << /Type /Catalog >> endobj\ntrailer << /Root 1 0 R >>\n%%EOF\n".encode()
TOOLS = tuple(
    calling(view.upper(), "/pacs", principal="user:tool", view=view) for view in ("basic", "papers")
)
DEVICE = calling()
TEXTS = frozenset(["AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT"])
KINDS = {
    "structured report": "test-SR.dcm",
    "presentation state": "",
    "structure set": "rtstruct.dcm",
    "plan": "rtplan.dcm",
    "dose": "rtdose_1frame.dcm",
    "segmentation": "liver_1frame.dcm",
}
"""By pydicom's file."""


def report() -> bytes:
    """pydicom's, which is dcmtk's, of somebody whose name stands in its text."""
    found = dcmread(get_testdata_file("test-SR.dcm"))
    found.PatientName, found.PatientID = NAME, ID
    text = next(one for one in found.ContentSequence if one.ValueType == "TEXT")
    text.TextValue = SAID
    written = io.BytesIO()
    found.save_as(written)
    return written.getvalue()


def planted(kind: str) -> Image:
    """An instance of that kind which says her name in each of its texts, however deep, and in a private one."""
    name = KINDS[kind]
    found = dcmread(get_testdata_file(name) if name else io.BytesIO(presentation_state()), force=True)
    found.ensure_file_meta()
    found.file_meta.setdefault("TransferSyntaxUID", ImplicitVRLittleEndian)
    for element in [*found.iterall()]:
        if element.VR in TEXTS and element.keyword not in ("CodeValue", "CodingSchemeDesignator"):
            element.value = NAME
    found.PatientName, found.PatientID, found.BurnedInAnnotation = NAME, ID, "NO"
    found.private_block(0x0099, "QUIRINZEBRA", create=True).add_new(1, "LO", NAME)
    found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID = (generate_uid() for _ in range(3))
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    written = io.BytesIO()
    found.save_as(written, enforce_file_format=True)
    return Image(written.getvalue())


async def sent(pacs: Pacs, way: str, one: Image, folder: Path) -> str:
    """The name that it has got."""
    directory = "/pacs" if way == "C-STORE" else "/dicomweb"
    before = await pacs.names(directory)
    if way == "C-STORE":
        code, said = await pacs.dcmtk("storescu", "-R", one.at(folder))
        assert code == 0, said
    else:
        assert (await stow(pacs.server, one.file)).status == 200
    return await pacs.new_name(before, directory)


def document(folder: Path, burned_in: str) -> bytes:
    """By dcmtk's pdf2dcm. `burned_in`: its option that says whether somebody can be recognised in it."""
    program = shutil.which("pdf2dcm")
    if program is None:
        assert not CI, "pdf2dcm is missing: tests/install-peers dcmtk"
        pytest.skip("PEERS MISSING: pdf2dcm (as root: tests/install-peers dcmtk)")
    (folder / "it.pdf").write_bytes(PDF)
    own = (burned_in, "+pn", NAME, "+pi", ID, "+t", SAID, str(folder / "it.pdf"), str(folder / "it.dcm"))
    subprocess.run((program, *own), check=True)
    return (folder / "it.dcm").read_bytes()


@pytest.fixture(scope="module")
async def pacs(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pacs]:
    dsn, folder = await postgres.fresh_database(migrated), tmp_path_factory.mktemp("papers")
    async with pacs_server(folder / "data", dsn, pacs={"calling": (*TOOLS, DEVICE)}) as running:
        server = running.server
        await add(server, PAPERS)
        await applied(server, "papers", "/")
        await server.put("/sr.dcm", report())
        await server.put("/pdf.dcm", document(folder, "-an"))
        await server.put("/burned.dcm", document(folder, "+an"))
        rules = [rule("user:tool", "xlrg", views=["basic", "papers"])]
        await server.srm("setPermission", surls=["/"], permissionType="ADD", rules=rules)
        yield running


@dataclass
class Faces:
    """What each face gives of a file in a view: nothing where it is refused. `told`: whatever else was answered."""

    files: list[FileDataset]
    told: bytes


async def faces(pacs: Pacs, name: str, view: str, *, drawn: bool = False) -> Faces:
    server, admin = pacs.server, pacs.server.admin_token
    viewer = Viewer(server, admin, f"/dicom-web/@{view}")
    bodies, told = list[bytes](), list[bytes]()
    prepared = await server.srm("prepareToGet", files=[{"surl": f"/{name}"}], view=view, expect=None)
    told.append(str(prepared).encode())
    if url := prepared["files"][0].get("transferURL"):
        bodies.append(await server.get(url))
    by_name = await server.call("GET", f"/dav/@{view}/{name}", token=admin)
    (bodies if by_name.status == 200 else told).append(by_name.body)
    received = []
    for one in await instances(viewer, f"path=/{name}&includefield=all"):
        where = address(one)
        by_uid = await viewer.get(where, Accept="application/dicom; transfer-syntax=*")
        (bodies if by_uid.status == 200 else told).append(by_uid.body)
        for more in ("/metadata", "/rendered", "/thumbnail", "/frames/1", "/bulkdata/00420011"):
            reply = await viewer.get(f"{where}{more}")
            assert reply.status in ((200,) if more == "/metadata" else (200, 404, 406))
            told.append(reply.body)
        of_study = await viewer.get(f"{where.split('/series/')[0]}/rendered?path=/{name}")
        assert of_study.status == (200 if drawn else 404)
        told += [str(one).encode(), of_study.body]
        keys = {"StudyInstanceUID": uid(one, STUDY)}
        taken = await Tool(pacs, view.upper()).get(
            identifier("STUDY", **keys), classes=[uid(one, "00080016")]
        )
        received += taken.images
    return Faces([*(dcmread(io.BytesIO(one)) for one in bodies), *received], b"".join([*bodies, *told]))


def knows(data: bytes) -> bool:
    """Whether it tells of her anywhere."""
    return any(one in data.upper() for one in (b"QUIRINZEBRA", ID.encode()))


async def test_a_report_is_one_dummy_item_in_the_basic_view(pacs: Pacs) -> None:
    found = await faces(pacs, "sr.dcm", "basic")
    assert len(found.files) == 4
    for one in found.files:
        assert [(item.ValueType, item.TextValue) for item in one.ContentSequence] == [("TEXT", "REMOVED")]
    assert not knows(found.told)


async def test_a_reports_items_stay_without_what_they_say_of_anybody_where_a_profile_cleans_them(
    pacs: Pacs,
) -> None:
    found, original = await faces(pacs, "sr.dcm", "papers"), dcmread(io.BytesIO(report()))
    assert len(found.files) == 4
    for one in found.files:
        assert [item.ValueType for item in one.ContentSequence] == [
            item.ValueType for item in original.ContentSequence
        ]
    assert not knows(found.told)


@pytest.mark.parametrize(
    ("name", "view"), [("pdf.dcm", "basic"), ("burned.dcm", "basic"), ("burned.dcm", "papers")]
)
async def test_a_pdf_is_on_no_face_that_is_not_allowed_or_says_who_it_is_of(
    pacs: Pacs, name: str, view: str
) -> None:
    found = await faces(pacs, name, view)
    assert found.files == []
    assert not knows(found.told)


async def test_a_pdf_leaves_with_all_that_it_says_where_a_profile_allows_documents(pacs: Pacs) -> None:
    found = await faces(pacs, "pdf.dcm", "papers")
    assert len(found.files) == 4
    for one in found.files:
        assert one.EncapsulatedDocument.rstrip(b"\0") == PDF
        one.EncapsulatedDocument = b""
        assert not knows(str(one).encode())
    assert not knows(found.told.replace(PDF, b""))


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("way", ["C-STORE", "STOW-RS"])
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_no_image_leaves_by_every_face_without_a_name_that_is_in_its_texts(
    pacs: Pacs, tmp_path: Path, kind: str, way: str
) -> None:
    one = planted(kind)
    name = await sent(pacs, way, one, tmp_path)
    found = await faces(pacs, name.removeprefix("/"), "basic", drawn="PixelData" in one.read)
    assert len(found.files) == 4
    assert {file.SOPClassUID for file in found.files} == {one.read.SOPClassUID}
    assert {file.SOPInstanceUID for file in found.files}.isdisjoint({one.instance})
    assert not knows(found.told)
    for file in found.files:
        assert not knows(str(file).encode())
        if "PixelData" in one.read:
            assert file.PixelData == one.read.PixelData
