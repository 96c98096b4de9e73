"""A device pushes images, and they are there: under pseudonymous names, their bytes unchanged."""

import asyncio
import io
import re
import socket
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    generate_uid,
)
from pynetdicom import AE
from pynetdicom.presentation import AllStoragePresentationContexts, build_context

from mdm_async.dicom.stored_classes import STORAGE_CLASSES
from tests.faults.conditions import until
from tests.pacs.devices import (
    CT,
    DEVICE,
    SAMPLES,
    TITLE,
    VERIFICATION,
    Image,
    Pacs,
    accepted,
    calling,
    data_set,
    echo_command,
    image,
    p_data,
    pacs_server,
    store_command,
)
from tests.postgres.for_tests import PostgresForTests
from tests.web.test_mappings import TRIAL, put
from tests.web.test_privacy import captured_log
from tests.web.test_profiles import add, ask


async def test_echoscu_is_answered(pacs: Pacs) -> None:
    code, said = await pacs.dcmtk("echoscu")
    assert (code, "Received Echo Response (Success)" in said) == (0, True), said


@pytest.mark.parametrize(
    ("sample", "propose"),
    [
        ("CT_small.dcm", "-xe"),
        ("MR_small_implicit.dcm", "-xi"),
        ("MR_small_bigendian.dcm", "-xb"),
        ("SC_rgb_small_odd_jpeg.dcm", "-xy"),
        ("JPEG2000.dcm", "-xw"),
        ("MR_small_RLE.dcm", "-xr"),
        ("image_dfl.dcm", "-xd"),
        ("reportsi.dcm", "-xe"),
    ],
)
async def test_what_storescu_sends_is_what_is_stored(
    pacs: Pacs, tmp_path: Path, sample: str, propose: str
) -> None:
    pushed = Image((SAMPLES / sample).read_bytes())
    before = await pacs.names()
    code, said = await pacs.dcmtk("storescu", propose, pushed.at(tmp_path))
    assert code == 0, said
    lfn = await pacs.new_name(before)
    kept = await pacs.identified(lfn)
    meta = pydicom.dcmread(pydicom.filebase.DicomBytesIO(kept)).file_meta
    sent = pushed.read
    assert meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert meta.MediaStorageSOPClassUID == sent.SOPClassUID
    assert meta.MediaStorageSOPInstanceUID == sent.SOPInstanceUID
    assert "SourceApplicationEntityTitle" not in meta
    elsewhere = data_set(await as_received(tmp_path, "storescu", propose, pushed.at(tmp_path)))
    # storescp drops the byte that makes a deflated data set even.
    assert data_set(kept) in (elsewhere, elsewhere + b"\0")


async def as_received(folder: Path, *command: str) -> bytes:
    """What dcmtk's storescp writes when it is sent the same, and told to keep every bit."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    received = folder / "received"
    received.mkdir()
    options = ("-B", "+xa", "--aetitle", TITLE, "-od", str(received), port)
    listener = await asyncio.create_subprocess_exec("storescp", *options)
    try:
        program, propose, file = command
        for _ in range(200):
            sender = await asyncio.create_subprocess_exec(program, propose, "127.0.0.1", port, file)
            if await sender.wait() == 0:
                break
            await asyncio.sleep(0.05)
        (path,) = received.iterdir()
        return path.read_bytes()
    finally:
        listener.kill()
        await listener.wait()


async def test_the_bytes_of_a_data_set_are_unchanged(pacs: Pacs) -> None:
    before, pushed = await pacs.names(), image()
    device = await (await pacs.connect()).associate()
    assert await device.store(pushed) == 0x0000
    await device.release()
    assert data_set(await pacs.identified(await pacs.new_name(before))) == pushed.data_set


async def test_pynetdicom_pushes_too(pacs: Pacs) -> None:
    before, pushed = await pacs.names(), image("MR_small.dcm")

    def push() -> list[int]:
        ae = AE(ae_title=DEVICE)
        for context in AllStoragePresentationContexts[:127]:
            ae.add_requested_context(context.abstract_syntax, ExplicitVRLittleEndian)
        ae.add_requested_context(VERIFICATION)
        association = ae.associate("127.0.0.1", pacs.port, ae_title=TITLE)
        assert association.is_established
        statuses = [association.send_c_echo().Status, association.send_c_store(pushed.read).Status]
        association.release()
        return statuses

    assert await asyncio.to_thread(push) == [0, 0]
    assert data_set(await pacs.identified(await pacs.new_name(before))) == pushed.data_set


async def test_every_part_of_a_name_is_a_pseudonym(pacs: Pacs) -> None:
    before = await pacs.names()
    device = await (await pacs.connect()).associate()
    study = {"StudyInstanceUID": "1.2.3.77", "SeriesInstanceUID": "1.2.3.78", "PatientID": "Q-4711"}
    for _ in range(2):
        assert await device.store(image(**study)) == 0
    await device.release()
    one, two = sorted(set(await pacs.names()) - set(before))
    assert re.fullmatch(r"/pacs(/MDM[A-Z2-7]{13}){4}\.dcm", one)
    assert one.rpartition("/")[0] == two.rpartition("/")[0]


async def test_the_same_bytes_again_are_a_success_and_nothing_new(pacs: Pacs) -> None:
    before, pushed = await pacs.names(), image()
    for ae in (DEVICE, "OTHER", DEVICE):
        device = await (await pacs.connect()).associate(ae=ae)
        assert await device.store(pushed) == 0
        await device.release()
        assert await pacs.new_name(before)


async def test_other_pixels_under_a_known_uid_are_kept_apart(pacs: Pacs) -> None:
    first = image()
    second = image(SOPInstanceUID=first.instance, PixelData=first.read.PixelData[::-1])
    assert second.instance == first.instance
    before = await pacs.names()
    device = await (await pacs.connect()).associate()
    for pushed in (first, second, second, first):
        assert await device.store(pushed) == 0
    await device.release()
    one, two = sorted(set(await pacs.names()) - set(before), key=len)
    assert two.startswith(one.removesuffix(".dcm") + ".MDM")
    assert data_set(await pacs.identified(one)) == first.data_set
    assert data_set(await pacs.identified(two)) == second.data_set
    async with pacs.server.house.database.acquire() as db:
        told = await db.fetch("select caller, details from audit where act = 'put' order by id desc limit 4")
    assert {row["caller"] for row in told} == {f"ae:{DEVICE}"}
    assert [row["details"].get("outcome") for row in told] == ["same", "same", "apart", None]


async def test_many_push_a_new_study_at_once(pacs: Pacs) -> None:
    before = await pacs.names()
    study = {"StudyInstanceUID": "1.2.3.99", "SeriesInstanceUID": "1.2.3.98", "PatientID": "at once"}
    pushed = [image(**study) for _ in range(12)]

    async def push(one: Image, ae: str) -> int:
        device = await (await pacs.connect()).associate(ae=ae)
        return await device.store(one)

    same = zip(pushed + pushed, [DEVICE, "OTHER"] * 12, strict=True)
    assert set(await asyncio.gather(*(push(*one) for one in same))) == {0}
    new = set(await pacs.names()) - set(before)
    assert (len(new), len({lfn.rpartition("/")[0] for lfn in new})) == (12, 1)


async def test_a_de_identified_view_is_there_at_once(pacs: Pacs) -> None:
    before, pushed = await pacs.names(), image(PatientName="Planted^Name")
    device = await (await pacs.connect()).associate()
    assert await device.store(pushed) == 0
    view = await pacs.server.read(await pacs.new_name(before))
    assert b"Planted" not in view
    assert pydicom.dcmread(pydicom.filebase.DicomBytesIO(view)).pixel_array.tobytes() == (
        pushed.read.pixel_array.tobytes()
    )


async def test_each_context_is_answered_for_itself(pacs: Pacs) -> None:
    device = await pacs.connect()
    asked = [
        (CT, ["1.2.3.4.5", JPEG2000Lossless, ExplicitVRLittleEndian]),
        ("1.2.840.10008.5.1.4.1.2.2.1", [ImplicitVRLittleEndian]),
        (CT, ["1.2.3.4.5"]),
        (VERIFICATION, [ImplicitVRLittleEndian]),
        (CT, [DeflatedExplicitVRLittleEndian]),
    ]
    kind, body = await device.ask(contexts=asked)
    assert kind == 2
    told = accepted(body)
    assert [told[number][0] for number in (1, 3, 5, 7, 9)] == [0, 1, 4, 0, 0]
    assert told[1][1] == JPEG2000Lossless
    await device.send(p_data(7, 3, echo_command()))
    assert await device.status() == 0
    await device.release()


def test_every_class_that_pynetdicom_knows_is_taken() -> None:
    known = {str(context.abstract_syntax) for context in AllStoragePresentationContexts}
    assert known - STORAGE_CLASSES == set()
    assert build_context(CT).abstract_syntax in STORAGE_CLASSES


async def test_a_principal_needs_the_right_to_write(pacs: Pacs) -> None:
    await pacs.server.srm("mkdir", surl="/owned")
    device = await (await pacs.connect()).associate(ae="OWNED")
    pushed = image()
    with captured_log() as log:
        assert await device.store(pushed) == 0x0124
    (line,) = [line for line in log.getvalue().splitlines() if "a pushed image was refused" in line]
    assert "its principal has no right 'w'" in line
    assert "does not exist" not in line
    for surl, rights in (("/", "x"), ("/owned", "w")):
        rule = {"principal": "user:ct", "rights": rights}
        await pacs.server.srm("setPermission", surls=[surl], permissionType="ADD", rules=[rule])
    assert await device.store(pushed) == 0
    assert len(await pacs.names("/owned")) == 1
    async with pacs.server.house.database.acquire() as db:
        row = await db.fetchrow(
            "select caller, details from audit where act = 'put' order by id desc limit 1"
        )
    assert row["caller"] == "user:ct"
    assert "OWNED" in str(row["details"])
    await device.release()


async def test_who_loses_the_right_meanwhile_is_cut(pacs: Pacs) -> None:
    rule = {"principal": "user:ct", "rights": "w"}
    root = {"principal": "user:ct", "rights": "x"}
    await pacs.server.srm("mkdir", surl="/owned", expect=None)
    await pacs.server.srm("setPermission", surls=["/"], permissionType="ADD", rules=[root])
    await pacs.server.srm("setPermission", surls=["/owned"], permissionType="ADD", rules=[rule])
    before, pushed = await pacs.names("/owned"), image()
    device = await (await pacs.connect()).associate(ae="OWNED")
    await device.send(p_data(1, 3, store_command(pushed.instance)))
    await device.send_data_set(pushed.data_set[:20_000], whole=False)
    await until(lambda: pacs.server.house.admission.receiving)
    await pacs.server.srm("setPermission", surls=["/owned"], permissionType="REMOVE", rules=[rule])
    assert (await device.pdu())[0] == 0
    assert await pacs.names("/owned") == before


async def test_a_principal_has_the_rights_of_its_groups(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    groups = tmp_path / "groups.toml"
    groups.write_text('[groups]\nscanners = ["user:ct"]\n')
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, identity={"mapping": str(groups)}) as pacs:
        await pacs.server.srm("mkdir", surl="/owned")
        for surl, rights in (("/", "x"), ("/owned", "w")):
            rule = {"principal": "group:local#/scanners", "rights": rights}
            await pacs.server.srm("setPermission", surls=[surl], permissionType="ADD", rules=[rule])
        device = await (await pacs.connect()).associate(ae="OWNED")
        assert await device.store(image()) == 0


async def test_a_mapped_patient_is_named_by_the_subject(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    template = "{subject}/{instance}.dcm"
    hospitals = [calling(ae, template=template, issuer=ae) for ae in ("NORTH", "SOUTH")]
    own = {"calling": [calling(template=template), *hospitals]}
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, pacs=own) as pacs:
        await pacs.server.srm("mkdir", surl="/pacs")
        await add(pacs.server, TRIAL)
        reply = await put(
            pacs.server, "patient,subject,issuer\nP-1,S01,\nP-2,S02,\n4711,S03,NORTH\n4711,S04,SOUTH\n"
        )
        assert reply.status == 200
        await ask(pacs.server, "trial", "apply", 202, surl="/pacs", default=True)
        device = await (await pacs.connect()).associate()
        named = {}
        for patient in ("P-1", "S01", "S02", "P-9"):
            before = await pacs.names()
            assert await device.store(image(PatientID=patient)) == 0
            named[patient] = (await pacs.new_name(before)).split("/")[2]
        assert named["P-1"] == "S01"
        # One whose own ID is somebody's subject is not taken for that one.
        assert [name[:3] for patient, name in named.items() if patient != "P-1"] == ["MDM"] * 3
        # Equal IDs of two hospitals are two subjects, in names and in views, and of others nobody.
        for ae, subject in (("NORTH", "S03"), ("SOUTH", "S04"), ("STORESCU", "MDM")):
            before = await pacs.names()
            device = await (await pacs.connect()).associate(ae=ae)
            assert await device.store(image(PatientID="4711", SOPInstanceUID=generate_uid())) == 0
            lfn = await pacs.new_name(before)
            assert lfn.split("/")[2].startswith(subject)
            if subject != "MDM":
                view = pydicom.dcmread(io.BytesIO(await pacs.server.read(lfn, view="trial")))
                assert view.PatientID == subject
