"""SRM: thousands of files in a request, and what becomes of each."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from pydicom import dcmread

from mdm_async import logs
from mdm_async.images.fairness.turns import LARGE
from mdm_async.images.transfers.rounds import FEW
from tests.conftest import Server
from tests.web.made_images import made
from tests.web.srm.codes import RECIPIENT, Tree, code, codes

# In bulk


@asynccontextmanager
async def statements(server: Server) -> AsyncIterator[list[str]]:
    """Everything that requests ask of Postgres while the context lasts; not what the server looks at by itself."""
    seen: list[str] = []

    def note(record: asyncpg.connection.LoggedQuery) -> None:
        if logs.request_id.get():
            seen.append(record.query)

    pool = server.house.database._pool
    held = [await pool.acquire() for _ in range(pool.get_max_size())]
    bare = [connection._con for connection in held]
    for connection in bare:
        connection.add_query_logger(note)
    for connection in held:
        await pool.release(connection)
    seen.clear()
    try:
        yield seen
    finally:
        for connection in bare:
            connection.remove_query_logger(note)


BULK = 3000


ASKED_BY_TIME = "from profiles"
"""A query that is made now and then, however much is going on."""


async def test_thousands_are_prepared_in_a_round_for_each_piece(own_server: Server) -> None:
    """The database is asked as often for three thousand files as for nine, which share no statements with others."""
    directory = await own_server.directory()
    surl = f"{directory}/a.dcm"
    await own_server.put(surl, made())
    async with own_server.house.database.acquire() as db:
        await db.execute(
            "insert into entries (parent, name, image, is_directory)"
            " select parent, 'n' || n, image, false from entries, generate_series(1, $1::int) n where name = 'a.dcm'",
            BULK,
        )

    async def prepared(files: list[Tree], **options: Any) -> tuple[Tree, int]:
        async with statements(own_server) as seen:
            tree = await own_server.srm("prepareToGet", files=files, **options)
        return tree, sum(ASKED_BY_TIME not in query for query in seen)

    _, few = await prepared([{"surl": f"{directory}/n{n}"} for n in range(1, FEW + 2)])
    many = [{"surl": f"{directory}/n{n}"} for n in range(1, BULK - 3)]
    bad = [{"surl": f"{directory}/missing"}, {"surl": directory}, {"surl": "relative"}, {"surl": "/x/y/z"}]
    files = many[:100] + bad + many[100:]
    tree, count = await prepared(files)
    assert 0 < count <= (few + 2) * -(-BULK // LARGE)
    assert code(tree) == "SRM_PARTIAL_SUCCESS"
    assert [line["surl"] for line in tree["files"]] == [one["surl"] for one in files]
    assert codes(tree)[100:104] == [f"SRM_INVALID_{why}" for why in ("PATH", "REQUEST", "REQUEST", "PATH")]
    urls = {line["transferURL"] for line in tree["files"] if "transferURL" in line}
    assert len(urls) == len(many)
    async with statements(own_server) as seen:
        told = await own_server.srm("statusOfGetRequest", requestToken=tree["requestToken"])
        released = await own_server.srm("releaseFiles", requestToken=tree["requestToken"])
        by_surl = await own_server.srm("releaseFiles", surls=[one["surl"] for one in many])
        listed = await own_server.srm("ls", surls=[one["surl"] for one in many])
    assert len(seen) < 40
    assert codes(told) == codes(tree)
    assert len(released["files"]) == len(files)
    assert len(by_surl["files"]) == len(listed["files"]) == len(many)


async def test_the_same_file_may_be_named_twice(server: Server, file: str) -> None:
    tree = await server.srm("prepareToGet", files=[{"surl": file}, {"surl": file}])
    assert {line["status"]["statusCode"] for line in tree["files"]} == {"SRM_FILE_PINNED"}


async def test_more_files_than_a_request_may_name_are_refused(server: Server) -> None:
    files = [{"surl": f"/{n}"} for n in range(10_001)]
    tree = await server.srm("prepareToGet", expect=400, files=files)
    assert "10000" in tree["returnStatus"]["explanation"]


async def test_a_body_that_is_too_large_is_refused(server: Server) -> None:
    answer = await server.call(
        "POST", "/srm/v2/ls", token=server.admin_token, data=b" " * (16 * 1024 * 1024 + 1)
    )
    assert answer.status == 413
    assert code(answer.tree) == "SRM_INVALID_REQUEST"


async def test_a_file_named_twice_is_removed_once(server: Server, directory: str, ct: bytes) -> None:
    surl = f"{directory}/twice.dcm"
    await server.put(surl, ct)
    tree = await server.srm("rm", surls=[surl, f"{directory}/never.dcm", surl])
    assert code(tree) == "SRM_PARTIAL_SUCCESS"
    assert codes(tree) == ["SRM_SUCCESS", "SRM_INVALID_PATH", "SRM_INVALID_PATH"]


@pytest.mark.parametrize("recipient", [None, RECIPIENT], ids=["clear", "sealed"])
async def test_every_file_of_a_bulk_request_is_served_whatever_became_of_others(
    server: Server, directory: str, file: str, recipient: str | None
) -> None:
    refused = f"{directory}/refused.dcm"
    await server.put(refused, _burned_in())
    surls = [refused, *[file] * 140]
    tree = await server.srm("prepareToGet", files=[{"surl": surl} for surl in surls], recipient=recipient)
    assert codes(tree) == ["SRM_FILE_UNAVAILABLE"] + ["SRM_FILE_PINNED"] * 140
    for line in tree["files"][1:]:
        assert len(await server.get(line["transferURL"])) == line["fileSize"]


def _burned_in() -> bytes:
    """A file whose basic view is refused."""
    image = dcmread(io.BytesIO(made()))
    image.BurnedInAnnotation = "YES"
    written = io.BytesIO()
    image.save_as(written)
    return written.getvalue()
