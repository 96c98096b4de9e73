"""`mdm project mapping`: set, shown and forgotten by who may, and by nobody else."""

import re
import shlex
from pathlib import Path

import pytest

DOCS = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text()

CSV = "patient,subject,shift_days\n1CT1,S-001,-371\n"
PROFILE = 'name = "trial"\nunmapped = "refuse"\noptions = ["retain_longitudinal_modified_dates"]\n'


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "subjects.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def image(ct, tmp_path):
    path = tmp_path / "ct.dcm"
    path.write_bytes(ct)
    return path


async def test_a_mapping_is_set_shown_and_forgotten(run, own_server, environment, tmp_path, file):
    environment.setenv("MDM_URL", own_server.url)
    environment.setenv("BEARER_TOKEN", own_server.admin_token)
    profile = tmp_path / "trial.toml"
    profile.write_text(PROFILE)
    assert (await run("profile", "add", profile)).code == 0
    refused = await run("project", "mapping", "set", "trial", file)
    assert (refused.code, refused.out) == (13, b""), refused.err
    assert "has no right 'i' on /" in refused.err

    token = await own_server.token("pdrwlxgsi", views=["*", "identified"])
    environment.setenv("BEARER_TOKEN", token)
    done = await run("project", "mapping", "set", "trial", file)
    assert done.code == 0, done.err
    assert done.text.splitlines()[:2] == [
        "trial: 1 patient is mapped",
        "made anew: trial; what was made before is no longer served",
    ]
    assert (await run("project", "mapping", "show", "trial")).text == CSV
    assert (await run("project", "mapping", "set", "trial", file, "--json")).json["anew"] == []
    gone = await run("project", "mapping", "unset", "trial")
    assert gone.text.startswith("trial: the mapping is forgotten\n")
    assert (await run("project", "mapping", "show", "trial")).code == 3


async def test_what_is_wrong_is_one_line_without_values(run, own_server, environment, file):
    environment.setenv("MDM_URL", own_server.url)
    environment.setenv("BEARER_TOKEN", await own_server.token("pdrwlxgsi", views=["*", "identified"]))
    file.write_text(CSV + "1CT1,S-002,0\n")
    ended = await run("project", "mapping", "set", "trial", file)
    assert ended.out == b""
    assert "line 3" in ended.err
    assert "1CT1" not in ended.err
    assert ended.err.count("\n") == 1


async def test_patients_that_are_one_subject_are_warned_of_without_values(
    run, own_server, environment, image, tmp_path, file
):
    environment.setenv("MDM_URL", own_server.url)
    environment.setenv("BEARER_TOKEN", await own_server.token("pdrwlxgsi", views=["*", "identified"]))
    file.write_text(CSV + "2CT2,S-001,-371\n3CT3,S-003,1\n")
    said = "2 patients are 1 subject: right only for one person's several Patient IDs"
    ended = await run("project", "mapping", "set", "trial", file)
    assert (ended.code, ended.err) == (0, f"mdm: {file}: warning: {said}\n")
    ended = await run("project", "mapping", "set", "trial", file, "--json")
    assert (ended.code, ended.json["warnings"]) == (0, [said])
    ended = await run("profile", "try", image, "--profile", profile_at(tmp_path), "--mapping", file)
    assert (ended.code, ended.err) == (0, f"mdm: {file}: warning: {said}\n")


async def test_a_mapping_that_the_profile_does_not_use_is_told_of(run, image, file):
    ended = await run("profile", "try", image, "--mapping", file)
    assert ended.code == 0
    assert "warning: not used: the profile says nothing of who is not mapped" in ended.err


def profile_at(directory):
    path = directory / "trial.toml"
    path.write_text(PROFILE)
    return path


async def test_a_trial_without_the_mapping_calls_everybody_subject(run, ct, tmp_path, file):
    image, profile = tmp_path / "ct.dcm", tmp_path / "trial.toml"
    image.write_bytes(ct)
    profile.write_text(PROFILE)
    for options, subject in (((), "SUBJECT"), (("--mapping", file), "S-001")):
        ended = await run("profile", "try", image, "--profile", profile, "--json", *options)
        assert ended.code == 0, ended.err
        rows = {row["tag"]: row for row in ended.json[0]["attributes"] if row["depth"] == 0}
        assert rows["(0010,0020)"]["becomes"] == subject
    file.write_text("patient,subject,issuer\n1CT1,S-002,NORTH\n")
    asked = ("profile", "try", image, "--profile", profile, "--mapping", file)
    rows = (await run(*asked, "--issuer", "NORTH", "--json")).json[0]["attributes"]
    assert [row["becomes"] for row in rows if row["tag"] == "(0010,0020)"] == ["S-002"]
    ended = await run(*asked)
    assert "the patient is not in the project's mapping (mdm project mapping set)" in ended.text + ended.err


async def test_the_commands_of_the_documentation_do_what_they_say(
    run, own_server, environment, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    environment.setenv("MDM_URL", own_server.url)
    environment.setenv("BEARER_TOKEN", await own_server.token("pdrwlxgsi", views=["*", "identified"]))
    (tmp_path / "subjects.csv").write_text(re.findall(r"^```csv\n(.*?)^```", DOCS, re.M | re.S)[0])
    (block,) = re.findall(r"^```sh\n(.*?)^```", DOCS, re.M | re.S)
    for command in block.splitlines():
        program, *arguments = shlex.split(command)
        ended = await run(*arguments)
        assert (program, ended.code) == ("mdm", 0), (command, ended.err)


async def test_a_trial_says_of_a_time_that_only_days_are_moved(run, image, tmp_path):
    shown = await run("profile", "try", image, "--profile", profile_at(tmp_path))
    (line,) = [one for one in shown.text.splitlines() if one.lstrip().startswith("(0008,0030)")]
    assert "S date moved by whole days, time of day as it was" in line
    assert line.rstrip().endswith("unchanged")
    told = " ".join((await run("profile", "try", "--help")).text.split())
    assert "A view that would be refused is an answer, and ends with 0" in told
