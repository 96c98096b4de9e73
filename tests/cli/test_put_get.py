"""`mdm put` and `mdm get`: files and trees, in and out."""

import pytest

SMALL = {"a.dcm": "", "b": "sub", "c.dcm": "sub/deeper"}


@pytest.fixture
def tree(tmp_path, ct):
    """A folder with images at three levels, and one file that is no image."""
    root = tmp_path / "tree"
    for name, below in SMALL.items():
        (root / below).mkdir(parents=True, exist_ok=True)
        (root / below / name).write_bytes(ct)
    (root / "readme.txt").write_text("not an image")
    return root


@pytest.fixture
def image(tmp_path, ct):
    path = tmp_path / "image.dcm"
    path.write_bytes(ct)
    return path


@pytest.mark.parametrize("sealed", [[], ["--sealed"]])
async def test_a_file_goes_in_and_its_view_comes_out(mdm, folder, image, tmp_path, sealed):
    put = await mdm("put", *sealed, image, folder)
    assert put.code == 0, put.err
    assert put.text.startswith(f"{folder}/image.dcm")
    got = await mdm("get", *sealed, f"{folder}/image.dcm", tmp_path / "out.dcm")
    assert got.code == 0, got.err
    content = (tmp_path / "out.dcm").read_bytes()
    assert content[128:132] == b"DICM"
    assert content != image.read_bytes()
    assert put.err == got.err == ""


async def test_one_file_to_a_new_name_or_into_a_directory(mdm, folder, image):
    await mdm("put", image, f"{folder}/new-name.dcm")
    await mdm("put", image, folder)
    await mdm("mkdir", f"{folder}/sub")
    await mdm("put", image, image, f"{folder}/sub")
    listed = await mdm("ls", folder)
    assert listed.text.split() == ["image.dcm", "new-name.dcm", "sub/"]


async def test_several_files_need_a_directory(mdm, folder, image):
    ended = await mdm("put", image, image, f"{folder}/nothing-there")
    assert ended.code == 1
    assert ended.err.startswith("mdm: ")
    assert "mkdir" in ended.err


async def test_a_folder_needs_to_be_asked_for(mdm, folder, tree):
    ended = await mdm("put", tree, folder)
    assert (ended.code, ended.out) == (2, b"")
    assert "-r" in ended.err


async def test_a_tree_goes_in_and_comes_out_with_what_failed_told(mdm, folder, tree, tmp_path):
    put = await mdm("put", "-r", tree, folder, "--json", "--parallel", 3)
    assert put.code == 1
    failed = [file for file in put.json["files"] if "error" in file]
    assert [file["source"].rpartition("/")[2] for file in failed] == ["readme.txt"]
    assert failed[0]["error"]["exit"] == 1
    assert put.err.count("\n") == 1
    assert "readme.txt" in put.err

    got = await mdm("get", "-r", f"{folder}/tree", tmp_path / "out", "--json")
    assert got.code == 0, got.err
    assert len(got.json["files"]) == 3
    for name, below in SMALL.items():
        assert (tmp_path / "out" / below / name).read_bytes()[128:132] == b"DICM"


async def test_a_tree_to_a_name_that_is_not_there_takes_that_name(mdm, folder, tree):
    await mdm("put", "-r", tree, f"{folder}/renamed")
    listed = await mdm("ls", f"{folder}/renamed")
    assert listed.text.split() == ["a.dcm", "sub/"]


async def test_a_range_is_counted_as_in_http(mdm, folder, image, tmp_path):
    await mdm("put", image, folder)
    path = f"{folder}/image.dcm"
    whole = (await mdm("get", path, "-")).out
    assert (await mdm("get", path, "-", "--range", "128-131")).out == b"DICM"
    assert (await mdm("get", path, "-", "--range", "1000-", "--sealed")).out == whole[1000:]
    assert (await mdm("get", path, "-", "--range", "-10")).out == whole[-10:]
    assert (await mdm("get", path, tmp_path / "r", "--range", "5-9")).code == 0
    assert (tmp_path / "r").read_bytes() == whole[5:10]
    assert (await mdm("get", path, "-", "--range", f"{len(whole)}-")).code == 2


async def test_the_identified_view_comes_only_to_those_who_may(
    mdm, server, environment, folder, image, tmp_path
):
    await mdm("put", image, folder)
    refused = await mdm("get", f"{folder}/image.dcm", tmp_path / "out", "--view", "identified")
    assert refused.code == 13
    assert not (tmp_path / "out").exists()
    environment.setenv("BEARER_TOKEN", await server.token("rlxgi", views=["identified"]))
    allowed = await mdm("get", f"{folder}/image.dcm", tmp_path / "out", "--view", "identified", "--json")
    assert allowed.code == 0, allowed.err
    assert allowed.json["files"][0]["sealed"] is True
    assert (tmp_path / "out").read_bytes() == image.read_bytes()


async def test_what_is_not_there_is_one_line_and_code_2(mdm, folder, tmp_path):
    ended = await mdm("get", f"{folder}/nothing.dcm", tmp_path / "x")
    assert ended.code == 3
    assert ended.err.count("\n") == 1
    assert f"{folder}/nothing.dcm" in ended.err
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_may_not_be_read_is_one_line(mdm, folder, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    ended = await mdm("put", "-r", tmp_path, folder)
    assert ended.code == 1
    assert ended.err == f"mdm: {tmp_path}: Permission denied\n"


async def test_no_server_is_one_line_and_code_69(run, environment):
    environment.setenv("MDM_URL", "http://127.0.0.1:1")
    ended = await run("ls")
    assert (ended.code, ended.out) == (69, b"")
    assert "Connection refused" in ended.err


async def test_a_server_without_tls_elsewhere_is_refused(run, environment):
    environment.setenv("MDM_URL", "http://192.0.2.1:8085")
    ended = await run("ls")
    assert ended.code == 13
    assert "https" in ended.err
