"""Opaque files: what is not DICOM, in directories that take it; nothing that is DICOM becomes one."""

import asyncio
import zlib
from pathlib import Path

import pytest

from mdm_async.crypt4gh.segment import SEGMENT
from mdm_async.errors import BadRequest, Exists, Forbidden, MdmError, NoSpace, NotDicom, ViewRefused
from mdm_async.images.names import taking
from mdm_async.names import IDENTIFIED
from tests.conftest import Server, running_server
from tests.dicom.disguises import DISGUISES
from tests.faults.conditions import NOTHING, stored, until
from tests.images.one_step import Stream, caller, opened, read, store
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

CT, TEXT = made(), b"results of the night\n" * 5
LONG = bytes(range(256)) * 8000


async def take_opaque(server: Server, lfn: str, yes: bool | None = True) -> None:
    await taking.set_taking(server.house.database, await caller(server), lfn, {"opaque": yes})


async def opaque_directory(server: Server) -> str:
    lfn = await server.directory()
    await take_opaque(server, lfn)
    return lfn


@pytest.mark.parametrize("data", [b"", b"x", TEXT, LONG], ids=["empty", "tiny", "text", "long"])
async def test_what_is_not_dicom_is_given_back_byte_for_byte_to_plain_r(server: Server, data: bytes) -> None:
    path = await opaque_directory(server)
    file = await store(server, f"{path}/notes", data, size=len(data))
    assert (file.size, file.adler32) == (len(data), zlib.adler32(data))
    reader = await server.token("rl", path=path)
    view = await opened(server, f"{path}/notes", reader)
    assert (view.plain.view, view.file.recipient, view.plain.size) == ("opaque", None, len(data))
    assert await read(server, f"{path}/notes", reader) == data
    assert await read(server, f"/@opaque{path}/notes", reader) == data
    (line,) = (await server.srm("ls", surls=[f"{path}/notes"]))["files"]
    assert (line["view"], line["size"]) == ("opaque", len(data))


async def test_by_transfer_urls_it_comes_and_goes_too(server: Server) -> None:
    path = await opaque_directory(server)
    await server.put(f"{path}/notes", TEXT)
    url = (await server.prepare(f"{path}/notes"))["transferURL"]
    answer = await server.call("GET", url)
    assert answer.body == TEXT
    # No browser is to run what somebody has put there.
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_an_empty_one_has_no_ranges(server: Server) -> None:
    path = await opaque_directory(server)
    await server.put(f"{path}/empty", b"")
    url = (await server.prepare(f"{path}/empty"))["transferURL"]
    for method in ("GET", "HEAD"):
        answer = await server.call(method, url)
        assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    assert (await server.call("GET", url, headers={"Range": "bytes=0-"})).status == 416


async def test_where_no_directory_says_so_it_is_refused(server: Server) -> None:
    path = await opaque_directory(server)
    await server.srm("mkdir", surl=f"{path}/inner")
    await store(server, f"{path}/inner/notes", TEXT)
    await take_opaque(server, f"{path}/inner", yes=False)
    for lfn in (f"{path}/inner/more", f"{await server.directory()}/notes"):
        with pytest.raises(NotDicom):
            await store(server, lfn, TEXT)
    # What lies there stays, and is read as before.
    assert await read(server, f"{path}/inner/notes") == TEXT


async def test_it_takes_the_permission_right_and_the_audit_says_so(server: Server) -> None:
    path = await server.directory()
    token = await server.token("rwdlxgs", path=path)
    with pytest.raises(Forbidden):
        await taking.set_taking(server.house.database, await caller(server, token), path, {"opaque": True})
    await take_opaque(server, path)
    async with server.house.database.acquire() as db:
        details = await db.fetch(
            "select details from audit where act = 'set opaque' order by id desc limit 1"
        )
    assert details[0]["details"] == {"opaque": True}


async def test_dicom_is_no_opaque_file_in_whatever_disguise(own_server: Server) -> None:
    path = await opaque_directory(own_server)
    for disguise, data in DISGUISES.items():
        with pytest.raises(NotDicom):
            await store(own_server, f"{path}/{disguise.split()[0]}", data())
        assert await stored(own_server) == NOTHING, disguise


async def test_what_is_dicom_has_the_views_that_it_has_everywhere(server: Server) -> None:
    path = await opaque_directory(server)
    await store(server, f"{path}/a.dcm", CT)
    await store(server, f"{path}/bare.dcm", DISGUISES["no meta"](), force=True)
    view = await opened(server, f"{path}/a.dcm")
    assert view.plain.view == "basic"
    assert await read(server, f"{path}/a.dcm") != CT
    assert (await opened(server, f"{path}/bare.dcm")).plain.view == "basic"
    with pytest.raises(ViewRefused, match="is DICOM"):
        await opened(server, f"/@opaque{path}/a.dcm")


@pytest.mark.parametrize("view", ["basic", IDENTIFIED])
async def test_another_view_of_an_opaque_file_is_a_clear_error(server: Server, view: str) -> None:
    path = await opaque_directory(server)
    await store(server, f"{path}/notes", TEXT)
    with pytest.raises(BadRequest, match="is not DICOM"):
        await opened(server, f"/@{view}{path}/notes")
    # Who may not read it learns nothing of what it is.
    lister = await server.token("l", path=path)
    with pytest.raises(Forbidden):
        await opened(server, f"/@{view}{path}/notes", lister)


async def test_overwriting_one_kind_by_the_other_changes_the_views(server: Server) -> None:
    path = await opaque_directory(server)
    await store(server, f"{path}/a", CT)
    await store(server, f"{path}/a", TEXT, overwrite=True)
    assert await read(server, f"{path}/a") == TEXT
    await store(server, f"{path}/a", CT, overwrite=True)
    assert (await opened(server, f"{path}/a")).plain.view == "basic"
    with pytest.raises(ViewRefused):
        await opened(server, f"/@opaque{path}/a")


async def test_the_same_bytes_again_are_no_error_and_others_are(server: Server) -> None:
    path = await opaque_directory(server)
    first = await store(server, f"{path}/a", TEXT)
    assert (await store(server, f"{path}/a", TEXT)).guid == first.guid
    with pytest.raises(Exists):
        await store(server, f"{path}/a", TEXT + b"more")


async def test_a_directory_that_ceases_meanwhile_takes_nothing_any_more(own_server: Server) -> None:
    path, coming = await opaque_directory(own_server), Stream(LONG)
    async with asyncio.TaskGroup() as tasks:
        sent = tasks.create_task(_refused(own_server, f"{path}/a", coming))
        await coming.half.wait()
        await take_opaque(own_server, path, yes=False)
        coming.on.set()
    assert isinstance(sent.result(), Forbidden)
    assert await stored(own_server) == NOTHING


async def _refused(server: Server, lfn: str, body: Stream) -> MdmError:
    with pytest.raises(MdmError) as told:
        await store(server, lfn, body)
    return told.value


async def test_an_upload_that_waits_for_its_name_gets_none_in_a_directory_that_ceased(server: Server) -> None:
    path = await opaque_directory(server)
    prepared = await server.srm("prepareToPut", files=[{"surl": f"{path}/a"}])
    async with server.http.put(prepared["files"][0]["transferURL"], data=TEXT) as answer:
        assert answer.status == 201
    await take_opaque(server, path, yes=False)
    done = await server.srm(
        "putDone", requestToken=prepared["requestToken"], surls=[f"{path}/a"], expect=None
    )
    assert "SRM_AUTHORIZATION_FAILURE" in repr(done)


async def test_it_moves_only_to_where_it_is_taken(server: Server) -> None:
    source, other, clinic = (
        await opaque_directory(server),
        await opaque_directory(server),
        await server.directory(),
    )
    await store(server, f"{source}/notes", TEXT)
    assert "does not take opaque" in await _mv(server, f"{source}/notes", f"{clinic}/notes")
    await _mv(server, f"{source}/notes", f"{other}/notes")
    assert await read(server, f"{other}/notes") == TEXT
    # A directory that takes them, by its own word or another's, is no way either.
    await server.srm("mkdir", surl=f"{source}/inner")
    await server.srm("mkdir", surl=f"{clinic}/a")
    await server.srm("mkdir", surl=f"{clinic}/a/b")
    await take_opaque(server, f"{clinic}/a/b")
    for moved in (f"{source}/inner", source, f"{clinic}/a"):
        assert "does not take opaque" in await _mv(server, moved, f"{await server.directory()}/x")


async def test_a_directory_that_is_moved_among_opaque_files_goes_on_to_take_none(server: Server) -> None:
    path, clinic = await opaque_directory(server), await server.directory()
    await _mv(server, clinic, f"{path}/clinic")
    with pytest.raises(NotDicom):
        await store(server, f"{path}/clinic/notes", TEXT)


async def _mv(server: Server, source: str, target: str) -> str:
    tree = await server.srm("mv", fromSURL=source, toSURL=target, expect=None)
    return repr(tree)


async def test_it_is_linked_to_no_project(server: Server) -> None:
    path, project = await opaque_directory(server), await server.directory()
    await store(server, f"{path}/notes", TEXT)
    for view in ("basic", "opaque"):
        asked = {"surls": [f"{path}/notes"], "target": project, "view": view}
        told = await server.call("POST", "/admin/v1/link", token=server.admin_token, json=asked)
        assert b"not DICOM" in told.body or b"only a de-identified view" in told.body


async def test_its_views_are_never_made(server: Server) -> None:
    path = await opaque_directory(server)
    await store(server, f"{path}/notes", TEXT)
    await _mv(server, f"{path}/notes", f"{path}/renamed")
    async with server.house.database.acquire() as db:
        image = await db.fetchval("select image from entries where name = 'renamed' order by id desc limit 1")
        assert await db.fetchval("select count(*) from views_to_make where image = $1", image) == 0


async def test_the_quota_counts_what_is_there_of_each_and_of_all(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    limits = {"opaque": 3 * SEGMENT, "opaque_each": 2 * SEGMENT}
    async with running_server(tmp_path / "data", dsn, limits=limits) as server:
        path = await opaque_directory(server)
        await store(server, f"{path}/a", TEXT)
        await store(server, f"{path}/b", TEXT)
        before = await stored(server)
        for data in (TEXT, b"", LONG):
            with pytest.raises(NoSpace, match="quota of opaque files"):
                await store(server, f"{path}/c", data)
        # What does not fit is not taken to its end.
        with pytest.raises(NoSpace):
            await asyncio.wait_for(store(server, f"{path}/c", Stream(LONG)), PATIENCE)
        assert await stored(server) == before
        # DICOM has no part in it, and what is removed is given back once it is destroyed.
        await store(server, f"{path}/ct", CT)
        await server.srm("rm", surls=[f"{path}/a"])
        await until(lambda: _fits(server, f"{path}/c"))
        # Of another caller as much as all together may have.
        other = await server.token("rwl", path=path)
        await store(server, f"{path}/d", TEXT, other)
        with pytest.raises(NoSpace):
            await store(server, f"{path}/e", TEXT, other)


async def _fits(server: Server, lfn: str) -> bool:
    await server.house.sweeper.sweep()
    try:
        await store(server, lfn, TEXT)
    except NoSpace:
        return False
    return True
