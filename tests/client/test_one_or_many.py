"""Names: one is never taken for many, paths are names, and of many each is told its fate."""

from pathlib import PurePosixPath

import pytest

from mdm_async import errors
from mdm_async.client import SomeFailed
from mdm_async.client.one_or_many import names_of


def test_a_single_name_is_not_a_row_of_letters():
    assert names_of("/demo/x") == names_of(PurePosixPath("/demo/x")) == ["/demo/x"]
    assert names_of(["/b", PurePosixPath("/a"), "/b"]) == ["/b", "/a"]
    with pytest.raises(TypeError):
        names_of(b"/demo/x")


async def test_rm_of_one_name_asks_to_delete_that_name(fake, client):
    fake.files |= {"/demo/x": b"x", "/demo/y": b"y"}
    await client.rm("/demo/x")
    assert [body["surls"] for operation, body in fake.requests if operation == "rm"] == [["/demo/x"]]
    await client.rm(PurePosixPath("/demo/y"))
    assert not fake.files


async def test_a_listed_entry_is_a_name(fake, client):
    fake.directories.add("/demo")
    fake.files["/demo/x"] = b"x"
    async for entry in client.ls("/demo"):
        await client.rm(entry)
    assert not fake.files


async def test_one_name_raises_its_own_error_and_many_tell_each(fake, client):
    fake.files |= {"/demo/x": b"x", "/demo/y": b"y"}
    with pytest.raises(FileNotFoundError):
        await client.rm("/demo/0")
    with pytest.raises(SomeFailed) as some:
        await client.rm(["/demo/y", "/demo/0", "/demo/x"])
    assert [(each.name, type(each.error)) for each in some.value.outcomes] == [
        ("/demo/y", type(None)),
        ("/demo/0", errors.NotFound),
        ("/demo/x", type(None)),
    ]
    assert some.value.exceptions[0].__notes__ == ["/demo/0"]
    assert not fake.files


@pytest.mark.parametrize(
    ("kind", "built_in"),
    [
        (errors.NotFound, FileNotFoundError),
        (errors.Exists, FileExistsError),
        (errors.NotADirectory, NotADirectoryError),
        (errors.Forbidden, PermissionError),
        (errors.Unauthenticated, PermissionError),
        (errors.Unreachable, ConnectionError),
    ],
)
def test_errors_that_python_has_a_name_for_are_that_too(kind, built_in):
    error = kind("the detail", remedy="the remedy")
    assert isinstance(error, built_in)
    assert str(error) == "the detail; the remedy"


async def test_a_server_that_is_away_is_a_connection_error(fake, client):
    client.wire.attempts = 1
    fake.faults.refusals = [503]
    with pytest.raises(errors.Unavailable) as away:
        await client.stat("/")
    assert not isinstance(away.value, OSError)


async def test_an_error_of_one_name_tells_it_below_its_reason(client):
    with pytest.raises(FileNotFoundError) as told:
        await client.stat("/nowhere")
    assert told.value.__notes__ == ["/nowhere"]
