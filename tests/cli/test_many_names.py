"""Several names, and names from files and stdin."""

import io
import sys

import pytest

from tests.client.fake_server import TOKEN, fake_server


@pytest.fixture
async def fake(environment):
    async with fake_server() as fake:
        environment.setenv("MDM_URL", fake.url)
        environment.setenv("BEARER_TOKEN", TOKEN)
        fake.directories.add("/vo")
        fake.files |= {"/vo/1.dcm": b"1" * 10, "/vo/2.dcm": b"2" * 20}
        yield fake


@pytest.fixture
def names(tmp_path):
    file = tmp_path / "names"
    file.write_text("/vo/1.dcm\r\n\n  \n/vo/2.dcm\n")
    return file


async def test_names_come_from_a_file(fake, run, names, tmp_path):
    assert [each["path"] for each in (await run("stat", "--files-from", names, "--json")).json] == [
        "/vo/1.dcm", "/vo/2.dcm",
    ]  # fmt: skip
    (tmp_path / "out").mkdir()
    got = await run("get", "--files-from", names, tmp_path / "out")
    assert got.code == 0, got.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.dcm", "2.dcm"]
    assert (await run("get", "--files-from", names, tmp_path / "out")).text.count("was there") == 2
    assert (await run("rm", "--files-from", names)).code == 0
    assert not fake.files


async def test_names_come_from_stdin(fake, run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("/vo/1.dcm\n"))
    assert (await run("rm", "--files-from", "-")).code == 0
    assert fake.files.keys() == {"/vo/2.dcm"}


async def test_a_folder_whose_name_ends_as_one_is_made(fake, run, names, tmp_path):
    refused = await run("get", "--files-from", names, tmp_path / "new")
    assert refused.code != 0
    assert "end its name with '/'" in refused.err
    assert (await run("get", "--files-from", names, f"{tmp_path}/new/")).code == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["1.dcm", "2.dcm"]
    (tmp_path / "file").touch()
    assert (await run("get", "--files-from", names, f"{tmp_path}/file/")).code != 0


async def test_values_behind_names_are_passed_over(fake, run, names, tmp_path):
    names.write_text("/vo/1.dcm\tCT\t128\n/vo/2.dcm\t\n")
    assert (await run("get", "--files-from", names, f"{tmp_path}/out/")).code == 0


async def test_a_document_is_no_list_of_names_and_is_not_repeated(fake, run, names):
    names.write_text('{"matches": [{"path": "/vo/1.dcm", "values": {"PatientName": ["Doe"]}}]}')
    refused = await run("get", "--files-from", names)
    assert refused.code == 2
    assert "leave --json out" in refused.err
    assert "Doe" not in refused.err
    assert not fake.calls


async def test_no_name_at_all_is_a_mistake(fake, run, tmp_path):
    (tmp_path / "empty").touch()
    for command in ("stat", "rm", "get"):
        assert (await run(command, "--files-from", tmp_path / "empty")).code == 2
        assert (await run(command)).code == 2
    assert not fake.calls


async def test_what_comes_from_stdin_is_stored(fake, run, monkeypatch):
    class Stdin:
        buffer = io.BytesIO(b"an image")

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert (await run("put", "-", "/vo/3.dcm", "--json")).json["files"][0]["path"] == "/vo/3.dcm"
    assert fake.files["/vo/3.dcm"] == b"an image"
    assert (await run("put", "-", "/vo/")).code == 2


async def test_several_go_only_into_a_folder_that_is_there(fake, run, tmp_path):
    ended = await run("get", "/vo/1.dcm", "/vo/2.dcm", tmp_path / "mistyped")
    assert ended.code != 0
    assert "mkdir" in ended.err
    assert list(tmp_path.iterdir()) == []
    assert (await run("get", "/vo/1.dcm", "/vo/2.dcm", tmp_path)).code == 0
    assert len(list(tmp_path.iterdir())) == 2


async def test_several_directories_are_listed_and_the_one_that_fails_is_told(fake, run):
    listed = await run("ls", "/vo", "/none", "/vo/1.dcm")
    assert listed.code == 3
    assert listed.text.splitlines() == ["/vo:", "1.dcm", "2.dcm", "/none:", "/vo/1.dcm:", "1.dcm"]
    assert listed.err.startswith("mdm: /none: ")
    told = (await run("ls", "/vo", "/none", "--json")).json
    assert [each["path"] for each in told] == ["/vo/1.dcm", "/vo/2.dcm", "/none"]
    assert told[2]["error"]["exit"] == 3


async def test_stat_tells_each_that_failed(fake, run):
    told = await run("stat", "/vo/0.dcm", "/vo/1.dcm", "--json")
    assert told.code == 3
    assert ["error" in each for each in told.json] == [True, False]
    assert fake.calls["ls"] == 1
