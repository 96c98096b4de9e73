"""Manifests: what they tell is what the caller may see, and a receiver finds it where they say."""

import io
from typing import Any

import orjson
import pytest
from pydicom import Dataset, dcmread

from mdm_async.catalog.metadata.studies import Rows
from mdm_async.images.studies import manifests, searching
from tests.conftest import Server
from tests.web.dicomweb.conftest import STUDIES, Archive, Viewer, image


async def _made(server: Server, token: str, **form: Any) -> Any:
    return await server.call("POST", "/manifests/v1", json=form, token=token)


def _told(document: Dataset) -> dict[str, set[str]]:
    """Instances by the Retrieve URL of their series."""
    (study,) = document.CurrentRequestedProcedureEvidenceSequence
    return {
        series.RetrieveURL: {one.ReferencedSOPInstanceUID for one in series.ReferencedSOPSequence}
        for series in study.ReferencedSeriesSequence
    }


async def test_a_receiver_retrieves_what_a_key_object_selection_names(archive: Archive) -> None:
    server = archive.server
    found = Viewer(server, server.admin_token, "/dicom-web/@basic")
    studies = await found.ask(
        lambda client: client.search_for_studies(search_filters={"path": archive.folder})
    )
    of_five = {one["0020000D"]["Value"][0] for one in studies if one["00201208"]["Value"] == [5]}
    reply = await _made(
        server, server.admin_token, surls=[archive.folder], view="basic", study=of_five.copy().pop()
    )
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/dicom")
    document = dcmread(io.BytesIO(reply.body))
    title = document.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning) == ("113030", "DCM", "Manifest")
    assert {document.StudyInstanceUID} == of_five
    told = _told(document)
    assert sorted(map(len, told.values())) == [2, 3]
    assert [one.ValueType for one in document.ContentSequence] == ["IMAGE"] * 5
    for url, instances in told.items():
        assert url.startswith(f"{server.url}/dicom-web/@basic/studies/{document.StudyInstanceUID}/series/")
        study, _, series = url.rpartition("/studies/")[2].split("/", 3)[0], "", url.rpartition("/")[2]
        files = await found.ask(lambda client, s=study, e=series: client.retrieve_series(s, e))
        assert {one.SOPInstanceUID for one in files} == instances
        assert {one.SOPClassUID for one in files} == {
            one.ReferencedSOPSequence[0].ReferencedSOPClassUID for one in document.ContentSequence
        }
    for original in (b"P-one", b"One^Patient", STUDIES["one"].encode()):
        assert original not in reply.body


async def test_fhirs_form_tells_the_same(archive: Archive) -> None:
    server = archive.server
    names = [f"{archive.folder}/{number}.dcm" for number in (6, 7)]
    reply = await _made(server, server.admin_token, surls=names, view="basic", format="fhir")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/fhir+json")
    bundle = orjson.loads(reply.body)
    resources = {one["resource"]["resourceType"]: one for one in bundle["entry"]}
    assert (bundle["type"], bundle["entry"][0]["resource"]["resourceType"]) == ("document", "Composition")
    study = resources["ImagingStudy"]["resource"]
    (series,) = study["series"]
    assert (study["numberOfSeries"], study["numberOfInstances"], series["numberOfInstances"]) == (1, 2, 2)
    assert series["modality"]["code"] == "CT"
    endpoint = resources["Endpoint"]
    assert series["endpoint"] == [{"reference": endpoint["fullUrl"], "type": "Endpoint"}]
    viewer = Viewer(server, server.admin_token, endpoint["resource"]["address"].removeprefix(server.url))
    uid = study["identifier"][0]["value"].removeprefix("urn:oid:")
    files = await viewer.ask(lambda client: client.retrieve_series(uid, series["uid"]))
    assert {one.SOPInstanceUID for one in files} == {one["uid"] for one in series["instance"]}
    assert {f"urn:oid:{one.SOPClassUID}" for one in files} == {
        one["sopClass"]["code"] for one in series["instance"]
    }
    assert b"One^Patient" not in reply.body


async def test_several_studies_are_told_apart(archive: Archive) -> None:
    server = archive.server
    reply = await _made(server, server.admin_token, surls=[archive.folder], view="basic")
    assert reply.status == 409
    assert "one study, and here are several: " in reply.tree["detail"]
    assert reply.tree["remedy"] == "name one of them (--study)"


async def test_the_bound_is_of_all_that_is_named(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    server = archive.server
    names = [f"{archive.folder}/{number}.dcm" for number in (1, 2, 3)]
    monkeypatch.setattr(manifests, "MOST_RETRIEVED", 2)
    fits = await _made(server, server.admin_token, surls=[names[0], *names[:2]], view="basic")
    assert fits.status == 200
    assert (await _made(server, server.admin_token, surls=names, view="basic")).status == 413


async def test_pages_are_put_together(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    server = archive.server
    monkeypatch.setattr(manifests, "PAGE", 1)
    names = [f"{archive.folder}/{number}.dcm" for number in range(1, 6)]
    one = _told(
        dcmread(io.BytesIO((await _made(server, server.admin_token, surls=names, view="basic")).body))
    )
    assert sorted(map(len, one.values())) == [2, 3]


async def test_a_page_of_nothing_is_not_asked_for_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing_and_more(*_: Any) -> Rows:
        return Rows((), 1, cut=False)

    monkeypatch.setattr(searching, "search", nothing_and_more)
    server = archive.server
    assert (await _made(server, server.admin_token, surls=[archive.folder], view="basic")).status == 409


async def test_only_what_the_caller_may_see_is_told(server: Server) -> None:
    folder = await server.directory()
    for number in range(3):
        await server.put(
            f"{folder}/{number}.dcm",
            image(
                700 + number,
                StudyInstanceUID="1.2.7.1",
                SeriesInstanceUID="1.2.7.1.1",
                SOPInstanceUID=f"1.2.7.1.1.{number}",
            ),
        )
    reader = await server.token("rg", f"{folder}/1.dcm")
    reply = await _made(server, reader, surls=[f"{folder}/1.dcm"], view="basic")
    (instances,) = _told(dcmread(io.BytesIO(reply.body))).values()
    assert len(instances) == 1
    for surl in (f"{folder}/2.dcm", f"{folder}/none.dcm", folder):
        refused = await _made(server, reader, surls=[surl], view="basic")
        assert refused.status in (403, 404), surl
    hidden, missing = [
        (await _made(server, reader, surls=[f"{folder}/{name}"], view="basic")).tree
        for name in ("2.dcm", "9.dcm")
    ]
    assert hidden["detail"] == missing["detail"]


async def test_names_of_patients_are_told_as_they_are_written(server: Server) -> None:
    folder = await server.directory()
    data = image(
        720, PatientName="Mü\x1bller^Jörg", SpecificCharacterSet="ISO_IR 100", StudyInstanceUID="1.2.7.2",
        SeriesInstanceUID="1.2.7.2.1", SOPInstanceUID="1.2.7.2.1.1",
    )  # fmt: skip
    await server.put(f"{folder}/a.dcm", data)
    knowing = await server.token("rig", folder, views=["identified"])
    reply = await _made(server, knowing, surls=[folder], view="identified")
    assert reply.status == 200, reply.body
    assert dcmread(io.BytesIO(reply.body)).PatientName == "Müller^Jörg"


async def test_what_cannot_be_asked_is_said(archive: Archive) -> None:
    server = archive.server
    for form, status in (
        ({"surls": [archive.folder], "study": "one"}, 400),
        ({"surls": [archive.folder], "format": "pdf"}, 400),
        ({"surls": []}, 400),
        ({"surls": [archive.folder], "view": "none-such"}, 400),
        ({"surls": [archive.folder], "study": "1.2.3"}, 404),
    ):
        assert (await _made(server, server.admin_token, **form)).status == status, form
