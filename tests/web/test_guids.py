"""GUIDs wherever SURLs are taken, and back to names."""

from typing import Any
from uuid import uuid4

import orjson

from tests.conftest import Server
from tests.web.made_images import made
from tests.web.own_acls import give, rule, user


async def codes(server: Server, operation: str, token: str | None = None, **body: Any) -> list[str]:
    tree = await server.srm(operation, token=token, expect=None, **body)
    return [f["status"]["statusCode"] for f in tree.get("files", ())] or [tree["returnStatus"]["statusCode"]]


async def test_a_guid_stands_for_the_path_everywhere(server: Server) -> None:
    top = await server.directory()
    file = "guid:" + (await server.put(f"{top}/a.dcm", made()))["guid"]
    directory = "guid:" + (await server.srm("mkdir", surl=f"{top}/sub"))["guid"]
    (line, below) = (await server.srm("ls", surls=[file, directory]))["files"]
    assert (line["surl"], line["path"], line["guid"]) == (file, f"{top}/a.dcm", file[5:])
    assert below["path"] == f"{top}/sub"
    by_path = (await server.srm("ls", surls=[f"{top}/a.dcm"]))["files"][0]
    assert {**by_path, "surl": file} == line
    assert await server.read(file) == await server.read(f"{top}/a.dcm")
    assert await codes(server, "bringOnline", files=[{"surl": file}]) == ["SRM_SUCCESS"]
    assert await codes(server, "releaseFiles", surls=[file]) == ["SRM_SUCCESS"]
    assert await codes(server, "mv", fromSURL=file, toSURL=directory) == ["SRM_SUCCESS"]
    assert (await server.srm("ls", surls=[file]))["files"][0]["path"] == f"{top}/sub/a.dcm"
    assert [
        child["guid"] for child in (await server.srm("ls", surls=[directory]))["files"][0]["subPaths"]
    ] == [file[5:]]
    assert await codes(server, "prepareToPut", files=[{"surl": file}], overwrite=True) == [
        "SRM_INVALID_REQUEST"
    ]
    assert await codes(server, "mkdir", surl=directory, parents=True) == ["SRM_SUCCESS"]
    assert await codes(server, "rm", surls=[file, file]) == ["SRM_SUCCESS", "SRM_INVALID_PATH"]
    assert await codes(server, "rmdir", surl=directory) == ["SRM_SUCCESS"]


async def test_unknown_and_hidden_guids_are_answered_alike_by_every_operation(own_server: Server) -> None:
    await give(own_server, "/", [rule("any:authenticated", "xlw")])
    top = await own_server.directory()
    await give(own_server, top, [rule("any:authenticated", "xlw")])
    _, token = await user(own_server)
    hidden = "guid:" + (await own_server.put(f"{top}/a.dcm", made()))["guid"]
    sub = "guid:" + (await own_server.srm("mkdir", surl=f"{top}/sub"))["guid"]
    for name in ("a.dcm", "sub"):
        await give(own_server, f"{top}/{name}", [rule("user:else", "pdrwlxgs")])
    for surl in (hidden, sub):
        for operation, body in {
            "ls": {"surls": ["?"]},
            "rm": {"surls": ["?"]},
            "rmdir": {"surl": "?", "recursive": True},
            "mkdir": {"surl": "?"},
            "mv": {"fromSURL": "?", "toSURL": f"{top}/free"},
            "mv ": {"fromSURL": f"{top}/none", "toSURL": "?"},
            "checkPermission": {"surls": ["?"]},
            "getPermission": {"surls": ["?"]},
            "prepareToGet": {"files": [{"surl": "?"}]},
            "prepareToPut": {"files": [{"surl": "?"}], "overwrite": True},
            "bringOnline": {"files": [{"surl": "?"}]},
            "releaseFiles": {"surls": ["?"]},
        }.items():
            for who in (token, None):
                answers = [
                    await _answer(own_server, operation.strip(), body, one, who)
                    for one in (surl, f"guid:{uuid4()}")
                ]
                assert answers[0] == answers[1], (operation, who is None)
                assert answers[0][0] in (401, 404), operation


async def _answer(
    server: Server, operation: str, body: dict[str, Any], surl: str, token: str | None
) -> tuple[int, str]:
    asked = orjson.loads(orjson.dumps(body).replace(b'"?"', orjson.dumps(surl)))
    reply = await server.call("POST", f"/srm/v2/{operation}", token=token, json=asked)
    tree = reply.tree
    for name in ("requestToken", "requestId"):
        tree.pop(name, None)
    return reply.status, str(tree).replace(surl, "?")


async def test_where_an_entry_is_only_those_learn_who_may_list_it(own_server: Server) -> None:
    await give(own_server, "/", [rule("any:authenticated", "x")])
    top = await own_server.directory()
    guid = "guid:" + (await own_server.put(f"{top}/a.dcm", made()))["guid"]
    who, token = await user(own_server)
    for rights, told in (("xg", False), ("xgl", True), ("l", False)):
        await give(own_server, top, [rule(who, rights)])
        answer = await own_server.srm("ls", token=token, surls=[guid], expect=None)
        assert (top in str(answer)) is told, rights
    # Reading needs no listing.
    await give(own_server, top, [rule(who, "xr")])
    assert (await own_server.prepare(guid, token=token))["transferURL"]


async def test_thousands_of_guids_are_looked_up_in_one_request(own_server: Server) -> None:
    top = await own_server.directory()
    async with own_server.house.database.transaction() as db:
        rows = await db.fetch(
            "insert into entries (parent, name, is_directory) select e.id, n::text, true"
            " from entries e, generate_series(1, 2000) n where e.name = $1 returning guid, name",
            top[1:],
        )
    asked = [f"guid:{row['guid']}" for row in rows] + [f"{top}/7", f"guid:{uuid4()}", "guid:7"]
    files = (await own_server.srm("ls", surls=asked, numOfLevels=0))["files"]
    assert [file["path"] for file in files[:2001]] == [f"{top}/{row['name']}" for row in rows] + [f"{top}/7"]
    assert [file["status"]["statusCode"] for file in files[2001:]] == [
        "SRM_INVALID_PATH",
        "SRM_INVALID_REQUEST",
    ]
