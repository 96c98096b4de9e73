"""QIDO-RS: what is found, by whom, how it is counted and cut, asked by dicomweb-client and by hand."""

import asyncio
from typing import Any

import pytest

from mdm_async.images.studies import searching
from tests.conftest import Server
from tests.web.dicomweb.conftest import Archive, Viewer, image, uid
from tests.web.test_profiles import add, applied

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"


async def studies(archive: Archive, **asked: Any) -> list[dict[str, Any]]:
    wanted = {"path": archive.folder, **asked}
    found = await archive.viewer().ask(lambda client: client.search_for_studies(search_filters=wanted))
    return list(found)


async def test_studies_are_told_with_counts_and_pseudonyms(archive: Archive) -> None:
    found = await studies(archive)
    assert len(found) == 2
    by_count = {uid(one, "00201208"): one for one in found}
    one, two = by_count["5"], by_count["2"]
    assert sorted(one["00080061"]["Value"]) == ["CT", "MR"]
    assert two["00080061"]["Value"] == ["CT"]
    assert (uid(one, "00201206"), uid(two, "00201206")) == ("2", "1")
    for study in found:
        assert uid(study, STUDY).startswith("2.25.")
        assert uid(study, "00081190").endswith(
            f"/dicom-web/studies/{uid(study, STUDY)}?path={archive.folder}"
        )
        assert "Patient" not in str(study["00100010"])
    assert [uid(each, STUDY) for each in found] == sorted(uid(each, STUDY) for each in found)


async def test_every_level_leads_to_the_next(archive: Archive) -> None:
    viewer = archive.viewer()
    counted = 0
    for study in await studies(archive):
        study_uid = uid(study, STUDY)
        series = await viewer.ask(lambda client, study_uid=study_uid: client.search_for_series(study_uid))
        assert len(series) == study["00201206"]["Value"][0]
        of_study = await viewer.ask(
            lambda client, study_uid=study_uid: client.search_for_instances(study_uid)
        )
        assert len(of_study) == study["00201208"]["Value"][0]
        for each in series:
            series_uid = uid(each, SERIES)
            of_series = await viewer.ask(
                lambda client, s=study_uid, r=series_uid: client.search_for_instances(s, r)
            )
            assert len(of_series) == each["00201209"]["Value"][0]
            assert {uid(one, SERIES) for one in of_series} == {uid(each, SERIES)}
            counted += len(of_series)
    assert counted == len(archive.originals)
    everywhere = await viewer.ask(
        lambda client: client.search_for_instances(search_filters={"path": archive.folder})
    )
    assert len(everywhere) == counted
    assert len(await viewer.ask(lambda c: c.search_for_series(search_filters={"path": archive.folder}))) == 3


async def test_a_study_is_counted_whole_when_one_of_its_series_matches(archive: Archive) -> None:
    for name in ("ModalitiesInStudy", "00080061", "Modality"):
        (found,) = await studies(archive, **{name: "MR"})
        assert uid(found, "00201208") == "5"
        assert sorted(found["00080061"]["Value"]) == ["CT", "MR"]
    assert len(await studies(archive, ModalitiesInStudy="CT")) == 2
    assert await studies(archive, ModalitiesInStudy="US") == []


async def test_matching_is_by_value_wildcard_range_and_list(archive: Archive) -> None:
    one, two = await studies(archive)
    both = [uid(one, STUDY), uid(two, STUDY)]
    pseudonym = uid(one, "00100020")
    for asked, expected in (
        ({"StudyInstanceUID": both[0]}, both[:1]),
        ({"StudyInstanceUID": ",".join(both)}, both),
        ({"0020000D": "\\".join(both)}, both),
        ({"PatientID": pseudonym}, both[:1]),
        ({"PatientID": pseudonym[:3] + "*" + pseudonym[-3:]}, both[:1]),
        ({"PatientID": "?" + pseudonym[1:]}, both[:1]),
        ({"PatientID": f"nobody\\{pseudonym}"}, both[:1]),
        ({"PatientID": f"nobody\\{pseudonym[:-1]}?"}, both[:1]),
        ({"PatientID": "\\".join([*map(str, range(200)), pseudonym])}, both[:1]),
        ({"PatientID": pseudonym[:-1]}, []),
        ({"PatientID": "%"}, []),
        ({"PatientID": "_" * len(pseudonym)}, []),
        ({"PatientID": "*"}, both),
        ({"PatientID": ""}, both),
        ({"PatientSex": "no such"}, []),
    ):
        assert [uid(each, STUDY) for each in await studies(archive, **asked)] == expected, asked


async def test_dates_and_times_match_in_ranges(own_server: Server) -> None:
    await add(own_server, 'name = "dated"\noptions = ["retain_longitudinal_full_dates", "retain_uids"]\n')
    await applied(own_server, "dated", "/")
    for number, (date, time) in enumerate(
        (("20240131", "101530.5"), ("20240201", "1015"), ("20250101", "235959")), 1
    ):
        data = image(number, StudyInstanceUID=f"1.2.4.{number}", StudyDate=date, StudyTime=time)
        await own_server.put(f"/{number}.dcm", data)
    viewer = Viewer(own_server, own_server.admin_token, "/dicom-web/@dated")
    for asked, expected in (
        ("StudyDate=20240131", "1"), ("StudyDate=20240131-20240201", "12"), ("StudyDate=-20240131", "1"),
        ("StudyDate=20240201-", "23"), ("StudyDate=2024.01.31", "1"), ("StudyTime=1015", "12"),
        ("StudyTime=101530-", "13"), ("StudyTime=1000-1015", "12"), ("StudyTime=10:15:30.5", "1"),
        ("StudyDate=20240101-20241231&StudyTime=101530", "1"),
    ):  # fmt: skip
        found = (await viewer.get(f"/studies?{asked}")).tree
        assert "".join(uid(one, STUDY)[-1] for one in found) == expected, asked


@pytest.mark.parametrize(
    "asked",
    [
        "PatientId=x", "NoSuchThing=1", "SliceLocationVector=1", "StudyInstanceUID=1.2.*", "StudyInstanceUID=*",
        "StudyDate=2024", "StudyDate=20240101-20240102-3", "StudyDate=*", "StudyTime=noon", "InstanceNumber=1e",
        "limit=-1", "limit=x", "offset=-3", "offset=99999999999999", "fuzzymatching=perhaps",
        "offset=" + "0" * 12 + "9" * 20, "limit=" + "0" * 12 + "9" * 5000,
        "PatientName=" + "*a" * 17, "path=/a&path=/b", "PatientID=%09", "PatientID=%C2%A0", "Modality=%5C",
        "PatientID=" + "a" * 2000, "&".join(["Rows=1"] * 201), "Modality=" + "%5C".join(["*C"] * 201),
    ],
)  # fmt: skip
async def test_what_is_not_understood_finds_nothing_and_is_told(archive: Archive, asked: str) -> None:
    reply = await archive.viewer().get(f"/studies?{asked}")
    assert reply.status == 400, reply.body
    assert reply.headers["Content-Type"] == "application/problem+json"
    told, _, _ = reply.body.partition(b"requestId")
    assert b"2000" not in told


async def test_pages_cover_everything_once(archive: Archive) -> None:
    viewer = archive.viewer()
    whole = await viewer.get(f"/instances?path={archive.folder}")
    assert "Warning" not in whole.headers
    found = []
    for offset in range(0, 8, 3):
        reply = await viewer.get(f"/instances?path={archive.folder}&limit=3&offset={offset}")
        left = len(archive.originals) - offset - 3
        assert (left > 0) == ("Warning" in reply.headers)
        if left > 0:
            assert f"There are {left} additional results" in reply.headers["Warning"]
        found += reply.tree
    assert found == whole.tree
    assert (await viewer.get(f"/instances?path={archive.folder}&limit=0")).tree == []


async def test_fuzzy_matching_is_ignored_with_a_warning(archive: Archive) -> None:
    reply = await archive.viewer().get(f"/studies?path={archive.folder}&fuzzymatching=true")
    assert len(reply.tree) == 2
    assert reply.headers["Warning"].startswith("299 ")
    assert "fuzzymatching" in reply.headers["Warning"]


async def test_a_cut_result_says_so(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MOST_FILES", 4)
    reply = await archive.viewer().get(f"/instances?path={archive.folder}")
    assert len(reply.tree) <= 5
    assert reply.headers["Warning"].startswith("299 ")


async def test_fields_are_included(archive: Archive) -> None:
    viewer = archive.viewer()
    plain = (await viewer.get(f"/instances?path={archive.folder}&limit=1")).tree[0]
    assert "00280030" not in plain
    named = (
        await viewer.get(f"/instances?path={archive.folder}&limit=1&includefield=PixelSpacing,00080070")
    ).tree[0]
    assert named["00280030"]["vr"] == "DS"
    assert "00080070" in named
    everything = (await viewer.get(f"/instances?path={archive.folder}&limit=1&includefield=all")).tree[0]
    assert named.keys() <= everything.keys()
    assert everything["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]
    odd = await viewer.get(f"/instances?path={archive.folder}&limit=1&includefield=PixelData,PatientName")
    assert "includefield" in odd.headers.getall("Warning")[-1]
    none = await viewer.get(f"/instances?path={archive.folder}&limit=1&includefield=foo")
    assert "includefield" in none.headers.getall("Warning")[-1]
    wrong = await viewer.get(f"/instances?path={archive.folder}&limit=x")
    assert (wrong.status, "a whole number" in wrong.tree["detail"]) == (400, True)
    nowhere = await viewer.get("/studies/1.2/drawn")
    assert (nowhere.status, "addresses of this form" in nowhere.tree["detail"]) == (404, True)
    twice = await viewer.get(f"/instances?path={archive.folder}&includefield=PatientID,00100020,all")
    assert "Warning" not in twice.headers


async def test_only_json_is_told(archive: Archive) -> None:
    for kind in ("application/dicom+json", "application/json", "*/*", "application/*;q=0.1", ""):
        reply = await archive.viewer().get(f"/studies?path={archive.folder}", Accept=kind)
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/dicom+json")
    for kind in (
        "application/dicom+json",
        "text/html,%20application/dicom+json;%20q=0.5",
        "application/dicom%2Bjson",
    ):
        named = await archive.viewer().get(
            f"/studies?path={archive.folder}&accept={kind}", Accept="text/html"
        )
        assert named.status == 200, kind
    refused = await archive.viewer().get("/studies", Accept='multipart/related; type="application/dicom+xml"')
    assert refused.status == 406
    assert "application/dicom+json" in refused.tree["remedy"]


async def test_a_view_is_part_of_the_base(archive: Archive) -> None:
    basic = await archive.viewer("/dicom-web/@basic").get(f"/studies?path={archive.folder}")
    default = await archive.viewer().get(f"/studies?path={archive.folder}")
    assert [uid(each, STUDY) for each in basic.tree] == [uid(each, STUDY) for each in default.tree]
    assert "/@basic/studies/" in uid(basic.tree[0], "00081190")
    assert (await archive.viewer("/dicom-web/@none-such").get("/studies")).status == 400
    assert (await archive.viewer("/dicom-web/@%2e").get("/studies")).status == 400


async def test_originals_are_found_by_equal_values(archive: Archive) -> None:
    token = await archive.server.token("rig", path=archive.folder, views=["identified", "basic"])
    viewer = Viewer(archive.server, token, "/dicom-web/@identified")
    (found,) = (await viewer.get(f"/studies?path={archive.folder}&PatientID=P-one")).tree
    assert uid(found, STUDY) == "1.2.3.1"
    assert found["00100010"]["Value"] == [{"Alphabetic": "One^Patient"}]
    assert uid(found, "00201208") == "5"
    assert len((await viewer.get(f"/studies?path={archive.folder}")).tree) == 2
    assert (await viewer.get(f"/studies?path={archive.folder}&PatientID=P-*")).status == 400
    admin = Viewer(archive.server, archive.server.admin_token, "/dicom-web/@identified")
    assert (await admin.get(f"/studies?path={archive.folder}")).tree == []


async def test_what_is_hidden_changes_nothing(own_server: Server) -> None:
    """Two catalogs that differ in hidden rows give equal answers."""

    async def grown(folder: str, *, hidden: bool) -> str:
        await own_server.srm("mkdir", surl=folder)
        for number in range(1, 9):
            if number % 3 == 0 and not hidden:
                continue
            surl = f"{folder}/{number}.dcm"
            study, series = f"1.2.9.{number % 2}", f"1.2.9.{number % 2}.{number % 4}"
            await own_server.put(
                surl,
                image(
                    number, StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=f"1.2.9.{number}"
                ),
            )
            if number % 3 == 0:
                await own_server.srm(
                    "setPermission", surls=[surl], permissionType="SET",
                    rules=[{"principal": "user:nobody", "rights": "rg"}],
                )  # fmt: skip
        return folder

    rules = [{"principal": "user:guest", "rights": "rgx"}]
    await own_server.srm("setPermission", surls=["/"], permissionType="ADD", rules=rules)
    token = await own_server.token("", name="guest")
    viewer = Viewer(own_server, token)
    with_hidden, without = await grown("/a", hidden=True), await grown("/b", hidden=False)
    for path in (
        "/studies?", "/series?includefield=all", "/instances?", "/instances?limit=2&offset=1", "/studies?limit=1",
        "/studies?Modality=CT", "/instances?InstanceNumber=1",
    ):  # fmt: skip
        first = await viewer.get(f"{path}&path={with_hidden}")
        second = await viewer.get(f"{path}&path={without}")
        assert first.body.replace(b"path=/a", b"path=/b") == second.body, path
        assert first.headers.get("Warning") == second.headers.get("Warning")
    assert (await viewer.get("/instances?path=/c")).status == 404


async def test_500_parallel_runs_give_one_set_at_every_level(archive: Archive) -> None:
    token = await archive.server.token("rg", path=archive.folder)
    viewer = Viewer(archive.server, token)
    (study, *_) = (await viewer.get("/studies")).tree
    paths = (
        "/studies", "/series", "/instances",
        f"/studies/{uid(study, STUDY)}/series", f"/studies/{uid(study, STUDY)}/instances",
    )  # fmt: skip
    limit = asyncio.Semaphore(16)

    async def once(path: str) -> bytes:
        async with limit:
            reply = await viewer.get(path)
            assert reply.status == 200, reply.body
            return bytes(reply.body)

    for path in paths:
        assert len(set(await asyncio.gather(*(once(path) for _ in range(100))))) == 1


async def test_the_way_to_an_answer_shows_in_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an index, and by looking at all that is visible."""
    viewer = archive.viewer()
    one, two = await studies(archive)
    study, patient = uid(one, STUDY), uid(two, "00100020")
    paths = [
        f"/studies?StudyInstanceUID={study}", f"/studies?PatientID={patient}&ModalitiesInStudy=CT",
        "/studies?Modality=MR",
        f"/studies/{study}/series?Modality=CT", f"/studies/{study}/instances?InstanceNumber=2&includefield=all",
        f"/series?StudyInstanceUID={study}&limit=1", f"/instances?PatientID={patient}&SOPInstanceUID=1.2",
        f"/studies/{study}/metadata",
    ]  # fmt: skip
    paths = [f"{path}{'&' if '?' in path else '?'}path={archive.folder}" for path in paths]
    by_index = [(await viewer.get(path)).tree for path in paths]
    monkeypatch.setattr(searching, "_FEW", -1)
    monkeypatch.setattr(searching, "_SEEN", 0)
    assert [(await viewer.get(path)).tree for path in paths] == by_index
    assert [len(found) for found in by_index[:3]] == [1, 1, 1]


async def test_no_one_else_sees_anything(archive: Archive) -> None:
    stranger = Viewer(archive.server, await archive.server.token("", name="stranger"))
    assert (await stranger.get(f"/studies?path={archive.folder}")).status == 404
    (study, *_) = await studies(archive)
    for path in ("/studies", "/instances", f"/studies/{uid(study, STUDY)}/series"):
        reply = await stranger.get(path)
        assert reply.status == 404 or reply.tree == []
    reader = Viewer(archive.server, await archive.server.token("r", path=archive.folder))
    assert (await reader.get(f"/studies?path={archive.folder}")).status in (200, 404)
    assert (await reader.get("/instances")).tree == []
