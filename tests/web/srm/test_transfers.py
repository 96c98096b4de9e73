"""SRM: getting and putting, requests and their states."""

import asyncio
import os
from uuid import uuid4

import pytest

from tests.conftest import Server
from tests.patience import PATIENCE
from tests.web.made_images import made
from tests.web.srm.codes import Tree, code, codes

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
    assert 500 <= told["remainingPinTime"] <= 600
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
    assert 4000 <= tree["files"][0]["newPinLifeTime"] <= 5000
    tree = await server.srm("extendFileLifeTime", requestToken=token, surls=[file], newFileLifeTime=300)
    assert 200 <= tree["files"][0]["newPinLifeTime"] <= 300
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


async def _expire(server: Server, request: str) -> None:
    async with server.house.database.acquire() as db:
        await db.execute(
            "update grants set expires = now() - interval '1 s' where request = $1::text::uuid", request
        )


async def _until_gone(server: Server, url: str) -> None:
    """A URL in use is looked at anew every half second."""
    async with asyncio.timeout(PATIENCE):
        while (await server.call("GET", url)).status != 410:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
