"""`mdm profile list|show|check|add|release`, and what `get` says of a refused view."""

import io
import os

import pydicom
import pytest

from mdm_async.dicom.profile import basic
from tests.cli.test_profile_try import png_like_capture


@pytest.fixture
def name():
    """Of a profile that no other test has."""
    return f"p{os.urandom(4).hex()}"


@pytest.fixture
def profile_file(tmp_path, name):
    path = tmp_path / f"{name}.toml"
    path.write_text(f'name = "{name}"\noptions = ["retain_device_identity"]\n')
    return path


async def test_the_built_in_profile_is_listed_with_its_digest(mdm):
    listed = await mdm("profile", "list")
    (line,) = [line for line in listed.text.splitlines() if line.split()[:1] == ["basic"]]
    assert basic().digest[:12] in line
    assert "built in" in line
    (tree,) = [each for each in (await mdm("profile", "list", "--json")).json if each["name"] == "basic"]
    assert (tree["builtIn"], tree["digest"]) == (True, basic().digest)


async def test_a_profile_is_checked_added_listed_and_shown(mdm, name, profile_file):
    (checked,) = (await mdm("profile", "check", profile_file, "--json")).json
    added = await mdm("profile", "add", profile_file)
    assert added.code == 0, added.err
    assert added.err == ""
    assert checked["digest"][:12] in added.text
    assert f"mdm profile apply {name} DIR" in added.text
    assert "replaces" not in added.text
    (listed,) = [each for each in (await mdm("profile", "list", "--json")).json if each["name"] == name]
    assert (listed["digest"], listed["project"]) == (checked["digest"], name)
    assert (await mdm("profile", "show", name)).text == profile_file.read_text()
    assert (await mdm("profile", "show", name, "--json")).json["options"] == ["retain_device_identity"]


async def test_adding_says_what_was_replaced_and_that_its_views_are_gone(mdm, profile_file):
    first = (await mdm("profile", "add", profile_file, "--json")).json
    assert first["replaced"] is None
    again = await mdm("profile", "add", profile_file)
    assert "was in force" in again.text
    profile_file.write_text(profile_file.read_text() + '[attributes]\nPatientSex = "K"\n')
    changed = await mdm("profile", "add", profile_file)
    assert f"it replaces {first['digest'][:12]}, whose views are no longer served" in changed.text
    assert changed.err.startswith("mdm: warning: keeps PatientSex")
    assert "retain_patient_characteristics" in changed.err


async def test_check_tells_of_each_file_and_ends_with_the_first_failure(run, tmp_path, profile_file, name):
    bad, latin, none = tmp_path / "bad.toml", tmp_path / "latin.toml", tmp_path / "none.toml"
    bad.write_text('name = "x"\noptions = ["retain_everything"]\n')
    latin.write_bytes(b"name = \xe9\n")
    ended = await run("profile", "check", bad, latin, none, profile_file)
    assert ended.code == 2
    lines = ended.err.splitlines()
    assert lines[0].startswith(f"mdm: {bad}: the profile's options[0]: is no option; write one of ")
    assert lines[1].startswith(f"mdm: {latin}: not a text in UTF-8")
    assert lines[2] == f"mdm: {none}: no such file"
    assert f"profile {name}" in ended.text
    documents = (await run("profile", "check", bad, profile_file, "--json")).json
    assert documents[0]["error"]["exit"] == 2
    assert documents[1]["rules"] == documents[1]["pixelRules"] == 0


async def test_check_prints_warnings_beside_what_they_are_about(run, tmp_path):
    path = tmp_path / "p.toml"
    path.write_text('name = "x"\ndocuments = "allow"\n[attributes]\nPatientSex = "K"\n')
    ended = await run("profile", "check", path)
    assert (ended.code, ended.err) == (0, "")
    assert "1 of the site, 0 of pixels" in ended.text
    assert ended.text.count("warning: ") == 2


async def test_a_bad_file_is_never_sent(run, environment, tmp_path):
    environment.setenv("MDM_URL", "http://127.0.0.1:1")
    path = tmp_path / "bad.toml"
    path.write_text("name = 3\n")
    ended = await run("profile", "add", path)
    assert ended.code == 2
    assert ended.err.startswith(f"mdm: {path}: the profile's name")


async def test_a_profile_that_is_not_there_is_code_3_and_a_name_that_is_none_2(mdm):
    assert (await mdm("profile", "show", "nothing-like-it")).code == 3
    assert (await mdm("profile", "show", "../tokens")).code == 2


async def test_only_an_administrator_adds(mdm, server, environment, profile_file):
    environment.setenv("BEARER_TOKEN", await server.token("rlxgi"))
    assert (await mdm("profile", "add", profile_file)).code == 13


async def test_a_refused_view_says_why_and_who_may_lift_it(mdm, server, folder, tmp_path):
    await server.put(f"{folder}/sc.dcm", png_like_capture())
    ended = await mdm("get", f"{folder}/sc.dcm", tmp_path / "out.dcm")
    assert ended.code == 4
    assert "secondary capture without Burned In Annotation NO" in ended.err
    assert "; an administrator can lift this" in ended.err
    assert "mdm profile add" in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "out.dcm").exists()


async def test_what_is_in_quarantine_is_released_once_by_who_may(
    mdm, server, environment, folder, tmp_path, name
):
    profile = tmp_path / "q.toml"
    profile.write_text(f'name = "{name}"\nburned_in = "quarantine"\n')
    assert (await mdm("profile", "add", profile)).code == 0
    await server.put(f"{folder}/sc.dcm", png_like_capture())
    applied = await mdm("profile", "apply", name, folder, "--yes")
    assert applied.text.splitlines()[-2] == f"{name}: 1 quarantined"

    held = await mdm("get", f"{folder}/sc.dcm", tmp_path / "out.dcm", "--view", name)
    assert held.code == 4
    assert "in quarantine" in held.err
    assert "mdm profile release" in held.err

    refused = await mdm("profile", "release", f"{folder}/sc.dcm", "--view", name)
    assert refused.code == 13
    assert refused.err.startswith(f"mdm: {folder}/sc.dcm: ")

    environment.setenv("BEARER_TOKEN", await server.token("rlxgi", views=[name, "identified"]))
    released = await mdm("profile", "release", f"{folder}/sc.dcm", f"{folder}/none.dcm", "--view", name)
    assert released.code == 3
    assert released.text == f"released: {folder}/sc.dcm\n"
    assert f"{folder}/none.dcm" in released.err
    got = await mdm("get", f"{folder}/sc.dcm", tmp_path / "out.dcm", "--view", name)
    assert got.code == 0, got.err
    assert pydicom.dcmread(io.BytesIO((tmp_path / "out.dcm").read_bytes())).PatientIdentityRemoved == "YES"

    again = await mdm("profile", "release", f"{folder}/sc.dcm", "--view", name, "--json")
    assert again.code == 2
    assert "not in quarantine" in again.json[0]["error"]["detail"]
