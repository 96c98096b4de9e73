"""Transfer URLs are handed out later too: to whom they belong, while they live, and to no reader of the database."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from mdm_async.catalog.grants import grants
from mdm_async.catalog.rights.tokens import digest
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.keys.derive import turl_token
from tests.conftest import Server
from tests.web.made_images import made


async def told(
    server: Server, request: str, *, operation: str = "statusOfGetRequest", token: str | None = None
) -> dict:
    (line,) = (await server.srm(operation, requestToken=request, token=token))["files"]
    return line


@pytest.fixture
async def file(server: Server) -> str:
    directory = await server.directory()
    await server.put(f"{directory}/a.dcm", made())
    return f"{directory}/a.dcm"


async def test_the_same_url_is_told_again_and_serves(server: Server, file: str) -> None:
    line = await server.prepare(file)
    again = await told(server, line["requestToken"])
    assert again["transferURL"] == line["transferURL"]
    assert again["view"] == "basic"
    assert await server.get(again["transferURL"])


async def test_a_url_that_is_over_is_told_no_more(server: Server, file: str) -> None:
    line = await server.prepare(file)
    await server.srm("releaseFiles", requestToken=line["requestToken"])
    assert "transferURL" not in await told(server, line["requestToken"])
    line = await server.prepare(file)
    async with server.house.database.acquire() as db:
        await db.execute("update grants set expires = now() where request = $1", UUID(line["requestToken"]))
    assert "transferURL" not in await told(server, line["requestToken"])


async def test_nobody_else_is_told_of_it(server: Server, file: str) -> None:
    line = await server.prepare(file)
    other = await server.token("rwlxg")
    tree = await server.srm("statusOfGetRequest", expect=None, token=other, requestToken=line["requestToken"])
    assert tree["returnStatus"]["statusCode"] == "SRM_INVALID_REQUEST"


async def test_an_uploads_url_and_recipient_are_told_again(server: Server, file: str) -> None:
    tree = await server.srm("prepareToPut", files=[{"surl": f"{file}.b"}])
    (line,) = tree["files"]
    again = await told(server, tree["requestToken"], operation="statusOfPutRequest")
    assert (again["transferURL"], again["uploadRecipient"]) == (line["transferURL"], line["uploadRecipient"])
    async with server.http.put(again["transferURL"], data=made(seed=1)) as answer:
        assert answer.status == 201
    await server.srm("putDone", requestToken=tree["requestToken"], surls=[f"{file}.b"])
    assert "transferURL" not in await told(server, tree["requestToken"], operation="statusOfPutRequest")


async def test_of_a_sealed_stream_the_senders_key_is_told_too(server: Server, file: str) -> None:
    recipient = b64encode(public_key(new_private_key())).decode()
    line = await server.prepare(file, recipient=recipient)
    again = await told(server, line["requestToken"])
    for name in ("transferURL", "senderPublicKey"):
        assert again[name] == line[name]


async def test_a_request_of_many_files_keeps_no_thread_for_long(
    server: Server, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others' reads are decrypted by the same few threads."""
    asked = await server.srm("prepareToGet", files=[{"surl": file}] * 200)
    jobs: list[int] = []
    run = CipherPool.run

    async def counted(self: CipherPool, job: Callable[[], list[object]]) -> list[object]:
        done = await run(self, job)
        jobs.append(len(done))
        return done

    monkeypatch.setattr(CipherPool, "run", counted)
    again = await server.srm("statusOfGetRequest", requestToken=asked["requestToken"])
    urls = [[line["transferURL"] for line in tree["files"]] for tree in (asked, again)]
    assert urls[0] == urls[1]
    assert sum(jobs) == 200
    assert max(jobs) <= 64


async def test_what_the_database_holds_opens_nothing(server: Server, file: str) -> None:
    lines = [await server.prepare(file) for _ in range(2)]
    async with server.house.database.acquire() as db:
        rows = [
            await db.fetchrow("select * from grants where request = $1", UUID(line["requestToken"]))
            for line in lines
        ]
        for row, line in zip(rows, lines, strict=True):
            token = line["transferURL"].split("/")[4]
            assert digest(token) == row["turl"]
            for value in row.values():
                assert token.encode() not in (value if isinstance(value, bytes) else str(value).encode())
                if isinstance(value, bytes):
                    assert turl_token(value) != token
        # Moved to another row, a wrapped secret does not open.
        await db.execute(
            "update grants set secret = $2 where request = $1", rows[0]["request"], rows[1]["secret"]
        )
    assert "transferURL" not in await told(server, lines[0]["requestToken"])


async def test_a_file_waits_is_staged_and_pinned_and_then_its_url_is_told(server: Server, file: str) -> None:
    """Bringing it about comes with staging; the catalog, the answers and the URL are ready for it."""
    line = await server.prepare(file)
    secret, request = bytes(range(32)), uuid4()
    async with server.house.database.acquire() as db:
        (pinned,) = [
            grants.grant_of(row)
            for row in await db.fetch(f"{grants.SELECT} where request = $1", UUID(line["requestToken"]))
        ]
        wrapped = server.house.keys.wrap_grant(secret, request, 0)
        waiting = replace(
            pinned,
            turl=digest(turl_token(secret)),
            request=request,
            state="queued",
            version=None,
            secret=wrapped,
        )
        await grants.insert(db, [waiting])

    async def stands() -> tuple[str, str, bool]:
        tree = await server.srm("statusOfGetRequest", requestToken=str(request))
        (one,) = tree["files"]
        return tree["returnStatus"]["statusCode"], one["status"]["statusCode"], "transferURL" in one

    async def counts() -> tuple[int, int]:
        (one,) = (await server.srm("getRequestSummary", requestTokens=[str(request)]))["requestSummaries"]
        return one["numOfWaitingFiles"], one["numOfCompletedFiles"]

    url = f"{server.url}/t/{turl_token(secret)}/image.dcm"
    assert await stands() == ("SRM_REQUEST_QUEUED", "SRM_REQUEST_QUEUED", False)
    assert await counts() == (1, 0)
    assert (await server.call("GET", url)).status == 410
    async with server.house.database.acquire() as db:
        assert await grants.settle(db, waiting, "staging", "queued")
    assert await stands() == ("SRM_REQUEST_INPROGRESS", "SRM_REQUEST_INPROGRESS", False)
    async with server.house.database.acquire() as db:
        assert await grants.pin(db, waiting, server.house.views.basic, 60.0)
        assert not await grants.pin(db, waiting, server.house.views.basic, 60.0)
    assert await stands() == ("SRM_SUCCESS", "SRM_FILE_PINNED", True)
    assert await counts() == (0, 1)
    again = await told(server, str(request))
    assert again["transferURL"] == url
    assert await server.get(url) == await server.get(line["transferURL"])


async def test_a_file_that_waits_can_be_aborted_and_is_not_pinned_then(server: Server, file: str) -> None:
    line = await server.prepare(file)
    async with server.house.database.acquire() as db:
        row = await db.fetchrow(f"{grants.SELECT} where request = $1", UUID(line["requestToken"]))
        await db.execute("update grants set state = 'staging' where request = $1", row["request"])
    await server.srm("abortRequest", requestToken=line["requestToken"])
    async with server.house.database.acquire() as db:
        assert not await grants.pin(db, grants.grant_of(row), row["version"], 60.0)
    assert (await told(server, line["requestToken"]))["status"]["statusCode"] == "SRM_ABORTED"
