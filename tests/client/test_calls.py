"""Calls: errors by name, patience where it is safe, listings page by page."""

import asyncio
import errno

import orjson
import pytest

from mdm_async import errors
from mdm_async.client import Client
from mdm_async.client.patience import Patience, delay
from mdm_async.client.told_errors import error_from_problem, error_from_status


def every_kind(kind=errors.MdmError):
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == "mdm_async.errors":
            yield from every_kind(child)


@pytest.mark.parametrize("kind", list(every_kind()))
def test_a_problem_becomes_the_error_that_it_was(kind):
    document = b'{"type":"%s","title":"t","detail":"d","remedy":"r"}' % kind.urn.encode()
    error = error_from_problem(kind.http, document, {"Retry-After": "7"})
    assert (type(error), error.detail, error.remedy, error.retry_after) == (kind, "d", "r", 7)


@pytest.mark.parametrize("kind", list(every_kind()))
def test_a_status_becomes_the_error_that_it_was(kind):
    error = error_from_status({"statusCode": kind.srm, "explanation": "e", "remedy": "r", "type": kind.urn})
    assert (type(error), error.detail, error.remedy) == (kind, "e", "r")


@pytest.mark.parametrize("type_", [None, "about:blank", "urn:mdm:error:of-tomorrow", 7, []])
def test_a_type_that_nobody_here_knows_leaves_what_the_status_says(type_):
    for kind in every_kind():
        error = error_from_status({"statusCode": kind.srm, "explanation": "e", "type": type_})
        assert (error.srm, error.detail) == (kind.srm, "e")
        document = orjson.dumps({"type": type_, "title": kind.title, "detail": "d"})
        assert error_from_problem(kind.http, document, {}).http == kind.http


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff"])
def test_a_proxys_page_is_an_error_too(body):
    assert type(error_from_problem(503, body, {})) is errors.Unavailable
    assert type(error_from_problem(403, body, {})) is errors.Forbidden
    assert type(error_from_problem(418, body, {})) is errors.MdmError


def test_waiting_grows_and_heeds_the_server():
    assert delay(1) <= 0.1
    assert 5 <= delay(20) <= 10
    assert 30 <= delay(1, 30) <= 37.5
    assert 60 <= delay(1, 10_000) <= 75


async def test_a_refusal_that_passes_is_waited_for(fake, client):
    fake.faults.refusals = [503, 429]
    assert (await client.stat("/")).is_directory
    assert fake.calls["ls"] == 3


async def test_patience_ends(fake, client):
    fake.faults.refusals = [503] * 10
    with pytest.raises(errors.Unavailable):
        await client.stat("/")
    assert fake.calls["ls"] == 4


async def test_what_passes_in_hours_is_told_at_once(fake, client):
    fake.faults.refusals, fake.faults.retry_after = [503] * 10, 36_613
    with pytest.raises(errors.Unavailable, match="come back"):
        await client.stat("/")
    assert fake.calls["ls"] == 1


async def test_before_a_long_wait_for_what_failed_is_told_why(monkeypatch):
    slept, told = [], []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("mdm_async.client.patience.asyncio.sleep", sleep)
    patience = Patience(4, lambda error, seconds: told.append((error.detail, seconds)))
    await patience.after(errors.Unavailable("broke off"))
    await patience.after(errors.Unavailable("full", retry_after=30))
    assert slept[0] < 3
    assert told == [("full", slept[1])]


async def test_a_server_that_says_later_is_asked_until_it_takes_it(fake, client):
    told = []
    client.wire.on_wait = lambda error, seconds: told.append(error.detail)
    fake.faults.refusals = [429] * 12
    await client.mkdir("/vo")
    assert fake.calls["mkdir"] == 13
    assert told == ["come back"] * 12


async def test_later_has_an_end_too(fake, client, monkeypatch):
    monkeypatch.setattr("mdm_async.client.patience.TURNED_AWAY", 0.05)
    fake.faults.refusals = [429] * 1000
    with pytest.raises(errors.TooManyRequests):
        await client.stat("/")


async def test_what_is_not_safe_is_not_repeated(fake, client):
    fake.faults.refusals = [503]
    with pytest.raises(errors.Unavailable):
        await client.mkdir("/vo")
    assert fake.calls["mkdir"] == 1


async def test_no_server_is_one_clear_error():
    async with Client("http://127.0.0.1:1", "t") as nobody:
        nobody.wire.attempts = 1
        with pytest.raises(errors.Unavailable, match="Connection refused"):
            await nobody.stat("/")


async def test_a_long_directory_comes_page_by_page(fake, client):
    fake.directories |= {"/vo", *(f"/vo/{n:04}" for n in range(2500))}
    names = [entry.name async for entry in client.ls("/vo")]
    assert names == [f"{n:04}" for n in range(2500)]
    assert fake.calls["ls"] == 3


async def test_a_tree_is_walked_parents_first(fake, client):
    fake.directories |= {"/vo", "/vo/a", "/vo/a/b"}
    fake.files |= {"/vo/a/b/x.dcm": b"x", "/vo/y.dcm": b"y"}
    seen = [entry.path async for entry in client.walk("/vo")]
    assert sorted(seen) == ["/vo/a", "/vo/a/b", "/vo/a/b/x.dcm", "/vo/y.dcm"]
    assert seen.index("/vo/a") < seen.index("/vo/a/b") < seen.index("/vo/a/b/x.dcm")


async def test_mkdir_parents_is_one_call(fake, client):
    await client.mkdir("/vo/a/b", parents=True)
    assert {"/vo", "/vo/a", "/vo/a/b"} <= fake.directories
    assert fake.calls["mkdir"] == 1
    with pytest.raises(errors.Exists):
        await client.mkdir("/vo/a/b")
    with pytest.raises(errors.NotFound):
        await client.mkdir("/vo/c/d")


async def test_a_bulk_prepare_tells_each_file_its_own_fate(fake, client):
    fake.files |= {"/vo/1": b"1", "/vo/2": b"2"}
    prepared = await client.prepare(["/vo/2", "/vo/0", "/vo/1"])
    assert [ticket.surl for ticket in prepared.tickets] == ["/vo/2", "/vo/1"]
    assert isinstance(prepared.failures["/vo/0"], errors.NotFound)
    assert fake.calls["prepareToGet"] == 1


async def test_the_identified_view_is_asked_for_sealed_without_being_told(fake, client):
    fake.files["/vo/1"] = b"1" * 100
    prepared = await client.prepare(["/vo/1"], view="identified")
    assert prepared.only().sealed is not None
    assert fake.calls["prepareToGet"] == 1


async def test_asked_for_clear_the_servers_no_is_told(fake, client):
    fake.files["/vo/1"] = b"1" * 100
    with pytest.raises(errors.Forbidden, match="only sealed"):
        await client.read("/vo/1", view="identified", sealed=False)


async def test_every_sealed_request_has_a_key_of_its_own(fake, client):
    fake.files["/vo/1"] = b"1" * 100
    for _ in range(2):
        await client.prepare(["/vo/1"], sealed=True)
    first, second = (body["recipient"] for operation, body in fake.requests if operation == "prepareToGet")
    assert first != second


async def test_whom_the_socket_is_not_for_is_not_told_to_start_the_server(tmp_path, monkeypatch):
    async def refused(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_unix_connection", refused, raising=False)
    async with Client(data=tmp_path) as client:
        client.wire.attempts = 1
        with pytest.raises(errors.Unreachable) as told:
            await client.stat("/")
    assert "own user and root" in str(told.value)


async def test_a_server_that_let_us_in_meanwhile_is_waited_for_anew(monkeypatch):
    """An upload of an hour, turned away before it and, once it broke off, after it."""
    monkeypatch.setattr("mdm_async.client.patience.TURNED_AWAY", 0.5)
    patience = Patience(4)
    await patience.after(errors.TooManyRequests("come back"))
    await asyncio.sleep(0.5)
    await patience.after(errors.Unavailable("broke off"))
    await patience.after(errors.TooManyRequests("come back"))
