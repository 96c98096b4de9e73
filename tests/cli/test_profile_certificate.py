"""`mdm profile certificate` and `mdm certificate verify`: issued by the server, verified without it."""

import io
import json

import pydicom
import pytest

from mdm_async.dicom.scrub import REVISION
from tests.cli.test_profile_try import png_like_capture, written


@pytest.fixture
def public(server):
    return server.data / "audit" / "audit.pub"


@pytest.fixture
async def study(server, folder, ct):
    """Two images, and one that is refused."""
    for number in range(2):
        dataset = pydicom.dcmread(io.BytesIO(ct))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        await server.put(f"{folder}/{number}.dcm", written(dataset))
    await server.put(f"{folder}/sc.dcm", png_like_capture())
    return folder


async def test_a_certificate_is_of_the_bytes_that_are_pulled(mdm, run, study, tmp_path, public, environment):
    paper, pulled = tmp_path / "paper", tmp_path / "0.dcm"
    issued = await mdm("profile", "certificate", f"{study}/0.dcm", "-o", paper)
    assert (issued.code, issued.text) == (0, f"certificate: {paper}\n"), issued.err
    assert (await mdm("get", f"{study}/0.dcm", pulled)).code == 0
    assert (await mdm("get", f"{study}/1.dcm", tmp_path / "1.dcm")).code == 0
    environment.setenv("MDM_URL", "http://127.0.0.1:9")  # no server is asked
    verified = await run("certificate", "verify", paper, "--key", public, "--image", pulled)
    assert verified.code == 0, verified.err
    assert verified.text.startswith("intact, signed by the key ")
    assert f"{pulled}: is certified, guid:" in verified.text
    assert "went: PS3.15 basic: " in verified.text
    assert "stayed: " in verified.text
    other = await run("certificate", "verify", paper, "--key", public, "--image", tmp_path / "1.dcm")
    assert (other.code, other.out) == (5, b"")
    assert "none that the certificate is of" in other.err


async def test_only_of_a_deidentified_view_is_there_one(mdm, study):
    ended = await mdm("profile", "certificate", study, "--view", "identified")
    assert ended.code == 2
    assert ended.err.endswith(
        "only a de-identified view has a report or a certificate; name one, as --view basic\n"
    )


async def test_a_directory_has_one_with_what_is_refused_and_why(mdm, server, study, tmp_path, public):
    paper = tmp_path / "paper"
    assert (await mdm("profile", "certificate", study, "--view", "basic", "-o", paper)).code == 0
    told = (await mdm("certificate", "verify", paper, "--key", public, "--json")).json
    assert told["states"] == {"ready": 2, "refused": 1}
    assert sum(told["withheld"].values()) == 1
    assert told["certified"] == 2
    assert told["profile"]["base"] == "basic"
    text = paper.read_text()
    for secret in (study, study.strip("/"), "CompressedSamples", "1CT1", "1.2.3.0", "0.dcm"):
        assert secret not in text
    images = json.loads(text)["images"]
    assert all(len(image["sha256"]) == 64 for image in images)
    assert all(image["version"].endswith(f".{REVISION}") for image in images)


async def test_what_was_changed_and_what_another_signed_is_code_5(mdm, study, tmp_path, public):
    text = (await mdm("profile", "certificate", study)).text
    paper, forged, other = tmp_path / "paper", tmp_path / "forged", tmp_path / "other"
    paper.write_text(text)
    forged.write_text(text.replace('"refused": 1', '"refused": 0'))
    assert forged.read_text() != text
    assert (await mdm("audit", "keygen", other)).code == 0
    assert (await mdm("certificate", "verify", paper, "--key", public)).code == 0
    for file, key in ((forged, public), (paper, other.with_suffix(".pub"))):
        ended = await mdm("certificate", "verify", file, "--key", key)
        assert (ended.code, ended.out) == (5, b""), ended
        assert ended.err.count("\n") <= 2
    assert (await mdm("certificate", "verify", tmp_path / "none")).code == 3
    picture = tmp_path / "picture.dcm"
    picture.write_bytes(png_like_capture())
    ended = await mdm("certificate", "verify", picture)
    assert (ended.code, "no de-identification certificate" in ended.err) == (5, True)
    assert (await mdm("certificate", "verify", paper, "--key", picture)).code == 2
    missing = await mdm("certificate", "verify", paper, "--key", "no-such.pub")
    assert (missing.code, missing.err) == (3, "mdm: no-such.pub: no such file\n")
    unnamed = await mdm("certificate", "verify", paper)
    assert unnamed.code == 0
    assert "signed by anybody" in unnamed.err


async def test_it_takes_the_right_to_the_view_and_is_in_the_audit(mdm, server, study, environment):
    environment.setenv("BEARER_TOKEN", await server.token("lxg", study))
    assert (await mdm("profile", "certificate", study)).code == 13
    environment.setenv("BEARER_TOKEN", await server.token("rlx", study, name="certified"))
    assert (await mdm("profile", "certificate", study)).code == 0
    async with server.house.database.acquire() as db:
        rows = await db.fetch(
            "select view, details from audit where act = 'certificate' and caller = 'user:certified'"
        )
    ((view, details),) = rows
    assert view == "basic"
    assert (
        json.loads(details).keys() == {"images", "sha256"}
        if isinstance(details, str)
        else details["images"] == 2
    )


async def test_a_project_has_one_of_its_own_names_only(mdm, server, study, tmp_path, public):
    project = await server.directory()
    linked = await mdm("link", f"{study}/0.dcm", project, "--view", "basic", "--json")
    assert linked.code == 0, linked.err
    paper, pulled = tmp_path / "paper", tmp_path / "pulled"
    assert (await mdm("profile", "certificate", project, "--view", "basic", "-o", paper)).code == 0
    (image,) = json.loads(paper.read_text())["images"]
    (own,) = (await mdm("stat", f"{study}/0.dcm", "--json")).json
    assert image["guid"] != own["guid"]
    assert (await mdm("get", linked.json["files"][0]["path"], pulled)).code == 0
    assert (await mdm("certificate", "verify", paper, "--key", public, "--image", pulled)).code == 0


async def test_slices_of_heads_are_warned_of_in_the_certificate_and_in_the_report(
    mdm, server, study, ct, tmp_path, public
):
    dataset = pydicom.dcmread(io.BytesIO(ct))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.9"
    dataset.BodyPartExamined = "HEAD"
    await server.put(f"{study}/head.dcm", written(dataset))
    warning = "slices of a head, in which a face can be recognised (by BodyPartExamined)"
    paper = tmp_path / "paper"
    assert (await mdm("profile", "certificate", study, "-o", paper)).code == 0
    told = (await mdm("certificate", "verify", paper, "--key", public, "--json")).json
    assert told["seen"] == {warning: 1}
    assert f"warning, 1: {warning}" in (await mdm("profile", "report", study)).text
    tried = tmp_path / "head.dcm"
    tried.write_bytes(written(dataset))
    assert f"warning: {warning}" in (await mdm("profile", "try", tried)).text
