"""What is looked at follows from what is asked for and what the caller sees; where bounds cut, hidden rows do not."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from mdm_async.catalog.metadata import studies
from mdm_async.dicom.indexed import by_keyword
from mdm_async.images.studies import searching
from tests.conftest import Server
from tests.web.dicomweb.conftest import Archive, Viewer, image, uid

STUDY, PATIENT, COUNT = "0020000D", "00100020", "00201208"
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def of(number: int, patient: str) -> bytes:
    study = f"1.2.7.{number}"
    return image(
        number,
        PatientID=patient,
        StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1",
        SOPInstanceUID=f"{study}.1.1",
    )


async def test_a_study_that_is_named_is_found_whole_however_much_else_there_is(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = archive.viewer()
    paths = []
    for study in (await viewer.get(f"/studies?path={archive.folder}")).tree:
        paths += [
            f"/studies?StudyInstanceUID={uid(study, STUDY)}", f"/studies?PatientID={uid(study, PATIENT)}",
            f"/studies/{uid(study, STUDY)}/series", f"/studies/{uid(study, STUDY)}/instances?InstanceNumber=2",
            f"/studies/{uid(study, STUDY)}/metadata",
        ]  # fmt: skip
    found = [(await viewer.get(path)).tree for path in paths]
    monkeypatch.setattr(searching, "MOST_FILES", 1)
    monkeypatch.setattr(searching, "_FEW", 1)
    monkeypatch.setattr(searching, "_SEEN", 0)
    for path, before in zip(paths, found, strict=True):
        reply = await viewer.get(path)
        assert reply.tree == before, path
        assert "Warning" not in reply.headers


async def test_who_sees_few_files_waits_for_none_that_others_have(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = archive.viewer()
    (study, *_) = (await viewer.get(f"/studies?path={archive.folder}")).tree
    path = f"/series?StudyInstanceUID={uid(study, STUDY)}&path={archive.folder}"
    expected = (await viewer.get(path)).tree
    asked = []

    async def of_candidates(*how: Any) -> Any:
        asked.append(how)
        return await by_index(*how)

    by_index = studies.of_candidates
    monkeypatch.setattr(studies, "of_candidates", of_candidates)
    monkeypatch.setattr(searching, "_FEW", -1)
    assert (await viewer.get(path)).tree == expected
    assert not asked
    monkeypatch.setattr(searching, "_SEEN", 6)
    assert (await viewer.get(path)).tree == expected
    assert len(asked) == 1


async def test_more_that_matches_than_is_looked_at_is_told(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = archive.viewer()
    within = f"path={archive.folder}"  # Other folders of the server may have the same study.
    (study, *_) = [one for one in (await viewer.get(f"/studies?{within}")).tree if uid(one, COUNT) == "5"]
    monkeypatch.setattr(searching, "MOST_MEANT", 4)
    reply = await viewer.get(f"/studies?StudyInstanceUID={uid(study, STUDY)}&{within}")
    assert "exceeded the maximum" in reply.headers["Warning"]
    assert (await viewer.get(f"/studies/{uid(study, STUDY)}/metadata?{within}")).status == 413
    # What matches counts, not what has the same study.
    reply = await viewer.get(f"/studies/{uid(study, STUDY)}/series?Modality=MR&{within}")
    assert len(reply.tree) == 1
    assert "Warning" not in reply.headers


async def test_hidden_rows_never_change_what_is_looked_at(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("/a", "/hidden"):
        await own_server.srm("mkdir", surl=folder)
    for principal, surl, letters in (("user:guest", "/", "rgx"), ("user:nobody", "/hidden", "rg")):
        rules = [{"principal": principal, "rights": letters}]
        kind = "ADD" if surl == "/" else "SET"
        await own_server.srm("setPermission", surls=[surl], permissionType=kind, rules=rules)
    for number in range(6):
        await own_server.put(f"/a/{number}.dcm", of(number, "P1" if number == 5 else "P2"))
    viewer = Viewer(own_server, await own_server.token("", name="guest"))
    found = (await viewer.get("/studies")).tree
    patients = [uid(one, PATIENT) for one in found]
    (one,) = (study for study in found if patients.count(uid(study, PATIENT)) == 1)
    asked = (
        f"/studies?PatientID={uid(one, PATIENT)}", f"/instances?PatientID={uid(one, PATIENT)}&limit=1",
        f"/studies/{uid(one, STUDY)}/metadata", f"/studies?SOPClassUID={SOP_CLASS}", "/studies?PatientSex=O",
        "/studies?StudyDate=20000101-", "/studies?Modality=CT", "/studies",
    )  # fmt: skip
    monkeypatch.setattr(searching, "MOST_FILES", 3)
    monkeypatch.setattr(searching, "MOST_MEANT", 3)
    monkeypatch.setattr(searching, "_FEW", 2)
    monkeypatch.setattr(searching, "_SEEN", 0)

    async def answers() -> list[tuple[object, list[str]]]:
        replies = [await viewer.get(path) for path in asked]
        return [(reply.tree, reply.headers.getall("Warning", [])) for reply in replies]

    before = await answers()
    assert len(before[0][0]) == 1  # type: ignore[arg-type]
    for number in range(10, 14):
        await own_server.put(f"/hidden/{number}.dcm", of(number, "P1"))
        assert await answers() == before


async def test_an_answer_has_as_many_rows_as_its_memory_holds(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = archive.viewer()
    whole = (await viewer.get(f"/instances?path={archive.folder}&includefield=all")).tree
    monkeypatch.setattr(searching, "HELD", 3 * searching.weight(list(by_keyword())))
    for asked in ("", "&limit=5000"):
        reply = await viewer.get(f"/instances?path={archive.folder}&includefield=all{asked}")
        assert reply.tree == whole[:3]
        assert "There are 4 additional results" in reply.headers["Warning"]
    reply = await viewer.get(f"/instances?path={archive.folder}&includefield=all&limit=5&offset=3")
    assert reply.tree == whole[3:6]
    assert len((await viewer.get(f"/instances?path={archive.folder}")).tree) == len(whole)


async def test_memory_is_held_by_rows_and_fields_until_the_answer_is_out(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = archive.server.house.budget
    held = []
    write_eof = web.Response.write_eof

    async def seen(answer: web.Response, data: bytes = b"") -> None:
        held.append(budget.shares.used)
        await write_eof(answer, data)

    monkeypatch.setattr(web.Response, "write_eof", seen)
    viewer = archive.viewer()
    for asked in ("limit=1", "limit=2", "limit=2&includefield=all"):
        assert (await viewer.get(f"/instances?path={archive.folder}&{asked}")).status == 200
    one, two, with_all = held[::2]  # the server ends each once more
    assert one > 0
    assert two == 2 * one
    assert with_all > 2 * two
    assert budget.shares.used == 0


async def test_searches_that_wait_for_their_turn_hold_no_memory(archive: Archive) -> None:
    viewer, budget = archive.viewer(), archive.server.house.budget
    within = f"/studies?path={archive.folder}"
    several = budget.most // searching.HELD
    replies = await asyncio.gather(*(viewer.get(within) for _ in range(several)))
    assert {(reply.status, len(reply.tree)) for reply in replies} == {(200, 2)}
    assert not budget.shares.used
