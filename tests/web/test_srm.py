"""SRM over JSON: every operation, how it succeeds and how it fails, alone and in bulk."""

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from mdm_async import logs
from mdm_async.web.srm.operations import OPERATIONS
from tests.conftest import Server
from tests.web.made_images import made

Tree = dict[str, Any]
RECIPIENT = "CUVoYNXJqUgy0IC1rSb3g1MsdzFkDa0MWv8k1cyyBGE="


@pytest.fixture
async def directory(server: Server) -> str:
    return await server.directory()


@pytest.fixture
async def file(server: Server, directory: str) -> str:
    surl = f"{directory}/a.dcm"
    await server.put(surl, made())
    return surl


def code(tree: Tree) -> str:
    return str(tree["returnStatus"]["statusCode"])


def codes(tree: Tree) -> list[str]:
    return [line["status"]["statusCode"] for line in tree["files"]]


# About the server


async def test_ping_tells_the_version(server: Server) -> None:
    tree = await server.srm("ping")
    assert tree["versionInfo"] == "v2.2"
    assert {"key": "backend_type", "value": "mdm_async"} in tree["otherInfo"]


async def test_the_transfer_protocols_are_those_offered(server: Server) -> None:
    tree = await server.srm("getTransferProtocols")
    assert tree["protocolInfo"] == [{"transferProtocol": "http"}]


async def test_an_unknown_operation_is_not_supported(server: Server) -> None:
    for name in ("srmCopy", "Ls", "ls/", "%00", "__class__"):
        answer = await server.call("POST", f"/srm/v2/{name}", token=server.admin_token, json={})
        assert answer.status in (404, 501)
    tree = await server.srm("reserveSpace", expect=501)
    assert code(tree) == "SRM_NOT_SUPPORTED"


async def test_other_methods_are_not_taken(server: Server) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = await server.call(method, "/srm/v2/ls", token=server.admin_token)
        assert answer.status == 501
        assert "POST" in answer.headers["Allow"]


# Names


async def test_a_directory_is_made_once(server: Server, directory: str) -> None:
    tree = await server.srm("mkdir", surl=f"{directory}/new")
    assert code(tree) == "SRM_SUCCESS"
    assert tree["guid"]
    tree = await server.srm("mkdir", expect=409, surl=f"{directory}/new")
    assert code(tree) == "SRM_DUPLICATION_ERROR"
    tree = await server.srm("mkdir", expect=404, surl=f"{directory}/no/such")
    assert code(tree) == "SRM_INVALID_PATH"
    tree = await server.srm("mkdir", expect=409, surl="/")
    assert code(tree) == "SRM_DUPLICATION_ERROR"


async def test_nothing_is_made_below_a_file(server: Server, file: str) -> None:
    tree = await server.srm("mkdir", expect=404, surl=f"{file}/below")
    assert code(tree) == "SRM_INVALID_PATH"
    tree = await server.srm("prepareToPut", expect=404, files=[{"surl": f"{file}/below"}])
    assert codes(tree) == ["SRM_INVALID_PATH"]


async def test_a_directory_is_removed_when_it_is_empty_or_with_all_below(server: Server, file: str) -> None:
    parent = file.rpartition("/")[0]
    tree = await server.srm("rmdir", expect=409, surl=parent)
    assert code(tree) == "SRM_NON_EMPTY_DIRECTORY"
    tree = await server.srm("rmdir", expect=409, surl=file)
    assert code(tree) == "SRM_INVALID_PATH"
    line = await server.prepare(file)
    assert code(await server.srm("rmdir", surl=parent, recursive=True)) == "SRM_SUCCESS"
    assert code(await server.srm("rmdir", expect=404, surl=parent)) == "SRM_INVALID_PATH"
    assert (await server.call("GET", line["transferURL"])).status == 410
    await server.srm("rmdir", expect=400, surl="/")
    await server.srm("rmdir", expect=400, surl="/", recursive=True)


async def test_files_are_removed_one_by_one(server: Server, directory: str, file: str) -> None:
    tree = await server.srm("rm", surls=[file, f"{directory}/missing", directory, "relative"])
    assert code(tree) == "SRM_PARTIAL_SUCCESS"
    assert codes(tree) == ["SRM_SUCCESS", "SRM_INVALID_PATH", "SRM_INVALID_REQUEST", "SRM_INVALID_REQUEST"]
    tree = await server.srm("rm", expect=404, surls=[file])
    assert (code(tree), codes(tree)) == ("SRM_FAILURE", ["SRM_INVALID_PATH"])


async def test_moving(server: Server, directory: str, file: str) -> None:
    await server.srm("mkdir", surl=f"{directory}/sub")
    await server.srm("mv", fromSURL=file, toSURL=f"{directory}/b.dcm")
    await server.srm("mv", fromSURL=f"{directory}/b.dcm", toSURL=f"{directory}/sub")
    tree = await server.srm("ls", surls=[f"{directory}/sub/b.dcm"])
    assert tree["files"][0]["type"] == "FILE"
    for source, target, status, expected in (
        ("missing", "x", 404, "SRM_INVALID_PATH"),
        ("sub", "no/such", 404, "SRM_INVALID_PATH"),
        ("sub", "sub/below", 400, "SRM_INVALID_REQUEST"),
        ("sub/b.dcm", "sub/b.dcm", 409, "SRM_DUPLICATION_ERROR"),
    ):
        tree = await server.srm(
            "mv", expect=status, fromSURL=f"{directory}/{source}", toSURL=f"{directory}/{target}"
        )
        assert code(tree) == expected
    await server.srm("mv", expect=400, fromSURL="/", toSURL=f"{directory}/x")


@pytest.mark.parametrize(
    "form",
    ["{}", "srm://host:8446/srm/managerv2?SFN={}", "srm://host{}", "/@basic{}", "srm://h:1/srm/managerv2?SFN=/@basic{}"],
)  # fmt: skip
async def test_a_surl_may_be_written_in_several_ways(server: Server, file: str, form: str) -> None:
    surl = form.format(file)
    tree = await server.srm("ls", surls=[surl])
    assert tree["files"][0]["path"] == file
    assert tree["files"][0]["surl"] == surl
    assert (await server.prepare(surl))["surl"] == surl


@pytest.mark.parametrize(
    "surl",
    ["", "a", "srm://", "srm://host", "srm://host?SFN=/a", "https://host/a", "/a\x1bb", "/@",
     "/@Basic/a", "/@/a", "/" + "x" * 256, "/x" * 3000],
)  # fmt: skip
async def test_a_malformed_surl_is_refused_without_being_repeated(server: Server, surl: str) -> None:
    tree = await server.srm("prepareToGet", expect=400, files=[{"surl": surl}])
    assert codes(tree) == ["SRM_INVALID_REQUEST"]
    explanation = tree["files"][0]["status"]["explanation"]
    assert len(surl) < 4 or surl not in explanation


async def test_names_are_compared_in_their_composed_form(server: Server, directory: str) -> None:
    await server.put(f"{directory}/e\u0301.dcm", made())
    tree = await server.srm("ls", surls=[f"{directory}/\u00e9.dcm"])
    assert tree["files"][0]["path"] == f"{directory}/\u00e9.dcm"


# Listing


async def test_a_file_is_told_with_size_and_checksum_of_its_default_view(server: Server, file: str) -> None:
    line = await server.prepare(file)
    (detail,) = (await server.srm("ls", surls=[file]))["files"]
    assert detail["size"] == line["fileSize"]
    assert (detail["checkSumType"], detail["checkSumValue"]) == ("ADLER32", line["checkSumValue"])
    assert (detail["fileLocality"], detail["view"], detail["viewState"]) == ("ONLINE", "basic", "ready")
    assert detail["lastModificationTime"].endswith("Z")


async def test_a_listing_comes_in_pages(server: Server, directory: str) -> None:
    names = [f"{directory}/{name}" for name in ("a", "b", "c", "d", "B")]
    for name in names:
        await server.srm("mkdir", surl=name)

    async def page(**options: Any) -> list[str]:
        (detail,) = (await server.srm("ls", surls=[directory], **options))["files"]
        return [child["path"].rpartition("/")[2] for child in detail.get("subPaths", ())]

    assert await page() == ["B", "a", "b", "c", "d"]
    assert await page(count=2) == ["B", "a"]
    assert await page(offset=2, count=2) == ["b", "c"]
    assert await page(offset=4, count=2) == ["d"]
    assert await page(offset=9) == []
    assert await page(numOfLevels=0) == []


async def test_a_listing_of_several_tells_of_each(server: Server, directory: str, file: str) -> None:
    tree = await server.srm("ls", surls=[directory, file, f"{directory}/missing", "relative"])
    assert code(tree) == "SRM_PARTIAL_SUCCESS"
    assert codes(tree) == ["SRM_SUCCESS", "SRM_SUCCESS", "SRM_INVALID_PATH", "SRM_INVALID_REQUEST"]
    assert [child["path"] for child in tree["files"][0]["subPaths"]] == [file]


async def test_the_root_is_listed(server: Server, directory: str) -> None:
    (detail,) = (await server.srm("ls", surls=["/"], count=10_000))["files"]
    assert detail["path"] == "/"
    assert directory in [child["path"] for child in detail["subPaths"]]


# Getting


async def test_a_prepared_file_is_pinned(server: Server, file: str) -> None:
    tree = await server.srm("prepareToGet", files=[{"surl": file}], desiredPinLifeTime=600)
    (line,) = tree["files"]
    assert code(tree) == "SRM_SUCCESS"
    assert line["status"]["statusCode"] == "SRM_FILE_PINNED"
    assert line["remainingPinTime"] == 600
    token = tree["requestToken"]
    (told,) = (await server.srm("statusOfGetRequest", requestToken=token))["files"]
    assert told["status"]["statusCode"] == "SRM_FILE_PINNED"
    assert 590 <= told["remainingPinTime"] <= 600
    assert told["transferURL"] == line["transferURL"]


async def test_a_pin_lives_no_longer_than_the_longest(server: Server, file: str) -> None:
    for asked in (10**6, 10**18):
        assert (await server.prepare(file, desiredPinLifeTime=asked))["remainingPinTime"] == 86_400


async def test_an_unknown_view_is_refused(server: Server, file: str) -> None:
    tree = await server.srm("prepareToGet", expect=400, files=[{"surl": file}], view="other")
    assert codes(tree) == ["SRM_INVALID_REQUEST"]
    tree = await server.srm("prepareToGet", expect=400, files=[{"surl": file}], view="NO VIEW")
    assert code(tree) == "SRM_INVALID_REQUEST"


async def test_a_directory_is_no_file(server: Server, directory: str) -> None:
    tree = await server.srm("prepareToGet", expect=400, files=[{"surl": directory}])
    assert codes(tree) == ["SRM_INVALID_REQUEST"]


async def test_releasing_ends_the_url_and_may_be_repeated(server: Server, file: str) -> None:
    by_token, by_surl, by_both = [await server.prepare(file) for _ in range(3)]
    for _ in range(2):
        tree = await server.srm("releaseFiles", requestToken=by_token["requestToken"])
        assert codes(tree) == ["SRM_SUCCESS"]
    assert (await server.call("GET", by_token["transferURL"])).status == 410
    await server.srm("releaseFiles", requestToken=by_both["requestToken"], surls=[file])
    assert (await server.call("GET", by_both["transferURL"])).status == 410
    assert (await server.call("GET", by_surl["transferURL"])).status == 200
    for _ in range(2):
        assert codes(await server.srm("releaseFiles", surls=[file])) == ["SRM_SUCCESS"]
    await _until_gone(server, by_surl["transferURL"])
    tree = await server.srm("statusOfGetRequest", requestToken=by_token["requestToken"])
    assert codes(tree) == ["SRM_RELEASED"]
    tree = await server.srm("releaseFiles", expect=404, surls=[file + "x"])
    assert codes(tree) == ["SRM_INVALID_PATH"]
    await server.srm("releaseFiles", expect=400)


async def test_an_expired_pin_is_told_so(server: Server, file: str) -> None:
    line = await server.prepare(file)
    await _expire(server, line["requestToken"])
    server.cool()
    tree = await server.srm("statusOfGetRequest", requestToken=line["requestToken"])
    assert codes(tree) == ["SRM_FILE_LIFETIME_EXPIRED"]
    assert (await server.call("GET", line["transferURL"])).status == 410
    tree = await server.srm("extendFileLifeTime", expect=404, requestToken=line["requestToken"])
    assert code(tree) != "SRM_SUCCESS"


async def test_a_pin_is_extended(server: Server, file: str) -> None:
    line = await server.prepare(file, desiredPinLifeTime=100)
    token = line["requestToken"]
    tree = await server.srm("extendFileLifeTime", requestToken=token, newPinLifeTime=5000)
    assert 4990 <= tree["files"][0]["newPinLifeTime"] <= 5000
    tree = await server.srm("extendFileLifeTime", requestToken=token, surls=[file], newFileLifeTime=300)
    assert 290 <= tree["files"][0]["newPinLifeTime"] <= 300
    await server.srm("extendFileLifeTime", expect=404, requestToken=token, surls=["/other"], newPinLifeTime=5)


async def test_bringing_online_is_done_at_once(server: Server, directory: str, file: str) -> None:
    tree = await server.srm("bringOnline", files=[{"surl": file}, {"surl": f"{directory}/missing"}])
    assert (code(tree), codes(tree)) == ("SRM_PARTIAL_SUCCESS", ["SRM_SUCCESS", "SRM_INVALID_PATH"])
    told = await server.srm("statusOfBringOnlineRequest", requestToken=tree["requestToken"])
    assert (code(told), codes(told)) == (code(tree), codes(tree))


# Putting


async def test_a_put_goes_through_its_states(server: Server, directory: str) -> None:
    surl, data = f"{directory}/new.dcm", made()
    tree = await server.srm("prepareToPut", files=[{"surl": surl, "expectedFileSize": len(data)}])
    token, (line,) = tree["requestToken"], tree["files"]
    assert line["status"]["statusCode"] == "SRM_SPACE_AVAILABLE"
    assert codes(await server.srm("statusOfPutRequest", requestToken=token)) == ["SRM_SPACE_AVAILABLE"]
    early = await server.srm("putDone", expect=410, requestToken=token, surls=[surl])
    assert codes(early) == ["SRM_FILE_LIFETIME_EXPIRED"]
    assert (await server.call("PUT", line["transferURL"], data=data)).status == 201
    assert codes(await server.srm("statusOfPutRequest", requestToken=token)) == ["SRM_SPACE_AVAILABLE"]
    await server.srm("ls", expect=404, surls=[surl])
    for _ in range(2):
        done = await server.srm("putDone", requestToken=token, surls=[surl])
        assert codes(done) == ["SRM_SUCCESS"]
        assert done["files"][0]["path"] == surl
    assert codes(await server.srm("statusOfPutRequest", requestToken=token)) == ["SRM_SUCCESS"]
    await server.srm("ls", surls=[surl])


async def test_what_cannot_be_put_is_told_file_by_file(server: Server, directory: str, file: str) -> None:
    tree = await server.srm(
        "prepareToPut",
        files=[
            {"surl": f"{directory}/new"},
            {"surl": file},
            {"surl": directory},
            {"surl": f"{directory}/no/such"},
            {"surl": f"/@basic{directory}/new"},
            {"surl": f"{directory}/huge", "expectedFileSize": 1 << 50},
        ],
    )
    assert code(tree) == "SRM_PARTIAL_SUCCESS"
    assert codes(tree) == [
        "SRM_SPACE_AVAILABLE",
        "SRM_DUPLICATION_ERROR",
        "SRM_DUPLICATION_ERROR",
        "SRM_INVALID_PATH",
        "SRM_INVALID_REQUEST",
        "SRM_INVALID_REQUEST",
    ]
    assert codes(await server.srm("statusOfPutRequest", requestToken=tree["requestToken"])) == codes(tree)


async def test_an_aborted_put_is_gone(server: Server, directory: str) -> None:
    surls = [f"{directory}/{name}" for name in ("a", "b")]
    tree = await server.srm("prepareToPut", files=[{"surl": surl} for surl in surls])
    token, urls = tree["requestToken"], [line["transferURL"] for line in tree["files"]]
    await server.call("PUT", urls[0], data=made())
    assert codes(await server.srm("abortFiles", requestToken=token, surls=surls[:1])) == ["SRM_SUCCESS"]
    assert codes(await server.srm("statusOfPutRequest", requestToken=token)) == [
        "SRM_ABORTED",
        "SRM_SPACE_AVAILABLE",
    ]
    assert codes(await server.srm("abortRequest", requestToken=token)) == ["SRM_SUCCESS", "SRM_SUCCESS"]
    for url in urls:
        assert (await server.call("PUT", url, data=made())).status == 410
    tree = await server.srm("putDone", expect=410, requestToken=token, surls=surls)
    assert codes(tree) == ["SRM_FILE_LIFETIME_EXPIRED"] * 2
    tree = await server.srm("abortFiles", expect=404, requestToken=token, surls=["/other"])
    assert codes(tree) == ["SRM_INVALID_PATH"]


async def test_a_finished_put_outlives_an_abort(server: Server, directory: str) -> None:
    surl = f"{directory}/a.dcm"
    tree = await server.srm("prepareToPut", files=[{"surl": surl}])
    await server.call("PUT", tree["files"][0]["transferURL"], data=made())
    await server.srm("putDone", requestToken=tree["requestToken"], surls=[surl])
    await server.srm("abortRequest", requestToken=tree["requestToken"])
    await server.read(surl)


async def test_putdone_names_files_of_its_request(server: Server, directory: str) -> None:
    tree = await server.srm("prepareToPut", files=[{"surl": f"{directory}/a"}])
    token = tree["requestToken"]
    tree = await server.srm("putDone", expect=404, requestToken=token, surls=[f"{directory}/b"])
    assert codes(tree) == ["SRM_INVALID_PATH"]
    await server.srm("putDone", expect=400, requestToken=token)


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("statusOfGetRequest", {}),
        ("statusOfPutRequest", {}),
        ("statusOfBringOnlineRequest", {}),
        ("putDone", {"surls": ["/a"]}),
        ("releaseFiles", {}),
        ("abortRequest", {}),
        ("abortFiles", {"surls": ["/a"]}),
        ("extendFileLifeTime", {"newPinLifeTime": 10}),
    ],
)
async def test_a_request_of_somebody_else_is_unknown(
    server: Server, file: str, operation: str, more: Tree
) -> None:
    """Unknown, malformed, and another's: the same answer."""
    asked = {
        "statusOfPutRequest": "prepareToPut",
        "putDone": "prepareToPut",
        "statusOfBringOnlineRequest": "bringOnline",
    }
    surl = file + ".new" if asked.get(operation) == "prepareToPut" else file
    mine = await server.srm(asked.get(operation, "prepareToGet"), files=[{"surl": surl}])
    other = await server.token("pdrwlxgs", views=["*"])
    answers = [
        await server.srm(operation, expect=404, token=other, requestToken=token, **more)
        for token in (mine["requestToken"], str(uuid4()), "no-token", "")
    ]
    assert all(answer == answers[0] for answer in answers)
    assert code(answers[0]) == "SRM_INVALID_REQUEST"


async def test_a_status_is_asked_with_the_operation_that_began_the_request(server: Server, file: str) -> None:
    line = await server.prepare(file)
    for operation in ("statusOfPutRequest", "statusOfBringOnlineRequest"):
        await server.srm(operation, expect=404, requestToken=line["requestToken"])
    tree = await server.srm("statusOfGetRequest", requestToken=line["requestToken"], surls=[file, "/other"])
    assert codes(tree) == ["SRM_FILE_PINNED", "SRM_INVALID_PATH"]


async def test_requests_are_found_by_their_description(server: Server, file: str) -> None:
    described = f"study {os.urandom(4).hex()}"
    line = await server.prepare(file, userRequestDescription=described)
    tree = await server.srm("getRequestTokens", userRequestDescription=described)
    assert [found["requestToken"] for found in tree["requestTokens"]] == [line["requestToken"]]
    other = await server.token("r")
    tree = await server.srm("getRequestTokens", token=other, userRequestDescription=described)
    assert tree["requestTokens"] == []
    everything = await server.srm("getRequestTokens")
    assert line["requestToken"] in [found["requestToken"] for found in everything["requestTokens"]]


async def test_a_summary_counts_files(server: Server, directory: str, file: str) -> None:
    get = await server.srm("prepareToGet", files=[{"surl": file}, {"surl": "/missing"}])
    put = await server.srm("prepareToPut", files=[{"surl": f"{directory}/x"}])
    tokens = [get["requestToken"], put["requestToken"], "unknown"]
    got, waiting, unknown = (await server.srm("getRequestSummary", requestTokens=tokens))["requestSummaries"]
    counts = ("totalNumFilesInRequest", "numOfCompletedFiles", "numOfWaitingFiles", "numOfFailedFiles")
    assert (got["requestType"], *(got[c] for c in counts)) == ("PREPARE_TO_GET", 2, 1, 0, 1)
    assert (waiting["requestType"], *(waiting[c] for c in counts)) == ("PREPARE_TO_PUT", 1, 0, 1, 0)
    assert unknown["status"]["statusCode"] == "SRM_INVALID_REQUEST"


# In bulk


@asynccontextmanager
async def statements(server: Server) -> AsyncIterator[list[str]]:
    """Everything that requests ask of Postgres while the context lasts; not what the server looks at by itself."""
    seen: list[str] = []

    def note(record: asyncpg.connection.LoggedQuery) -> None:
        if logs.request_id.get():
            seen.append(record.query)

    pool = server.archive.database._pool
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


async def test_thousands_are_prepared_in_one_round(own_server: Server) -> None:
    """The database is asked as often for three thousand files as for three."""
    directory = await own_server.directory()
    surl = f"{directory}/a.dcm"
    await own_server.put(surl, made())
    async with own_server.archive.database.acquire() as db:
        await db.execute(
            "insert into entries (parent, name, image, is_directory)"
            " select parent, 'n' || n, image, false from entries, generate_series(1, $1::int) n where name = 'a.dcm'",
            BULK,
        )

    async def prepared(files: list[Tree], **options: Any) -> tuple[Tree, int]:
        async with statements(own_server) as seen:
            tree = await own_server.srm("prepareToGet", files=files, **options)
        return tree, sum(ASKED_BY_TIME not in query for query in seen)

    _, few = await prepared([{"surl": f"{directory}/n{n}"} for n in (1, 2, 3)])
    many = [{"surl": f"{directory}/n{n}"} for n in range(1, BULK - 3)]
    bad = [{"surl": f"{directory}/missing"}, {"surl": directory}, {"surl": "relative"}, {"surl": "/x/y/z"}]
    files = many[:100] + bad + many[100:]
    tree, count = await prepared(files)
    assert 0 < count <= few + 2
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


# Malformed


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"secret-value"',
        b"1",
        b'{"surls": "secret-value"}',
        b'{"surls": []}',
        b'{"surls": [1]}',
        b'{"surls": ["/a"], "offset": "secret-value"}',
        b'{"surls": ["/a"], "offset": -1}',
        b'{"surls": ["/a"], "offset": 1e300}',
        b'{"surls": ["/a"], "offset": 9223372036854775808}',
        b'{"surls": ["/a"], "count": 10001}',
        b'{"surls": ["/secret-value\\u0000"]}',
        b'{"surls": ["\\ud800secret-value"]}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
async def test_a_malformed_body_is_refused_without_being_repeated(server: Server, body: bytes) -> None:
    answer = await server.call("POST", "/srm/v2/ls", token=server.admin_token, data=body)
    assert answer.status == 400
    assert code(answer.tree) == "SRM_INVALID_REQUEST" or codes(answer.tree) == ["SRM_INVALID_REQUEST"]
    assert b"secret-value" not in answer.body.replace(b'"surl":"/secret-value\\u0000"', b"")


async def test_unknown_fields_are_passed_over(server: Server) -> None:
    """Grid clients send space tokens and user ids that mean nothing here."""
    await server.srm("ls", surls=["/"], authorizationID="x", storageSystemInfo=[1], spaceToken=None)


async def test_a_request_with_a_nul_is_malformed(server: Server, directory: str) -> None:
    """Postgres could not even store it."""
    bad = f"{directory}/a\0b"
    for operation in ("prepareToGet", "prepareToPut", "bringOnline"):
        tree = await server.srm(operation, expect=400, files=[{"surl": bad}])
        assert code(tree) == "SRM_INVALID_REQUEST"
    for operation in ("rm", "ls", "checkPermission", "releaseFiles"):
        await server.srm(operation, expect=400, surls=[bad])
    await server.srm("getRequestTokens", expect=400, userRequestDescription="a\0b")


TEXT = st.text(max_size=12) | st.sampled_from(
    ["/", "/a", "/@basic/a", "\0", "srm://h/a", "basic", str(uuid4())]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


NUMBERS = st.integers(0, 100) | st.sampled_from([10**6, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 2**70, -1])
FILE = st.fixed_dictionaries(
    {"surl": TEXT},
    optional={
        "expectedFileSize": NUMBERS,
        "size": NUMBERS,
        "sha256": st.sampled_from(["0" * 64, "F" * 64, "0" * 63, ""]),
    },
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "surls": st.lists(TEXT, min_size=1, max_size=3),
    "surl": TEXT,
    "fromSURL": TEXT,
    "toSURL": TEXT,
    "requestToken": TEXT,
    "requestTokens": st.lists(TEXT, min_size=1, max_size=3),
    "view": st.sampled_from([None, "basic", "identified", "other", "\0"]),
    "recipient": st.sampled_from([None, None, RECIPIENT, RECIPIENT[1:], "\0"]),
    "userRequestDescription": TEXT,
    "files": st.lists(FILE, min_size=1, max_size=3),
    "transferProtocols": st.lists(TEXT | st.sampled_from(["http", "https"]), max_size=2),
    "recursive": st.booleans(),
    "overwrite": st.booleans(),
    "fullDetailedList": st.booleans(),
}


@st.composite
def bodies(draw: st.DrawFn, operation: str) -> Any:
    """Mostly of the right form, for only that gets past it."""
    if not draw(st.integers(0, 19)):
        return draw(VALUES)
    body = {}
    for field, of in OPERATIONS[operation].form.model_fields.items():
        if of.is_required() or draw(st.booleans()):
            body[field] = draw(FIELDS.get(field, NUMBERS) if draw(st.integers(0, 15)) else VALUES)
    return body


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_no_body_makes_the_server_fail(server: Server, operation: str, data: st.DataObject) -> None:
    body = data.draw(bodies(operation))
    answer = await server.call(
        "POST", f"/srm/v2/{operation}", token=server.admin_token, data=json.dumps(body).encode()
    )
    assert answer.status < 500 or answer.status == 501, answer.body
    assert "returnStatus" in answer.tree


async def _expire(server: Server, request: str) -> None:
    async with server.archive.database.acquire() as db:
        await db.execute(
            "update grants set expires = now() - interval '1 s' where request = $1::text::uuid", request
        )


async def _until_gone(server: Server, url: str) -> None:
    """A URL in use is looked at anew every half second."""
    async with asyncio.timeout(5):
        while (await server.call("GET", url)).status != 410:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


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
