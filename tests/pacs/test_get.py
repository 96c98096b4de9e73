"""C-GET: tools retrieve what their principal may read in their view, byte for byte, or told why not."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom.dsutils import encode

from mdm_async.catalog.holdings.locality import Locality
from mdm_async.dicom.indexed import by_keyword
from mdm_async.images.metadata import valued
from mdm_async.images.reading.shelf import not_online
from mdm_async.images.studies import originals, searching
from mdm_async.images.studies.asked import OF_ALL
from mdm_async.images.transfers.opening import OpenedViews
from mdm_async.pacs.dimse import sub_operations
from tests.canary import canary
from tests.faults.conditions import until
from tests.pacs.devices import CT, Pacs, command, data_set, p_data, pacs_server
from tests.pacs.tools import (
    PATIENT_FIND,
    PATIENT_GET,
    SECURED,
    STUDY_GET,
    TOOLS,
    Tool,
    answers_of,
    fill,
    folders,
    identifier,
)
from tests.postgres.for_tests import PostgresForTests
from tests.web.dicomweb.conftest import image
from tests.web.dicomweb.test_decoded_frames import written as as_file
from tests.web.dicomweb.test_decoded_instances import compressed
from tests.web.test_canaries import identifying
from tests.web.test_privacy import captured_log


@pytest.fixture(scope="module")
async def shown(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pacs]:
    dsn, data = await postgres.fresh_database(migrated), tmp_path_factory.mktemp("shown") / "data"
    async with pacs_server(data, dsn, pacs={"calling": TOOLS}, server=SECURED) as running:
        await fill(running)
        yield running


async def largest(pacs: Pacs) -> Dataset:
    """The study of three images, as it is found."""
    asked = identifier("STUDY", StudyInstanceUID="", PatientID="", NumberOfStudyRelatedInstances="")
    found = (await Tool(pacs).find(asked)).answers
    return max(found, key=lambda one: int(one.NumberOfStudyRelatedInstances))


async def stored(pacs: Pacs, *names: str) -> set[bytes]:
    """Data sets of the default views of these files, as they are read by name."""
    return {data_set(await pacs.server.read(f"/seen/{name}")) for name in names}


def written(taken: Dataset) -> bytes:
    into = io.BytesIO()
    pydicom.dcmwrite(into, taken, enforce_file_format=True)
    return data_set(into.getvalue())


async def test_dcmtk_gets_a_study(shown: Pacs, tmp_path: Path) -> None:
    study = await largest(shown)
    keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study.StudyInstanceUID}")
    said, files = await answers_of(shown, "getscu", tmp_path, *keys)
    assert len(files) == 3
    assert {data_set(one.read_bytes()) for one in files} == await stored(shown, "1.dcm", "2.dcm", "3.dcm")
    assert "Completed Suboperations : 3" in said or "Number of Completed Suboperations     : 3" in said, said


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
async def test_levels_of_both_models(shown: Pacs, syntax: str) -> None:
    study = await largest(shown)
    whole = await Tool(shown).get(
        identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID), syntaxes=[syntax]
    )
    assert whole.statuses == [0xFF00, 0xFF00, 0]
    assert (whole.last.NumberOfCompletedSuboperations, whole.last.NumberOfFailedSuboperations) == (3, 0)
    assert {one.file_meta.TransferSyntaxUID for one in whole.images} == {syntax}
    one = whole.images[0]
    uids = {"StudyInstanceUID": one.StudyInstanceUID, "SeriesInstanceUID": one.SeriesInstanceUID}
    images = [each.SOPInstanceUID for each in whole.images]
    patient = {"PatientID": study.PatientID}
    for asked, model, count in (
        (identifier("SERIES", **uids), STUDY_GET, 3),
        (identifier("IMAGE", **uids, SOPInstanceUID=images[0]), STUDY_GET, 1),
        (identifier("IMAGE", **uids, SOPInstanceUID=images[:2]), STUDY_GET, 2),
        (identifier("PATIENT", **patient), PATIENT_GET, 3),
        (identifier("STUDY", **patient, StudyInstanceUID=study.StudyInstanceUID), PATIENT_GET, 3),
        (identifier("STUDY", PatientID="another", StudyInstanceUID=study.StudyInstanceUID), PATIENT_GET, 0),
        (identifier("SERIES", **uids | {"SeriesInstanceUID": "1.2"}), STUDY_GET, 0),
        (identifier("STUDY", StudyInstanceUID="1.2.3.1"), STUDY_GET, 0),
    ):
        taken = await Tool(shown).get(asked, model, syntaxes=[syntax])
        assert (len(taken.images), taken.statuses[-1]) == (count, 0), asked


async def test_the_data_set_is_what_is_stored_and_written_anew_it_says_the_same(shown: Pacs) -> None:
    study = await largest(shown)
    asked = identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID)
    explicit, implicit = [
        {str(one.SOPInstanceUID): one for one in (await Tool(shown).get(asked, syntaxes=[syntax])).images}
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    ]
    assert {written(one) for one in explicit.values()} == await stored(shown, "1.dcm", "2.dcm", "3.dcm")
    for uid, one in explicit.items():
        assert Dataset(one) == Dataset(implicit[uid])
        assert one.PixelData == implicit[uid].PixelData


async def test_explicit_vr_is_chosen_where_it_is_offered(shown: Pacs) -> None:
    study = await largest(shown)
    asked = identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID)
    taken = await Tool(shown).get(asked, syntaxes=[ImplicitVRLittleEndian, ExplicitVRLittleEndian])
    assert {one.file_meta.TransferSyntaxUID for one in taken.images} == {ExplicitVRLittleEndian}


async def test_compressed_and_big_endian_images_are_made_native_for_tools_that_take_no_others(
    shown: Pacs, tmp_path: Path
) -> None:
    of = {"StudyInstanceUID": "1.2.3.86", "SeriesInstanceUID": "1.2.3.86.1", "PatientID": "P86"}
    asked = identifier("STUDY", StudyInstanceUID="")
    before = {one.StudyInstanceUID for one in (await Tool(shown).find(asked)).answers}
    names = ("MR_small_jp2klossless", "SC_rgb_rle", "MR_small_bigendian", "JPEG-lossy")
    images = [compressed(name, 86 + number, **of) for number, name in enumerate(names)]
    for number, one in enumerate(images):
        await shown.server.put(f"/seen/compressed-{number}.dcm", as_file(one))
    found = {one.StudyInstanceUID for one in (await Tool(shown).find(asked)).answers}
    (study,) = found - before
    try:
        decoded = [one.pixel_array for one in images[:3]]
        expected = [one.astype(one.dtype.newbyteorder("<")).tobytes() for one in decoded]
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            with captured_log() as log:
                taken = await Tool(shown).get(identifier("STUDY", StudyInstanceUID=study), syntaxes=[syntax])
            # The last of them is one that no decoder reads.
            assert (taken.statuses[-1], taken.last.NumberOfFailedSuboperations) == (0xB000, 1)
            assert {one.file_meta.TransferSyntaxUID for one in taken.images} == {syntax}
            assert sorted(one.pixel_array.tobytes() for one in taken.images) == sorted(expected)
            assert "transfer-syntax" not in log.getvalue()
        taken = await Tool(shown).get(
            identifier("STUDY", StudyInstanceUID=study), syntaxes=[JPEG2000Lossless]
        )
        assert [one.file_meta.TransferSyntaxUID for one in taken.images] == [JPEG2000Lossless]
        _, files = await answers_of(
            shown, "getscu", tmp_path, "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study}"
        )
        assert sorted(pydicom.dcmread(one).pixel_array.tobytes() for one in files) == sorted(expected)
        assert not shown.server.house.budget.shares.used
    finally:
        for number in range(len(images)):
            await shown.server.srm("rm", surls=[f"/seen/compressed-{number}.dcm"])


@pytest.mark.parametrize(
    ("how", "status"),
    [({"classes": ["1.2.840.10008.5.1.4.1.1.4"]}, 0xA702), ({"syntaxes": [JPEG2000Lossless]}, 0xA702),
     ({"syntaxes": [ExplicitVRBigEndian]}, 0xA702), ({"status": 0xA700}, 0xA702), ({"status": 0xB006}, 0)],
)  # fmt: skip
async def test_what_does_not_arrive_is_counted_and_named(
    shown: Pacs, how: dict[str, Any], status: int
) -> None:
    study = await largest(shown)
    asked = identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID)
    with captured_log() as log:
        taken = await Tool(shown).get(asked, **how)
    assert taken.statuses[-1] == status
    last = taken.last
    counts = (
        last.NumberOfCompletedSuboperations,
        last.NumberOfFailedSuboperations,
        last.NumberOfWarningSuboperations,
    )
    assert counts == ((0, 0, 3) if status == 0 else (0, 3, 0))
    assert len(taken.answers[-1].FailedSOPInstanceUIDList) == 3 if status else not taken.answers
    assert str(study.StudyInstanceUID) not in log.getvalue()


async def test_one_that_cannot_leave_does_not_keep_the_others(shown: Pacs) -> None:
    house = shown.server.house
    study = await largest(shown)
    asked = identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID)
    (gone, *_) = (await Tool(shown).get(asked)).images
    async with house.database.acquire() as db:
        found = "select image from entries where name = '1.dcm'"
        lost = await db.fetchval(f"update images set locality = 'LOST' where id = ({found}) returning id")
    shown.server.cool()
    try:
        taken = await Tool(shown).get(asked)
    finally:
        async with house.database.acquire() as db:
            await db.execute("update images set locality = 'ONLINE' where id = $1", lost)
    assert (len(taken.images), taken.statuses[-1]) == (2, 0xB000)
    assert taken.last.NumberOfFailedSuboperations == 1
    assert "log says why" in taken.last.ErrorComment
    failed = taken.answers[-1].FailedSOPInstanceUIDList
    assert failed not in {one.SOPInstanceUID for one in taken.images}
    assert gone.StudyInstanceUID == study.StudyInstanceUID


async def test_what_is_at_its_archive_alone_is_told_as_that(
    shown: Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise not_online(Locality.NEARLINE)

    study = await largest(shown)
    monkeypatch.setattr(OpenedViews, "open", away)
    with captured_log() as log:
        taken = await Tool(shown).get(identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID))
    assert taken.statuses[-1] == 0xA702
    assert taken.last.ErrorComment == "not here, have them staged (mdm pacs stage): 3 images"
    assert len(taken.last.ErrorComment) + len("20000") <= 64
    assert "mdm pacs stage" in log.getvalue()


async def test_who_may_read_nothing_gets_nothing(shown: Pacs) -> None:
    study = await largest(shown)
    for ae in ("NOBODY", "DOCTOR"):
        taken = await Tool(shown, ae).get(identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID))
        assert (taken.images, taken.statuses, taken.last.NumberOfFailedSuboperations) == ([], [0], 0)
    (original,) = (
        await Tool(shown, "DOCTOR").get(
            identifier(
                "IMAGE",
                StudyInstanceUID="1.2.3.1",
                SeriesInstanceUID="1.2.3.1.1",
                SOPInstanceUID="1.2.3.1.1.1",
            )
        )
    ).images
    assert original.PatientName == "One^Patient"


async def test_a_read_is_in_the_audit(shown: Pacs) -> None:
    study = await largest(shown)
    shown.server.cool()
    shown.server.house.reads._begun.clear()
    async with shown.server.house.database.acquire() as db:
        before = await db.fetchval("select coalesce(max(id), 0) from audit")
    await Tool(shown).get(identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID))
    async with shown.server.house.database.acquire() as db:
        rows = await db.fetch("select act, caller from audit where id > $1 and outcome <> 'success'", before)
        opened = await db.fetchval("select count(*) from audit where id > $1 and act = 'open'", before)
    assert [(row["act"], row["caller"]) for row in rows if row["act"] == "read"] == [
        ("read", "user:tool")
    ] * 3
    assert opened == 3


async def test_more_than_are_retrieved_at_once(shown: Pacs, monkeypatch: pytest.MonkeyPatch) -> None:
    study = await largest(shown)
    monkeypatch.setattr(searching, "MOST_RETRIEVED", 2)
    taken = await Tool(shown).get(identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID))
    assert (taken.images, taken.statuses) == ([], [0xA701])


async def test_originals_of_a_series_leave_however_many_pages_they_are(
    shown: Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(originals, "MOST_OPENED", 2)
    monkeypatch.setattr(valued, "PAGE", 2)
    doctor, study = Tool(shown, "DOCTOR"), "1.2.3.1"
    numbers = {"NumberOfStudyRelatedInstances": "", "NumberOfStudyRelatedSeries": "", "ModalitiesInStudy": ""}
    (one,) = (await doctor.find(identifier("STUDY", StudyInstanceUID=study, **numbers))).answers
    assert (one.NumberOfStudyRelatedInstances, one.NumberOfStudyRelatedSeries) == (5, 2)
    taken = await doctor.get(identifier("SERIES", StudyInstanceUID=study, SeriesInstanceUID="1.2.3.1.1"))
    assert (len(taken.images), taken.statuses[-1]) == (3, 0)
    uids = [one.SOPInstanceUID for one in taken.images]
    below = {"StudyInstanceUID": study, "SeriesInstanceUID": "1.2.3.1.1"}
    again = await doctor.get(identifier("IMAGE", SOPInstanceUID=uids, **below))
    assert sorted(one.SOPInstanceUID for one in again.images) == sorted(uids)
    found = await doctor.find(identifier("STUDY", StudyInstanceUID="", PatientName="", **numbers))
    assert found.statuses[-1] == 0xA700
    assert {one[name].value for one in found.answers for name in numbers} <= {None, ""}
    patients = await doctor.find(identifier("PATIENT", PatientID="", **PATIENTS), PATIENT_FIND)
    assert {one[name].value for one in patients.answers for name in PATIENTS} == {None}
    monkeypatch.setattr(searching, "MOST_RETRIEVED", 2)
    taken = await doctor.get(identifier("STUDY", StudyInstanceUID=study))
    assert (taken.images, taken.statuses) == ([], [0xA701])


PATIENTS = {"NumberOfPatientRelatedStudies": "", "NumberOfPatientRelatedInstances": ""}


@pytest.mark.parametrize(
    "asked",
    [
        identifier("STUDY"),
        identifier("STUDY", StudyInstanceUID=""),
        identifier("STUDY", StudyInstanceUID="*"),
        identifier("IMAGE", SOPInstanceUID="1.2"),
        identifier("SERIES", StudyInstanceUID=["1.2", "1.3"], SeriesInstanceUID="1.2"),
        identifier("PATIENT", PatientID="*"),
        identifier("STUDY", StudyInstanceUID="1.2", DeviceUID="1.2"),
    ],
)
async def test_identifiers_that_do_not_fit(shown: Pacs, asked: Dataset) -> None:
    model = PATIENT_GET if asked.QueryRetrieveLevel == "PATIENT" else STUDY_GET
    taken = await Tool(shown).get(asked, model)
    assert taken.statuses[0] in (0xA900, 0xC000)
    assert not taken.images


async def test_a_cancelled_retrieval_ends_behind_the_image_that_is_on_its_way(shown: Pacs) -> None:
    study = await largest(shown)
    taken = await Tool(shown).get(identifier("STUDY", StudyInstanceUID=study.StudyInstanceUID), cancel=1)
    assert taken.statuses[-1] == 0xFE00
    assert (taken.last.NumberOfCompletedSuboperations, taken.last.NumberOfRemainingSuboperations) == (1, 2)


@pytest.mark.parametrize("way", ["cut", "aborted", "another request"])
async def test_a_tool_that_goes_away_in_the_middle_leaves_nothing_behind(shown: Pacs, way: str) -> None:
    house = shown.server.house
    study = await largest(shown)
    device = await get_by_hand(shown, str(study.StudyInstanceUID))
    assert (await device.pdu())[0] == 4
    assert house.admission.running == 1
    if way == "cut":
        device.close()
    else:
        await device.send(b"\7\0\0\0\0\4\0\0\0\0" if way == "aborted" else p_data(1, 3, get_command()))
    await until(lambda: not house.admission.running)
    assert not house.budget.shares.used


async def test_a_tool_that_goes_away_while_frames_are_decoded_leaves_nothing_behind(shown: Pacs) -> None:
    house = shown.server.house
    asked = identifier("STUDY", StudyInstanceUID="")
    before = {one.StudyInstanceUID for one in (await Tool(shown).find(asked)).answers}
    await shown.server.put("/seen/frames.dcm", as_file(compressed("MR_small_RLE", 91, frames=4000)))
    (study,) = {one.StudyInstanceUID for one in (await Tool(shown).find(asked)).answers} - before
    try:
        device = await get_by_hand(shown, str(study))
        assert (await device.pdu())[0] == 4
        assert house.admission.running == 1
        # Of 31 MiB of frames.
        assert house.budget.shares.used < 128 << 20
        device.close()
        await until(lambda: not house.admission.running and not house.budget.shares.used)
    finally:
        await shown.server.srm("rm", surls=["/seen/frames.dcm"])


def get_command() -> bytes:
    return command(
        AffectedSOPClassUID=STUDY_GET, CommandField=0x10, MessageID=9, Priority=0, CommandDataSetType=1
    )


async def get_by_hand(pacs: Pacs, study: str) -> Any:
    from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation

    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, False, True
    contexts = [(STUDY_GET, [ImplicitVRLittleEndian]), (CT, [ExplicitVRLittleEndian])]
    device = await (await pacs.connect()).associate(ae="TOOL", contexts=contexts, more=[role])
    uid = study.encode() + b"\0" * (len(study) % 2)
    keys = b"\x08\0\x52\0\6\0\0\0STUDY \x20\0\x0d\0" + len(uid).to_bytes(4, "little") + uid
    await device.send(p_data(1, 3, get_command()) + p_data(1, 2, keys))
    return device


async def test_a_stored_image_that_is_damaged_ends_the_association(
    shown: Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = await largest(shown)
    in_order = sub_operations._in_order

    async def broken(*args: Any) -> Any:
        from mdm_async.errors import Damaged

        async for piece in in_order(*args):
            yield piece[: len(piece) // 2]
            raise Damaged("a blob is gone")

    monkeypatch.setattr(sub_operations, "_in_order", broken)
    with captured_log() as log:
        device = await get_by_hand(shown, str(study.StudyInstanceUID))
        kinds = []
        while not kinds or kinds[-1] == 4:
            kinds.append((await device.pdu())[0])
    assert kinds[-1] == 7
    assert "damaged" in log.getvalue()
    await until(lambda: not shown.server.house.admission.running)


async def test_a_tool_that_takes_nothing_more_is_cut(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    own, limits = {"calling": TOOLS, "idle_seconds": 2}, {"pace_seconds": 1}
    async with pacs_server(tmp_path / "data", dsn, pacs=own, limits=limits, server=SECURED) as pacs:
        await folders(pacs)
        await pacs.server.put("/seen/large.dcm", image(77, pixels=32_000_000))
        (study,) = (await Tool(pacs).find(identifier("STUDY", StudyInstanceUID=""))).answers
        device = await get_by_hand(pacs, str(study.StudyInstanceUID))
        device.writer.transport.pause_reading()
        house = pacs.server.house
        await until(lambda: house.admission.running == 1)
        assert 0 < house.budget.shares.used < 4 << 20
        with captured_log() as log:
            await until(lambda: "silent for too long" in log.getvalue())
        assert not house.admission.running
        assert not house.budget.shares.used


@pytest.mark.parametrize("encoding", ["explicit", "implicit"])
async def test_no_canary_leaves(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, encoding: str
) -> None:
    """A file full of identifiers, asked for by every key at every level, and got: none comes out of a view."""
    planted = canary(91, encoding)
    dsn = await postgres.fresh_database(migrated)
    async with pacs_server(tmp_path / "data", dsn, pacs={"calling": TOOLS}, server=SECURED) as pacs:
        await folders(pacs)
        with captured_log() as log:
            await pacs.server.put("/seen/a.dcm", planted.data)
            told, above = b"", dict[str, str]()
            every = dict.fromkeys([*by_keyword(), *OF_ALL], "")
            del every["TransferSyntaxUID"]
            for level, unique in UNIQUE.items():
                asked = identifier(level, **every | above)
                found = await Tool(pacs).find(asked, PATIENT_FIND)
                (one,) = found.answers
                told += encode(one, False, True) or b""
                above[unique] = str(one[unique].value)
            for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
                study = identifier("STUDY", StudyInstanceUID=above["StudyInstanceUID"])
                (one,) = (await Tool(pacs).get(study, syntaxes=[syntax])).images
                told += encode(one, syntax == ImplicitVRLittleEndian, True) or b""
        assert identifying(planted.survivors(told)) == []
        assert len(told) > 3_000
        assert planted.survivors(log.getvalue().encode()) == []


UNIQUE = {
    "PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID",
}  # fmt: skip
