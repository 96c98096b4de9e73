"""C-FIND: tools of the hospital find what their principal may see in their view, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mdm_async.errors import UnsafeSettings
from mdm_async.images.studies import searching
from mdm_async.settings import load
from tests.faults.conditions import until
from tests.pacs.devices import CT, Pacs, accepted, calling, command, p_data, pacs_server
from tests.pacs.tools import PATIENT_FIND, SECURED, STUDY_FIND, TOOLS, Tool, answers_of, fill, identifier
from tests.postgres.for_tests import PostgresForTests
from tests.web.test_privacy import captured_log


@pytest.fixture(scope="module")
async def shown(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pacs]:
    dsn, data = await postgres.fresh_database(migrated), tmp_path_factory.mktemp("shown") / "data"
    async with pacs_server(data, dsn, pacs={"calling": TOOLS}, server=SECURED) as running:
        await fill(running)
        yield running


async def studies(pacs: Pacs, ae: str = "TOOL", **keys: Any) -> list[Dataset]:
    asked = {
        "StudyInstanceUID": "",
        "NumberOfStudyRelatedInstances": "",
        "ModalitiesInStudy": "",
        "PatientID": "",
    }
    return (await Tool(pacs, ae).find(identifier("STUDY", **asked | keys))).answers


async def test_dcmtk_goes_from_studies_to_images(shown: Pacs, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("studies", "series", "images")]
    for folder in folders:
        folder.mkdir()
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName", "NumberOfStudyRelatedSeries")
    _, files = await answers_of(shown, "findscu", folders[0], *keys)
    found = [pydicom.dcmread(one) for one in files]
    assert len(found) == 2
    assert {one.NumberOfStudyRelatedSeries for one in found} == {1}
    assert all(
        one.RetrieveAETitle == "MDM" and not one.StudyInstanceUID.startswith("1.2.3.") for one in found
    )
    counts = []
    for study in found:
        above = f"StudyInstanceUID={study.StudyInstanceUID}"
        for old in folders[1].iterdir():
            old.unlink()
        _, files = await answers_of(
            shown, "findscu", folders[1], "QueryRetrieveLevel=SERIES", above, "SeriesInstanceUID", "Modality"
        )
        (series,) = [pydicom.dcmread(one) for one in files]
        assert series.Modality == "CT"
        for old in folders[2].iterdir():
            old.unlink()
        below = f"SeriesInstanceUID={series.SeriesInstanceUID}"
        _, files = await answers_of(
            shown, "findscu", folders[2], "QueryRetrieveLevel=IMAGE", above, below, "SOPInstanceUID", "Rows"
        )
        counts.append(len(files))
        assert all(pydicom.dcmread(one).Rows for one in files)
    assert sorted(counts) == [1, 3]


async def test_hidden_rows_change_no_count(shown: Pacs) -> None:
    found = await studies(shown)
    assert sorted(one.NumberOfStudyRelatedInstances for one in found) == [1, 3]
    assert {one.ModalitiesInStudy for one in found} == {"CT"}
    assert not await studies(shown, ModalitiesInStudy="MR")
    assert not await studies(shown, "NOBODY")


async def test_patients_are_put_together_from_their_studies(shown: Pacs) -> None:
    keys = {
        "PatientID": "",
        "PatientName": "",
        "NumberOfPatientRelatedInstances": "",
        "NumberOfPatientRelatedStudies": "",
    }
    found = (await Tool(shown).find(identifier("PATIENT", **keys), PATIENT_FIND)).answers
    assert [(one.NumberOfPatientRelatedStudies) for one in found] == [1, 1]
    assert sorted(one.NumberOfPatientRelatedInstances for one in found) == [1, 3]
    (first, second) = (one.PatientID for one in found)
    assert first != second
    under = identifier("STUDY", PatientID=first, StudyInstanceUID="", PatientName="")
    (study,) = (await Tool(shown).find(under, PATIENT_FIND)).answers
    assert study.PatientID == first


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
async def test_keys_that_are_not_supported_are_told_empty_and_said_so(shown: Pacs, syntax: str) -> None:
    asked = identifier(
        "STUDY", StudyInstanceUID="", StudyDescription="", DeviceUID="1.2", RequestAttributesSequence=[]
    )
    asked.private_block(0x0029, "SOMEBODY", create=True).add_new(1, "LO", "x")
    taken = await Tool(shown).find(asked, syntax=syntax)
    assert taken.statuses == [0xFF01, 0xFF01, 0]
    assert all(one.DeviceUID == "" and not one.RequestAttributesSequence for one in taken.answers)


async def test_what_is_to_match_matches(shown: Pacs) -> None:
    everything = await studies(shown, StudyDate="", PatientName="")
    one = everything[0]
    for keys in (
        {"PatientID": one.PatientID},
        {"PatientID": one.PatientID[:-1] + "?"},
        {"PatientID": one.PatientID[:-2] + "*"},
        {"StudyInstanceUID": one.StudyInstanceUID},
    ):
        assert [each.StudyInstanceUID for each in await studies(shown, **keys)] == [one.StudyInstanceUID], (
            keys
        )
    both = [each.StudyInstanceUID for each in everything]
    assert len(await studies(shown, StudyInstanceUID=both)) == 2
    assert len(await studies(shown, PatientName="*", Modality="CT")) == 2
    assert not await studies(shown, StudyDate="19000101-19000102")
    assert not await studies(shown, PatientID="P-one")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (identifier(None, StudyInstanceUID=""), 0xA900),
        (identifier("FRAME", StudyInstanceUID=""), 0xA900),
        (identifier("PATIENT", PatientID=""), 0xA900),
        (identifier("SERIES", SeriesInstanceUID=""), 0xA900),
        (identifier("SERIES", StudyInstanceUID="*", SeriesInstanceUID=""), 0xA900),
        (identifier("SERIES", StudyInstanceUID=["1.2", "1.3"], SeriesInstanceUID=""), 0xA900),
        (identifier("STUDY", StudyInstanceUID="*"), 0xC000),
        (identifier("STUDY", StudyDate="yesterday"), 0xC000),
    ],
)
async def test_identifiers_that_do_not_fit(shown: Pacs, asked: Dataset, status: int) -> None:
    with captured_log() as log:
        taken = await Tool(shown).find(asked)
    assert taken.statuses == [status]
    assert taken.last.ErrorComment
    assert "yesterday" not in log.getvalue()


async def test_a_patient_above_has_one_value(shown: Pacs) -> None:
    for value in ("", "*", ["A", "B"]):
        taken = await Tool(shown).find(
            identifier("STUDY", PatientID=value, StudyInstanceUID=""), PATIENT_FIND
        )
        assert taken.statuses == [0xA900]


async def test_too_many_are_told_as_far_as_they_go_and_said_so(
    shown: Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "HELD", 1)
    taken = await Tool(shown).find(identifier("STUDY", StudyInstanceUID=""))
    assert taken.statuses == [0xFF00, 0xA700]


async def test_a_cancelled_query_ends(shown: Pacs, monkeypatch: pytest.MonkeyPatch) -> None:
    search, going_on = searching.search, asyncio.Event()

    async def slow(*args: Any) -> Any:
        await going_on.wait()
        return await search(*args)

    monkeypatch.setattr(searching, "search", slow)
    device = await (await shown.connect()).associate(
        ae="TOOL", contexts=[(STUDY_FIND, [ImplicitVRLittleEndian])]
    )
    await device.send(p_data(1, 3, find_command()) + p_data(1, 2, KEYS))
    cancel = command(CommandField=0x0FFF, MessageIDBeingRespondedTo=9, CommandDataSetType=0x0101)
    await device.send(p_data(1, 3, cancel))
    house = shown.server.house
    await until(lambda: house.budget.shares.used > 0)
    going_on.set()
    assert await device.status() == 0xFE00
    await until(lambda: not house.budget.shares.used)
    await device.release()


def find_command() -> bytes:
    return command(
        AffectedSOPClassUID=STUDY_FIND, CommandField=0x20, MessageID=9, Priority=0, CommandDataSetType=1
    )


KEYS = b"\x08\0\x52\0\6\0\0\0STUDY \x20\0\x0d\0\0\0\0\0"


async def test_a_tool_that_goes_away_stops_its_query(shown: Pacs, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(*_: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(searching, "search", slow)
    for way in ("cut", "aborted", "garbled"):
        begun.clear()
        ended.clear()
        device = await (await shown.connect()).associate(
            ae="TOOL", contexts=[(STUDY_FIND, [ImplicitVRLittleEndian])]
        )
        await device.send(p_data(1, 3, find_command()) + p_data(1, 2, KEYS))
        await begun.wait()
        if way == "cut":
            device.close()
        else:
            await device.send(b"\7\0\0\0\0\4\0\0\0\0" if way == "aborted" else p_data(1, 3, find_command()))
        await ended.wait()
    assert not shown.server.house.budget.shares.used


@pytest.mark.parametrize("data", [b"\x08\0\x52\0\xff\xff\0\0STUDY ", b"garbage", bytes(100_000), b""])
async def test_garbage_is_answered_and_the_next_query_too(shown: Pacs, data: bytes) -> None:
    device = await (await shown.connect()).associate(
        ae="TOOL", contexts=[(STUDY_FIND, [ImplicitVRLittleEndian])]
    )
    for said, statuses in ((data, [0xA900]), (KEYS, [0xFF00, 0xFF00, 0])):
        await device.send(p_data(1, 3, find_command()))
        await device.send_data_set(said, 1) if said else await device.send(p_data(1, 2, b""))
        found = []
        while not found or found[-1] >> 8 == 0xFF:
            found.append(await device.status())
            if found[-1] >> 8 == 0xFF:
                assert (await device.pdu())[0] == 4
        assert found == statuses
    await device.release()


async def test_an_identifier_without_end_is_bounded(shown: Pacs, monkeypatch: pytest.MonkeyPatch) -> None:
    from mdm_async.pacs.dimse import messages

    monkeypatch.setattr(messages, "_MOST_SKIPPED", 1 << 20)
    device = await (await shown.connect()).associate(
        ae="TOOL", contexts=[(STUDY_FIND, [ImplicitVRLittleEndian])]
    )
    await device.send(p_data(1, 3, find_command()))
    for _ in range(40):
        await device.send_data_set(bytes(60_000), 1, whole=False)
    assert await device.status() == 0xA900
    assert (await device.pdu())[0] == 7


async def test_who_has_no_view_may_not_ask(shown: Pacs) -> None:
    with captured_log() as log, pytest.raises(AssertionError, match="no context"):
        await Tool(shown, "STORESCU").find(identifier("STUDY", StudyInstanceUID=""))
    assert "no view in pacs.calling" in log.getvalue()


async def test_originals_are_found_by_who_may_see_identities(shown: Pacs) -> None:
    found = await studies(shown, "DOCTOR", PatientID="P-one", PatientName="")
    assert [(one.PatientName, one.StudyInstanceUID, one.NumberOfStudyRelatedInstances) for one in found] == [
        ("One^Patient", "1.2.3.1", 5)
    ]
    taken = await Tool(shown, "DOCTOR").find(identifier("STUDY", PatientName="O*", StudyInstanceUID=""))
    assert taken.statuses == [0xC000]


async def test_a_view_that_is_not_there_is_said_to_be(shown: Pacs) -> None:
    taken = await Tool(shown, "ELSEWHERE").find(identifier("STUDY", StudyInstanceUID=""))
    assert taken.statuses == [0xC000]
    assert "no such view" in taken.last.ErrorComment


@pytest.mark.parametrize(
    ("more", "needle"),
    [
        ({"view": "basic"}, "principal"),
        ({"view": "identified", "principal": "user:a"}, "certificate"),
        ({"view": "identified", "principal": "user:a", "hosts": ["192.0.2.1"], "plain": True}, "certificate"),
        ({"view": "identified", "principal": "user:a", "hosts": ["192.0.2.1"], "tls": True}, "certificate"),
        ({"view": "Not A View", "principal": "user:a"}, "view"),
    ],
)
def test_settings_that_would_show_too_much_are_refused(more: dict[str, Any], needle: str) -> None:
    from mdm_async.pacs.dimse.peers import Peers

    with pytest.raises((UnsafeSettings, ValueError), match=needle):
        Peers.of(load(overrides={"pacs": {"port": 0, "calling": [calling(**more)]}}).pacs)


async def test_contexts_of_which_none_is_taken_are_told_in_the_log(shown: Pacs) -> None:
    contexts = [("1.2.3", [ImplicitVRLittleEndian]), (CT, ["1.2.3"]), (STUDY_FIND, ["1.2.840.10008.1.2.2"])]
    with captured_log() as log:
        kind, body = await (await shown.connect()).ask(ae="TOOL", contexts=contexts)
    assert (kind, [result for result, _ in accepted(body).values()]) == (2, [3, 4, 4])
    assert "a device offers nothing that is taken" in log.getvalue()
