"""`mdm put --force`, `mdm intake` and `mdm profile try --force`: files that break DICOM's file format."""

import io
import os
import zlib

import pydicom
import pytest

from mdm_async.dicom.filemeta import read_meta
from tests.dicom.conftest import ROOT
from tests.dicom.test_quirks import EXPLICIT, QUIRKS, data_set, meta

SC_IMPLICIT_UNDER_JPEG = ROOT / "test_files" / "SC_rgb_jpeg.dcm"


@pytest.fixture
def bare(tmp_path, ct):
    """A CT without preamble and file meta information."""
    path = tmp_path / "bare.dcm"
    path.write_bytes(ct[read_meta(ct).end :])
    return path


@pytest.fixture
async def identified(mdm, server, environment, tmp_path):
    """The identified view, as one who may read it gets it."""
    token = await server.token("rlxgi", views=["identified"])

    async def read(lfn):
        out = tmp_path / "identified.dcm"
        out.unlink(missing_ok=True)
        environment.setenv("BEARER_TOKEN", token)
        got = await mdm("get", "--view", "identified", lfn, out)
        environment.setenv("BEARER_TOKEN", server.admin_token)
        assert got.code == 0, got.err
        return out.read_bytes()

    return read


@pytest.mark.parametrize("sealed", [[], ["--sealed"]])
async def test_without_force_the_refusal_names_it_and_with_it_the_file_is_stored_byte_for_byte(
    mdm, folder, bare, identified, tmp_path, sealed
):
    refused = await mdm("put", *sealed, bare, folder)
    assert refused.code != 0
    assert "no preamble" in refused.err
    assert "--force" in refused.err
    put = await mdm("put", "--force", *sealed, bare, folder)
    assert put.code == 0, put.err
    assert await identified(f"{folder}/bare.dcm") == bare.read_bytes()
    got = await mdm("get", f"{folder}/bare.dcm", tmp_path / "view.dcm")
    assert got.code == 0, got.err
    view = pydicom.dcmread(tmp_path / "view.dcm")
    assert view.Rows == 128
    assert view.PatientID != pydicom.dcmread(bare, force=True).PatientID


async def test_every_quirk_goes_in_and_gives_a_view(mdm, folder, identified, tmp_path):
    for number, data in enumerate(QUIRKS.values()):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(data)
        assert (await mdm("put", "--force", path, folder)).code == 0
        assert await identified(f"{folder}/{number}.dcm") == data
        (tmp_path / "view.dcm").unlink(missing_ok=True)
        got = await mdm("get", f"{folder}/{number}.dcm", tmp_path / "view.dcm")
        assert got.code == 0, got.err
        assert pydicom.dcmread(io.BytesIO((tmp_path / "view.dcm").read_bytes())).SliceThickness == 2.5


async def test_views_are_made_of_such_files_later_too(mdm, folder, bare, tmp_path):
    deflater = zlib.compressobj(wbits=-15)
    deflated = tmp_path / "deflated.dcm"
    body = deflater.compress(data_set(EXPLICIT)) + deflater.flush()
    deflated.write_bytes(meta("1.2.840.10008.1.2.1.99") + body + bytes(3))
    put = await mdm("put", "--force", bare, deflated, folder)
    assert put.code == 0, put.err
    name = f"p{os.urandom(4).hex()}"
    (tmp_path / "p.toml").write_text(f'name = "{name}"\n')
    assert (await mdm("profile", "add", tmp_path / "p.toml")).code == 0
    done = await mdm("profile", "apply", name, folder, "--yes")
    assert f"{name}: 2 ready" in done.text.splitlines(), done.text
    for file in ("bare", "deflated"):
        got = await mdm("get", "--view", name, f"{folder}/{file}.dcm", tmp_path / f"{file}.view")
        assert got.code == 0, got.err
        assert "SliceThickness" in pydicom.dcmread(tmp_path / f"{file}.view")


async def test_what_no_syntax_describes_is_stored_and_its_view_refused_with_the_reason(
    mdm, folder, identified, tmp_path
):
    assert (await mdm("put", "--force", SC_IMPLICIT_UNDER_JPEG, folder)).code == 0
    lfn = f"{folder}/{SC_IMPLICIT_UNDER_JPEG.name}"
    assert await identified(lfn) == SC_IMPLICIT_UNDER_JPEG.read_bytes()
    assert (await mdm("get", lfn, tmp_path / "view.dcm")).code == 4
    shown = await mdm("stat", lfn)
    assert "compressed pixels in implicit VR" in shown.text


async def test_a_directory_takes_such_files_for_all_below_it_until_another_does_not(
    mdm, folder, bare, ct, tmp_path
):
    assert (await mdm("intake", "get", folder)).text == "force: no by default\n"
    assert (await mdm("put", bare, folder)).code != 0
    changed = await mdm("intake", "set", folder, "--force", "yes")
    assert changed.text == f"force: yes by {folder}\n", changed.err
    await mdm("mkdir", f"{folder}/below", f"{folder}/strict")
    assert (await mdm("intake", "get", f"{folder}/below", "--json")).json["from"]["path"] == folder
    assert (await mdm("put", bare, f"{folder}/below")).code == 0
    await mdm("intake", "set", f"{folder}/strict", "--force", "no")
    assert (await mdm("put", bare, f"{folder}/strict")).code != 0
    assert (
        await mdm("intake", "set", f"{folder}/strict", "--force", "inherit")
    ).text == f"force: yes by {folder}\n"
    assert (await mdm("put", bare, f"{folder}/strict")).code == 0
    whole = tmp_path / "whole.dcm"
    whole.write_bytes(ct)
    assert (await mdm("put", whole, folder)).code == 0


async def test_only_directories_are_asked_and_only_who_has_the_right_says(mdm, folder, tmp_path, ct):
    (tmp_path / "ct.dcm").write_bytes(ct)
    await mdm("put", tmp_path / "ct.dcm", folder)
    assert (await mdm("intake", "set", f"{folder}/ct.dcm", "--force", "yes")).code != 0
    assert (await mdm("intake", "get", f"{folder}/none")).code == 3
    assert (await mdm("intake", "set", folder)).code == 2


async def test_trying_a_profile_reads_such_files_with_force(run, bare):
    refused = await run("profile", "try", bare)
    assert "no preamble" in refused.err
    tried = await run("profile", "try", "--force", bare)
    assert tried.code == 0, tried.err
    assert "Patient ID" in tried.text
