"""Anonymous callers share a name, and nothing else: each acts on what its request token names."""

from tests.conftest import Server
from tests.web.made_images import made
from tests.web.own_acls import give, rule


async def test_anonymous_callers_neither_see_nor_end_each_others_requests(own_server: Server) -> None:
    await give(own_server, "/", [rule("any:anonymous", "xlr")])
    surl = f"{await own_server.directory()}/a.dcm"
    await own_server.put(surl, made())

    async def ask(operation: str, **body: object) -> tuple[int, dict[str, object]]:
        reply = await own_server.call("POST", f"/srm/v2/{operation}", json=body)
        return reply.status, reply.tree

    status, prepared = await ask("prepareToGet", files=[{"surl": surl}], userRequestDescription="mine")
    assert status == 200
    token, (line,) = prepared["requestToken"], prepared["files"]
    assert await ask("getRequestTokens") == await ask("getRequestTokens", userRequestDescription="mine")
    assert (await ask("getRequestTokens"))[1]["requestTokens"] == []
    status, refused = await ask("releaseFiles", surls=[surl])
    assert status == 401
    assert "requestToken" in str(refused)
    assert (await own_server.call("GET", line["transferURL"])).status == 200
    assert (await ask("getRequestSummary", requestTokens=[token]))[0] == 200
    status, told = await ask("statusOfGetRequest", requestToken=token)
    assert status == 200
    assert "transferURL" not in told["files"][0]
    assert (await ask("releaseFiles", requestToken=token))[0] == 200
    assert (await own_server.call("GET", line["transferURL"])).status == 410
