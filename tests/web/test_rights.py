"""The decision point, asked by every operation: (principal, entry, right, view)."""

import os
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from tests.conftest import Reply, Server
from tests.web.grown_tree import ALL, RECIPIENT, Tree, grown
from tests.web.made_images import made
from tests.web.own_acls import give, rule

EVERY_VIEW = ["*", "identified"]


Body = Callable[[Tree], dict[str, Any]]


OPERATIONS: dict[str, tuple[str, str, Body]] = {
    "list a directory": ("l", "ls", lambda t: {"surls": [t.path]}),
    "make a directory": ("w", "mkdir", lambda t: {"surl": t.missing}),
    "remove a directory": ("d", "rmdir", lambda t: {"surl": t.empty}),
    "remove a tree": ("d", "rmdir", lambda t: {"surl": t.full, "recursive": True}),
    "remove a file": ("d", "rm", lambda t: {"surls": [t.file]}),
    "move away": ("d", "mv", lambda t: {"fromSURL": t.file, "toSURL": t.missing}),
    "move to": ("w", "mv", lambda t: {"fromSURL": t.file, "toSURL": t.missing}),
    "put": ("w", "prepareToPut", lambda t: {"files": [{"surl": t.missing}]}),
    "overwrite": ("d", "prepareToPut", lambda t: {"files": [{"surl": t.file}], "overwrite": True}),
    "overwrite without writing": (
        "w",
        "prepareToPut",
        lambda t: {"files": [{"surl": t.file}], "overwrite": True},
    ),
    "get": ("r", "prepareToGet", lambda t: {"files": [{"surl": t.file}]}),
    "get the identified view": (
        "i",
        "prepareToGet",
        lambda t: {"files": [{"surl": t.file}], "view": "identified", "recipient": RECIPIENT},
    ),
    "get the identified view by its path": (
        "i",
        "prepareToGet",
        lambda t: {"files": [{"surl": f"/@identified{t.file}"}], "recipient": RECIPIENT},
    ),
    "bring online": ("r", "bringOnline", lambda t: {"files": [{"surl": t.file}]}),
    "bring the identified view online": (
        "i",
        "bringOnline",
        lambda t: {"files": [{"surl": t.file}], "view": "identified"},
    ),
}


def codes(tree: dict[str, Any]) -> list[str]:
    """The status codes of the answer's files, or of the request as a whole."""
    return [file["status"]["statusCode"] for file in tree.get("files", ())] or [
        tree["returnStatus"]["statusCode"]
    ]


async def held(server: Server) -> list[tuple[Any, ...]]:
    async with server.house.database.acquire() as db:
        return [
            tuple(row) for row in await db.fetch("select guid, parent, name, image from entries order by id")
        ]


@pytest.mark.parametrize("what", OPERATIONS)
async def test_all_rights_but_the_needed_one_are_not_enough(server: Server, tree: Tree, what: str) -> None:
    needed, operation, body = OPERATIONS[what]
    token = await server.token(ALL.replace(needed, ""), views=EVERY_VIEW)
    before = await held(server)
    answer = await server.srm(operation, token=token, expect=403, **body(tree))
    assert codes(answer) == ["SRM_AUTHORIZATION_FAILURE"]
    assert "transferURL" not in str(answer)
    assert await held(server) == before


MINIMAL = {
    "overwrite": "wdl",
    "overwrite without writing": "wdl",
    "move away": "dw",
    "move to": "dw",
    "get the identified view": "ri",
    "get the identified view by its path": "ri",
    "bring the identified view online": "ri",
}


@pytest.mark.parametrize("what", OPERATIONS)
async def test_the_needed_rights_are_enough(server: Server, what: str) -> None:
    needed, operation, body = OPERATIONS[what]
    tree = await grown(server)
    token = await server.token(MINIMAL.get(what, needed), views=EVERY_VIEW)
    answer = await server.srm(operation, token=token, **body(tree))
    assert answer["returnStatus"]["statusCode"] == "SRM_SUCCESS"


async def test_metadata_is_told_under_g_or_l(server: Server, tree: Tree) -> None:
    for rights in ("g", "l"):
        token = await server.token(rights)
        answer = await server.srm("ls", token=token, surls=[tree.file])
        assert answer["files"][0]["path"] == tree.file
    token = await server.token(ALL.replace("g", "").replace("l", ""))
    await server.srm("ls", token=token, expect=404, surls=[tree.file])
    # `g` tells of the directory itself, not of what is in it.
    token = await server.token("g")
    answer = await server.srm("ls", token=token, surls=[tree.path], numOfLevels=0)
    assert answer["files"][0]["type"] == "DIRECTORY"
    await server.srm("ls", token=token, expect=403, surls=[tree.path])


def anonymous(reply: Reply, *names: str) -> tuple[int, Any, str]:
    """An answer without what differs from one to the next anyhow, and without the name that was asked for."""
    text = reply.body.decode()
    for name in names:
        text = text.replace(name, "NAME")
    body = orjson.loads(text)
    body.pop("requestId", None)
    body.pop("requestToken", None)
    return reply.status, body, reply.headers["Content-Type"]


@pytest.mark.parametrize("what", OPERATIONS)
async def test_who_may_not_list_cannot_tell_the_hidden_from_the_missing(
    server: Server, tree: Tree, what: str
) -> None:
    """Whatever else he may do elsewhere: the same status, the same body."""
    _, operation, body = OPERATIONS[what]
    elsewhere = await server.directory()
    token = await server.token(ALL, path=elsewhere, views=EVERY_VIEW)
    absent = Tree(f"/d{os.urandom(6).hex()}")
    hidden, missing = [
        anonymous(
            await server.call("POST", f"/srm/v2/{operation}", token=token, json=body(asked)), asked.path
        )
        for asked in (tree, absent)
    ]
    assert hidden == missing
    assert hidden[0] == 404


@pytest.mark.parametrize("operation", ["checkPermission", "releaseFiles"])
async def test_permissions_and_pins_of_the_hidden_look_like_those_of_the_missing(
    server: Server, tree: Tree, operation: str
) -> None:
    token = await server.token(ALL, path=await server.directory())
    hidden, missing = [
        anonymous(
            await server.call("POST", f"/srm/v2/{operation}", token=token, json={"surls": [name]}), name
        )
        for name in (tree.file, tree.missing)
    ]
    assert hidden == missing
    assert hidden[0] == 404


async def test_permissions_are_told_as_letters(server: Server, tree: Tree) -> None:
    token = await server.token("rlg")
    answer = await server.srm("checkPermission", token=token, surls=[tree.file, tree.path])
    assert [file["permission"] for file in answer["files"]] == ["rlg", "rlg"]


async def test_a_reader_may_release_what_he_pinned_though_he_may_not_list(server: Server, tree: Tree) -> None:
    token = await server.token("r")
    line = await server.prepare(tree.file, token=token)
    for _ in range(2):
        await server.srm("releaseFiles", token=token, surls=[tree.file])
    assert (await server.call("GET", line["transferURL"])).status == 410


# Views


async def test_r_without_views_covers_the_default_view_only(server: Server, tree: Tree) -> None:
    token = await server.token("rl")
    assert (await server.prepare(tree.file, token=token))["view"] == "basic"
    assert (await server.prepare(tree.file, token=token, view="basic"))["view"] == "basic"
    for view in ("identified", "other"):
        answer = await server.srm(
            "prepareToGet", token=token, expect=None, files=[{"surl": tree.file}], view=view
        )
        assert codes(answer)[0] != "SRM_FILE_PINNED"
        assert "transferURL" not in str(answer)


@pytest.mark.parametrize("views", [["*"], ["basic"], ["identified"], ["identified", "*"]])
async def test_naming_the_identified_view_does_not_give_i(
    server: Server, tree: Tree, views: list[str]
) -> None:
    token = await server.token(ALL.replace("i", ""), views=views)
    answer = await server.srm(
        "prepareToGet",
        token=token,
        expect=403,
        files=[{"surl": tree.file}],
        view="identified",
        recipient=RECIPIENT,
    )
    assert "'r' on the view 'identified'" in answer["returnStatus"]["explanation"]


@pytest.mark.parametrize("views", [["*"], ["basic"]])
async def test_i_does_not_widen_the_views_named(server: Server, tree: Tree, views: list[str]) -> None:
    token = await server.token("rli", views=views)
    await server.srm(
        "prepareToGet",
        token=token,
        expect=403,
        files=[{"surl": tree.file}],
        view="identified",
        recipient=RECIPIENT,
    )


async def test_a_view_that_is_named_alone_excludes_the_default_one(server: Server, tree: Tree) -> None:
    token = await server.token("rli", views=["identified"])
    await server.srm("prepareToGet", token=token, expect=403, files=[{"surl": tree.file}])
    line = await server.prepare(tree.file, token=token, view="identified", recipient=RECIPIENT)
    assert line["view"] == "identified"


async def test_the_administrator_has_no_i(server: Server, tree: Tree) -> None:
    answer = await server.srm(
        "prepareToGet", expect=403, files=[{"surl": f"/@identified{tree.file}"}], recipient=RECIPIENT
    )
    assert codes(answer) == ["SRM_AUTHORIZATION_FAILURE"]


async def test_the_identified_view_is_not_delivered_in_clear(server: Server, tree: Tree) -> None:
    token = await server.token("rli", views=EVERY_VIEW)
    answer = await server.srm(
        "prepareToGet", token=token, expect=403, files=[{"surl": tree.file}], view="identified"
    )
    status = answer["files"][0]["status"]
    assert "sealed only" in status["explanation"]
    assert "recipient" in status["remedy"]


async def test_a_listing_tells_no_size_of_the_identified_view_without_i(server: Server, tree: Tree) -> None:
    for surl in (f"/@identified{tree.file}", f"/@identified{tree.path}"):
        (line,) = (await server.srm("ls", surls=[surl]))["files"]
        for file in [line, *line.get("subPaths", ())]:
            assert not {"size", "checkSumValue", "viewState"} & file.keys()
    token = await server.token("rli", views=EVERY_VIEW)
    (line,) = (await server.srm("ls", token=token, surls=[f"/@identified{tree.file}"]))["files"]
    assert line["size"] == len(made())


async def test_an_identified_default_view_tells_its_size_to_no_reader_without_i(own_server: Server) -> None:
    tree = await grown(own_server)
    async with own_server.house.database.acquire() as db:
        await db.execute(
            "update entries set default_view = 'identified' where name = $1", tree.path.removeprefix("/")
        )
    reader = await own_server.token("rl")
    for surl in (tree.file, tree.path):
        (line,) = (await own_server.srm("ls", surls=[surl], token=reader))["files"]
        for file in [line, *line.get("subPaths", ())]:
            assert not {"size", "checkSumValue"} & file.keys()
    await own_server.srm("prepareToGet", expect=403, files=[{"surl": tree.file}], recipient=RECIPIENT)


# Scopes and tokens


async def test_a_scope_ends_at_a_component(server: Server) -> None:
    base = await server.directory()
    for name in ("bar", "bargain", "ba"):
        await server.srm("mkdir", surl=f"{base}/{name}")
        await server.put(f"{base}/{name}/a.dcm", made())
    token = await server.token("rlw", path=f"{base}/bar/")
    assert (await server.prepare(f"{base}/bar/a.dcm", token=token))["view"] == "basic"
    for outside in ("bargain/a.dcm", "ba/a.dcm", "bargain", ""):
        surl = f"{base}/{outside}".rstrip("/")
        answer = await server.srm("ls", token=token, expect=404, surls=[surl])
        assert codes(answer) == ["SRM_INVALID_PATH"]
    await server.srm("prepareToPut", token=token, expect=404, files=[{"surl": f"{base}/bargain/new.dcm"}])


async def test_a_scope_is_not_left_by_moving(server: Server) -> None:
    base = await server.directory()
    for name in ("mine", "other"):
        await server.srm("mkdir", surl=f"{base}/{name}")
        await server.put(f"{base}/{name}/a.dcm", made())
    token = await server.token(ALL, path=f"{base}/mine")
    for source, target in (("mine/a.dcm", "other/b.dcm"), ("other/a.dcm", "mine/b.dcm")):
        await server.srm(
            "mv", token=token, expect=404, fromSURL=f"{base}/{source}", toSURL=f"{base}/{target}"
        )


@pytest.mark.parametrize("path", ["/../x", "/a/../b", "a", "/a/.%2e/b"])
async def test_a_path_that_would_leave_its_scope_is_no_path(server: Server, path: str) -> None:
    await server.srm("ls", expect=400, surls=[path])


@pytest.mark.parametrize(("rights", "says"), [("i", True), ("x", False)])
async def test_that_x_is_missing_is_told_to_who_may_list(
    server: Server, tree: Tree, rights: str, says: bool
) -> None:
    name, other = (f"u{os.urandom(6).hex()}" for _ in range(2))
    lists = await server.token("l", path=tree.path, name=name)
    lists_nothing = await server.token("", name=other)
    await give(server, tree.path, [rule(f"user:{one}", rights) for one in (name, other)])
    for token, told in ((lists, says), (lists_nothing, False)):
        asked = {"surls": [tree.file]}
        answer = await server.call("POST", "/admin/v1/profiles/basic/release", token=token, json=asked)
        assert ("not 'x' on all directories" in answer.body.decode()) == told, answer.body
