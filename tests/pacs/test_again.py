"""A known SOP Instance UID comes again: the same changes nothing, another head is a new version, other pixels are kept
apart, and what is another patient's by now has that one's name."""

import asyncio
import io
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from mdm_async.images.metrics import FILED
from mdm_async.images.transfers import filing, known
from tests.faults.conditions import until
from tests.pacs.devices import CT, Device, Image, Pacs, data_set, image, large
from tests.web.dicomweb.test_store import stow
from tests.web.test_privacy import captured_log


@pytest.fixture
async def device(pacs: Pacs) -> Device:
    contexts = [(CT, ["1.2.840.10008.1.2.1"]), (CT, [ImplicitVRLittleEndian]), (SR, ["1.2.840.10008.1.2.1"])]
    return await (await pacs.connect()).associate(contexts=contexts)


SR = "1.2.840.10008.5.1.4.1.1.88.11"
UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


def own(**values: Any) -> Image:
    """An image of a study of its own."""
    uids = {name: generate_uid() for name in UIDS}
    return image(**(uids | {"PatientID": f"Q-{uids['StudyInstanceUID'][-8:]}"} | values))


def again(first: Image, sample: str = "CT_small.dcm", **values: Any) -> Image:
    """The same instance with another head."""
    kept = {name: first.read[name].value for name in (*UIDS, "PatientID")}
    return image(sample, **(kept | values))


async def guids(pacs: Pacs, names: list[str]) -> list[str]:
    return [
        (await pacs.server.srm("ls", surls=[lfn], fullDetailedList=True))["files"][0]["guid"] for lfn in names
    ]


async def told(pacs: Pacs) -> Mapping[str, Any]:
    """What the audit says of the last image that came."""
    async with pacs.server.house.database.acquire() as db:
        row = await db.fetchrow("select guid, details from audit where act = 'put' order by id desc limit 1")
    return dict(row["details"]) | {"guid": str(row["guid"])}


@pytest.mark.parametrize("noticed", [False, True])
async def test_what_is_damaged_here_is_stored_anew_when_it_is_sent_again(
    pacs: Pacs, device: Device, noticed: bool
) -> None:
    before, pushed = await pacs.names(), own(**large())
    assert await device.store(pushed) == 0
    lfn = await pacs.new_name(before)
    guid = await guids(pacs, [lfn])
    await pacs.lose(pushed.instance)
    if noticed:
        with pytest.raises(AssertionError, match="lost"):
            await pacs.identified(lfn)
        await until(lambda: _noticed(pacs, lfn))
    assert await device.store(pushed) == 0
    assert await told(pacs) == {"by": "C-STORE of STORESCU", "outcome": "updated", "guid": guid[0]}
    assert data_set(await pacs.identified(lfn)) == pushed.data_set
    assert await guids(pacs, [lfn]) == guid
    assert await device.store(pushed) == 0
    assert (await told(pacs))["outcome"] == "same"


async def _noticed(pacs: Pacs, lfn: str) -> bool:
    listed = await pacs.server.srm("ls", surls=[lfn], fullDetailedList=True)
    return bool(listed["files"][0]["fileLocality"] == "LOST")


async def test_what_changes_all_the_time_is_no_endless_work(
    pacs: Pacs, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def changed(*_: object) -> None:
        await asyncio.sleep(0)
        raise filing._Unexamined(())

    pushed, before = own(), await pacs.names()
    with monkeypatch.context() as slow:
        slow.setattr(filing, "_LONGEST", 0.1)
        slow.setattr(filing._Filing, "_filed", changed)
        assert await device.store(pushed) == 0xA700
    assert await pacs.names() == before
    assert await device.store(pushed) == 0


async def test_a_corrected_head_is_a_new_version_of_the_same_file(pacs: Pacs, device: Device) -> None:
    before, first = await pacs.names(), own(PatientName="Planted^Wrong")
    assert await device.store(first) == 0
    lfn = await pacs.new_name(before)
    (guid,) = await guids(pacs, [lfn])
    ticket = await pacs.server.prepare(lfn)
    async with pacs.server.http.get(ticket["transferURL"]) as answer:
        etag = answer.headers["ETag"]
    async with pacs.server.house.database.acquire() as db:
        old = await db.fetchval("select image from entries where guid = $1", guid)
    corrected = again(first, PatientName="Planted^Right", StudyDescription="corrected")
    counted = FILED.labels("updated")._value.get()
    with captured_log() as log:
        assert await device.store(corrected) == 0
    assert await pacs.new_name(before) == lfn
    assert await guids(pacs, [lfn]) == [guid]
    assert data_set(await pacs.identified(lfn)) == corrected.data_set
    async with pacs.server.http.get((await pacs.server.prepare(lfn))["transferURL"]) as answer:
        assert answer.headers["ETag"] != etag
    # Who was reading the old version is told so, and the old version goes.
    async with pacs.server.http.get(ticket["transferURL"]) as answer:
        assert answer.status == 410
    assert await told(pacs) == {"by": "C-STORE of STORESCU", "outcome": "updated", "guid": guid}
    assert FILED.labels("updated")._value.get() == counted + 1
    assert "Planted" not in log.getvalue()
    assert "updated" in log.getvalue()

    async def is_doomed() -> bool:
        async with pacs.server.house.database.acquire() as db:
            return not await db.fetchval(
                "select exists (select from images where id = $1 and doomed is null)", old
            )

    await until(is_doomed)
    # The same once more is nothing new.
    assert await device.store(corrected) == 0
    assert (await told(pacs))["outcome"] == "same"


async def test_the_same_data_set_in_another_transfer_syntax_is_nothing_new(
    pacs: Pacs, device: Device
) -> None:
    before, first = await pacs.names(), own()
    assert await device.store(first) == 0
    other = first.read
    other.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    written = io.BytesIO()
    other.save_as(written, implicit_vr=True, little_endian=True)
    implicit = Image(written.getvalue())
    assert implicit.data_set != first.data_set
    assert await device.store(implicit, context=3) == 0
    assert data_set(await pacs.identified(await pacs.new_name(before))) == first.data_set
    assert (await told(pacs))["outcome"] == "same"


async def test_an_image_that_is_another_patients_by_now_has_that_ones_name(
    pacs: Pacs, device: Device
) -> None:
    before, first = await pacs.names(), own(PatientID="Q-old")
    assert await device.store(first) == 0
    lfn = await pacs.new_name(before)
    (guid,) = await guids(pacs, [lfn])
    merged = again(first, PatientID="Q-new")
    assert await device.store(merged) == 0
    moved = await pacs.new_name(before)
    assert moved.split("/")[2] != lfn.split("/")[2]
    assert moved.split("/")[3:] == lfn.split("/")[3:]
    assert await guids(pacs, [moved]) == [guid]
    assert data_set(await pacs.identified(moved)) == merged.data_set
    assert (await told(pacs))["outcome"] == "patient changed"
    # And back, as the source says.
    assert await device.store(first) == 0
    assert await pacs.new_name(before) == lfn


async def test_a_corrected_issuer_is_another_patient_with_whom_no_rights_go(pacs: Pacs) -> None:
    device, landing = await (await pacs.connect()).associate(ae="NORTH"), "/issued"
    before, first = await pacs.names(landing), own(PatientID="0815", IssuerOfPatientID="NORTH")
    assert await device.store(first) == 0
    lfn = await pacs.new_name(before, landing)
    given = {"principal": "user:guest", "rights": "rlxg"}
    await pacs.server.srm("setPermission", surls=[lfn], permissionType="ADD", rules=[given])
    # A version that is the same patient's keeps them.
    assert await device.store(again(first, StudyDescription="corrected", IssuerOfPatientID="NORTH")) == 0
    assert "dropped" not in await told(pacs)
    assert await device.store(again(first, IssuerOfPatientID="SOUTH")) == 0
    said = await told(pacs)
    assert (said["outcome"], said["dropped"]) == ("patient changed", "acl")
    moved = await pacs.new_name(before, landing)
    assert moved.split("/")[2] != lfn.split("/")[2]
    async with pacs.server.house.database.acquire() as db:
        assert await db.fetchval("select acl from entries where guid = $1", UUID(said["guid"])) is None
    # It is where the others of that patient are.
    assert await device.store(own(PatientID="0815", IssuerOfPatientID="SOUTH")) == 0
    assert len({one.split("/")[2] for one in set(await pacs.names(landing)) - set(before)}) == 1
    # And in one study they are two.
    beside = again(first, SOPInstanceUID=generate_uid(), IssuerOfPatientID="NORTH")
    assert await device.store(beside) == 0
    assert "another patient" in (await told(pacs))["study"]


async def test_what_others_put_elsewhere_under_its_uids_stops_no_correction(
    pacs: Pacs, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "_PAGE", 1)
    before, first = await pacs.names(), own(PatientID="Q-one")
    folder = await pacs.server.directory()
    for n in range(5):
        await pacs.server.put(f"{folder}/{n}.dcm", again(first, StudyDescription=f"{n}").file)
    assert await device.store(first) == 0
    lfn = await pacs.new_name(before)
    corrected = again(first, PatientName="Planted^Right")
    assert await device.store(corrected) == 0
    assert await pacs.new_name(before) == lfn
    assert data_set(await pacs.identified(lfn)) == corrected.data_set
    other = again(first, PatientID="Q-two", SOPInstanceUID=generate_uid())
    assert await device.store(other) == 0
    assert "another patient" in (await told(pacs))["study"]


async def test_two_patients_in_one_study_are_told_and_not_mixed(pacs: Pacs, device: Device) -> None:
    before, first = await pacs.names(), own(PatientID="Q-one")
    second = again(first, PatientID="Q-two", SOPInstanceUID=generate_uid())
    with captured_log() as log:
        assert [await device.store(one) for one in (first, second)] == [0, 0]
    assert "another patient" in (await told(pacs))["study"]
    assert "another patient" in log.getvalue()
    assert "Q-" not in log.getvalue()
    new = set(await pacs.names()) - set(before)
    assert len({lfn.split("/")[2] for lfn in new}) == 2


async def test_other_pixels_of_another_patient_are_kept_apart(pacs: Pacs, device: Device) -> None:
    before, first = await pacs.names(), own(PatientID="Q-one")
    other = again(first, PatientID="Q-two", PixelData=first.read.PixelData[::-1])
    assert [await device.store(one) for one in (first, other)] == [0, 0]
    new = sorted(set(await pacs.names()) - set(before))
    assert {data_set(await pacs.identified(lfn)) for lfn in new} == {first.data_set, other.data_set}


async def test_a_report_is_the_same_as_long_as_it_says_the_same(pacs: Pacs, device: Device) -> None:
    sample = "reportsi.dcm"
    before = await pacs.names()
    first = image(sample, PatientName="Planted^Wrong", SOPClassUID=SR)
    corrected = image(sample, SOPInstanceUID=first.instance, PatientName="Planted^Right", SOPClassUID=SR)
    other = image(sample, SOPInstanceUID=first.instance, InstanceNumber=4711, SOPClassUID=SR)
    for pushed in (first, corrected):
        assert await device.store(pushed, context=5, sop_class=SR) == 0
    lfn = await pacs.new_name(before)
    assert data_set(await pacs.identified(lfn)) == corrected.data_set
    assert await device.store(other, context=5, sop_class=SR) == 0
    assert len(set(await pacs.names()) - set(before)) == 2
    assert data_set(await pacs.identified(lfn)) == corrected.data_set


async def test_what_another_has_brought_is_replaced_by_who_may_overwrite_it_alone(pacs: Pacs) -> None:
    server, landing = pacs.server, "/dicomweb"
    first = own()
    assert (await stow(server, first.file)).status == 200
    before = await pacs.names(landing)
    corrected = again(first, StudyDescription="corrected")
    writer, owner = await server.token("w", landing), await server.token("wd", landing)
    assert (await stow(server, corrected.file, token=writer)).status == 200
    assert len(await pacs.names(landing)) == len(before) + 1
    assert first.file in [await pacs.identified(lfn) for lfn in before]
    assert (await stow(server, again(first, StudyDescription="third").file, token=owner)).status == 200
    assert len(await pacs.names(landing)) == len(before) + 1
    assert first.file not in [await pacs.identified(lfn) for lfn in before]


async def test_many_versions_and_patients_at_once_are_one_file(pacs: Pacs) -> None:
    before, first = await pacs.names(), own()
    versions = [first, *(again(first, PatientID=f"Q-{n % 2}", StudyDescription=f"{n}") for n in range(7))]

    async def push(one: Image) -> int:
        return await (await (await pacs.connect()).associate()).store(one)

    assert {*await asyncio.gather(*map(push, versions * 2))} == {0}
    lfn = await pacs.new_name(before)
    assert data_set(await pacs.identified(lfn)) in [one.data_set for one in versions]
    async with pacs.server.house.database.acquire() as db:
        # Of all versions but the last none is left.
        names = set(await pacs.names()) - set(before)
        kept = (
            "select count(*) from images i where doomed is null"
            " and not exists (select from entries where image = i.id)"
        )
        assert (len(names), await db.fetchval(kept)) == (1, 0)


async def test_what_was_linked_stays_as_it_was(pacs: Pacs, device: Device) -> None:
    before, first = await pacs.names(), own()
    assert await device.store(first) == 0
    lfn, server = await pacs.new_name(before), pacs.server
    folder = await server.directory()
    linked = await server.call(
        "POST",
        "/admin/v1/link",
        token=server.admin_token,
        json={"surls": [lfn], "target": folder, "view": "basic", "template": "{instance}.dcm"},
    )
    assert linked.status == 200, linked.body
    (link,) = (await server.srm("ls", surls=[folder]))["files"][0]["subPaths"]
    old = await server.read(link["path"])
    assert await device.store(again(first, SeriesDescription="corrected", KVP="99")) == 0
    assert await server.read(link["path"]) == old
    assert await server.read(lfn) != old


async def test_a_file_that_was_moved_by_hand_has_its_new_version_there(pacs: Pacs, device: Device) -> None:
    before, first = await pacs.names(), own()
    assert await device.store(first) == 0
    lfn = await pacs.new_name(before)
    moved = f"{lfn.rpartition('/')[0]}/curated/one.dcm"
    await pacs.server.srm("mkdir", surl=moved.rpartition("/")[0])
    await pacs.server.srm("mv", fromSURL=lfn, toSURL=moved)
    corrected = again(first, StudyDescription="corrected")
    assert await device.store(corrected) == 0
    assert await pacs.new_name(before) == moved
    assert data_set(await pacs.identified(moved)) == corrected.data_set
    # Of another study it has that one's name.
    other = again(first, StudyInstanceUID=generate_uid())
    assert await device.store(other) == 0
    assert (await pacs.new_name(before)).split("/")[2] == lfn.split("/")[2]
    assert (await told(pacs))["outcome"] == "updated"


async def test_but_not_under_a_name_that_tells_who_the_patient_is_by_now(pacs: Pacs, device: Device) -> None:
    before, first = await pacs.names(), own(PatientName="Unknown^Trauma")
    assert await device.store(first) == 0
    lfn = await pacs.new_name(before)
    guid = await guids(pacs, [lfn])
    curated = f"{lfn.rpartition('/')[0]}/feldmann"
    await pacs.server.srm("mkdir", surl=curated)
    await pacs.server.srm("mv", fromSURL=lfn, toSURL=curated)
    corrected = again(first, PatientName="Feldmann^Elisabeth")
    assert await device.store(corrected) == 0
    assert await pacs.new_name(before) == lfn
    assert await guids(pacs, [lfn]) == guid
    assert data_set(await pacs.identified(lfn)) == corrected.data_set
    assert (await told(pacs))["outcome"] == "updated"
