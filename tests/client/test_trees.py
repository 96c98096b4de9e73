"""Many files at once: trees and lists, in and out."""

import pytest

from mdm_async import errors
from mdm_async.client import SomeFailed
from mdm_async.client.tree_download import BATCH


@pytest.fixture
def tree(fake):
    """Three images in two directories."""
    fake.directories |= {"/vo", "/vo/b"}
    fake.files |= {"/vo/1.dcm": b"1" * 100, "/vo/b/2.dcm": b"2" * 200, "/vo/b/3.dcm": b"3" * 300}
    return fake


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_tree_is_pulled_in_one_request_and_released(tree, client, tmp_path):
    got = await client.get_all("/vo", tmp_path / "out", recursive=True)
    assert contents(tmp_path / "out") == {
        "1.dcm": b"1" * 100, "b/2.dcm": b"2" * 200, "b/3.dcm": b"3" * 300,
    }  # fmt: skip
    assert list(got) == ["/vo/1.dcm", "/vo/b/2.dcm", "/vo/b/3.dcm"]
    assert tree.calls["prepareToGet"] == tree.calls["releaseFiles"] == 1


async def test_what_is_there_and_right_is_not_pulled_again(tree, client, tmp_path):
    await client.get_all("/vo", tmp_path, recursive=True)
    (tmp_path / "1.dcm").write_bytes(b"0" * 100)
    (tmp_path / "b" / "3.dcm").write_bytes(b"3" * 299)
    tree.gets.clear()
    got = await client.get_all("/vo", tmp_path, recursive=True)
    assert {name for name, each in got.items() if each.was_there} == {"/vo/b/2.dcm"}
    assert len(tree.gets) == 2
    assert contents(tmp_path)["1.dcm"] == b"1" * 100
    assert contents(tmp_path)["b/3.dcm"] == b"3" * 300


async def test_what_is_there_of_the_identified_view_becomes_its_owners_alone(tree, client, tmp_path):
    await client.get_all("/vo", tmp_path, recursive=True, view="identified")
    (tmp_path / "1.dcm").chmod(0o644)
    got = await client.get_all("/vo", tmp_path, recursive=True, view="identified")
    assert got["/vo/1.dcm"].was_there
    assert (tmp_path / "1.dcm").stat().st_mode & 0o777 == 0o600


async def test_several_directories_each_get_a_folder(tree, client, tmp_path):
    tree.directories.add("/other")
    tree.files["/other/4.dcm"] = b"4"
    await client.get_all(["/vo/b", "/other", "/vo/1.dcm"], tmp_path, recursive=True)
    assert contents(tmp_path).keys() == {"b/2.dcm", "b/3.dcm", "other/4.dcm", "1.dcm"}


async def test_two_files_never_become_one(tree, client, tmp_path):
    tree.files["/vo/2.dcm"] = b"another"
    with pytest.raises(SomeFailed) as some:
        await client.get_all(["/vo/2.dcm", "/vo/b/2.dcm"], tmp_path)
    assert [type(each) for each in some.value.exceptions] == [errors.Exists]
    assert contents(tmp_path) == {"2.dcm": b"another"}


async def test_each_that_fails_is_told_and_the_rest_comes(tree, client, tmp_path):
    with pytest.raises(SomeFailed) as some:
        await client.get_all(["/vo/0.dcm", "/vo/1.dcm"], tmp_path)
    assert [outcome.name for outcome in some.value.outcomes if outcome.error] == ["/vo/0.dcm"]
    assert contents(tmp_path).keys() == {"1.dcm"}


async def test_a_mistyped_folder_does_not_come_into_being(tree, client, tmp_path):
    with pytest.raises(NotADirectoryError):
        await client.get_all("/vo", tmp_path / "mistyped" / "out", recursive=True)
    assert list(tmp_path.iterdir()) == []
    assert not tree.calls


async def test_a_long_list_is_prepared_batch_by_batch(fake, client, tmp_path):
    fake.files |= {f"/{n}": b"%d" % n for n in range(2 * BATCH + 1)}
    await client.get_all(sorted(fake.files), tmp_path)
    assert fake.calls["prepareToGet"] == fake.calls["releaseFiles"] == 3
    assert len(contents(tmp_path)) == 2 * BATCH + 1


async def test_a_folder_is_stored_with_all_that_is_below_it(fake, client, tmp_path):
    (tmp_path / "study" / "b").mkdir(parents=True)
    (tmp_path / "study" / "1.dcm").write_bytes(b"1")
    (tmp_path / "study" / "b" / "2.dcm").write_bytes(b"2")
    fake.directories.add("/vo")
    stored = await client.put_all(tmp_path / "study", "/vo", recursive=True)
    assert fake.files == {"/vo/study/1.dcm": b"1", "/vo/study/b/2.dcm": b"2"}
    assert {each.path for each in stored.values()} == set(fake.files)


@pytest.mark.parametrize("target", ["/mistyped/study", "/mistyped/"])
async def test_a_mistyped_directory_is_not_made(fake, client, tmp_path, target):
    (tmp_path / "1.dcm").write_bytes(b"1")
    sources = tmp_path if target.endswith("study") else tmp_path / "1.dcm"
    with pytest.raises(NotADirectoryError):
        await client.put_all(sources, target, recursive=True)
    assert fake.directories == {"/"}
    await client.put_all(sources, target, recursive=True, parents=True)
    assert len(fake.files) == 1
