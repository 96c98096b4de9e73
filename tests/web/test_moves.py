"""Moving, removing and making directories: under one set of rights, and never a way around it."""

from typing import Any

import pytest

from tests.conftest import Server
from tests.web.made_images import made
from tests.web.own_acls import give, rule, user
from tests.web.test_rights import RECIPIENT

EVERY = ["*", "identified"]


@pytest.fixture
async def open_root(own_server: Server) -> Server:
    await give(own_server, "/", [rule("any:authenticated", "x")])
    return own_server


async def code(server: Server, operation: str, token: str | None = None, **body: Any) -> str:
    tree = await server.srm(operation, token=token, expect=None, **body)
    return str(
        [f["status"]["statusCode"] for f in tree.get("files", ())] or tree["returnStatus"]["statusCode"]
    )


async def may_read(server: Server, token: str, surl: str, view: str = "basic") -> bool:
    asked = {"files": [{"surl": surl}], "view": view, "recipient": RECIPIENT}
    return (await code(server, "prepareToGet", token, **asked)) == "['SRM_FILE_PINNED']"


async def columns(server: Server, name: str) -> dict[str, Any]:
    async with server.house.database.acquire() as db:
        row = await db.fetchrow(
            "select acl, default_acl, default_view, delivery from entries where name = $1", name
        )
    return dict(row)


async def test_a_move_gives_nobody_a_right_and_takes_none(open_root: Server) -> None:
    server = open_root
    (one, reader), (two, other) = await user(server), await user(server)
    strict, lax = await server.directory(), await server.directory()
    await give(server, strict, [rule(one, "xlr")])
    await give(server, lax, [rule(two, "xlri", EVERY), rule(one, "x")])
    await server.srm("mkdir", surl=f"{strict}/study")
    await server.put(f"{strict}/study/a.dcm", made())
    await server.srm("mv", fromSURL=f"{strict}/study", toSURL=f"{lax}/moved")
    moved = f"{lax}/moved/a.dcm"
    assert await may_read(server, reader, moved)
    for view in ("basic", "identified"):
        assert not await may_read(server, other, moved, view)
    # What is put there from now on inherits what was in force where it was.
    await server.put(f"{lax}/moved/b.dcm", made(seed=1))
    assert await may_read(server, reader, f"{lax}/moved/b.dcm")
    assert not await may_read(server, other, f"{lax}/moved/b.dcm")


async def test_a_move_among_the_same_rights_writes_none(open_root: Server) -> None:
    server = open_root
    top = await server.directory()
    await give(server, top, [rule("user:x", "xlr")])
    for name in ("from", "to"):
        await server.srm("mkdir", surl=f"{top}/{name}")
    await server.put(f"{top}/from/moved.dcm", made())
    await server.srm("mv", fromSURL=f"{top}/from/moved.dcm", toSURL=f"{top}/to")
    assert await columns(server, "moved.dcm") == dict.fromkeys(
        ("acl", "default_acl", "default_view", "delivery")
    )


async def test_defaults_views_and_delivery_stay_what_they_were(open_root: Server) -> None:
    server = open_root
    strict, lax = await server.directory(), await server.directory()
    (who, token), (below, lower) = await user(server), await user(server)
    await give(server, strict, [rule(who, "xl")], [rule(below, "xlr")])
    await give(server, lax, [rule("user:z", "xlr")])
    async with server.house.database.transaction() as db:
        await db.execute(
            "update entries set default_view = 'identified', delivery = '{\"deidentified\": \"clear\"}'"
            " where name = $1",
            lax[1:],
        )
        await db.execute(
            'update entries set delivery = \'{"deidentified": "sealed"}\' where name = $1', strict[1:]
        )
    await server.srm("mkdir", surl=f"{strict}/moved")
    await server.put(f"{strict}/moved/a.dcm", made())
    await server.srm("mv", fromSURL=f"{strict}/moved", toSURL=lax)
    now = await columns(server, "moved")
    assert now["default_view"] == "basic"
    assert now["delivery"] == {"deidentified": "sealed"}
    assert now["default_acl"] is None, "its own ACL says the same"
    await give(server, lax, [rule("any:authenticated", "x")])
    assert await may_read(server, lower, f"{lax}/moved/a.dcm")
    assert not await may_read(server, token, f"{lax}/moved/a.dcm")
    refused = await server.srm(
        "prepareToGet", token=lower, expect=403, files=[{"surl": f"{lax}/moved/a.dcm"}]
    )
    assert "sealed only" in str(refused)


async def test_who_would_gain_by_his_own_scope_may_not_move(open_root: Server) -> None:
    server = open_root
    top, mine = await server.directory(), await server.directory()
    name = "greedy"
    token = await server.token("wdlri", path=mine, views=EVERY, name=name)
    await give(server, top, [rule(f"user:{name}", "xldr")])
    await server.put(f"{top}/a.dcm", made())
    await server.srm("mkdir", surl=f"{top}/sub")
    asked = {"fromSURL": f"{top}/a.dcm", "toSURL": f"{mine}/a.dcm"}
    assert await code(server, "mv", token, **asked) == "SRM_AUTHORIZATION_FAILURE"
    assert await code(server, "mv", token, fromSURL=f"{top}/sub", toSURL=mine) == "SRM_AUTHORIZATION_FAILURE"
    # What hides below is no way around either.
    plain, held = "plain", await server.directory()
    modest = await server.token("wdlr", path=held, name=plain)
    await give(server, top, [rule(f"user:{plain}", "xldr")])
    await server.put(f"{top}/sub/secret.dcm", made(seed=2))
    await give(server, f"{top}/sub/secret.dcm", [])
    assert await code(server, "mv", modest, fromSURL=f"{top}/sub", toSURL=held) == "SRM_AUTHORIZATION_FAILURE"
    assert await code(server, "mv", modest, fromSURL=f"{top}/a.dcm", toSURL=held) == "SRM_SUCCESS"


async def test_a_moved_file_is_judged_anew_at_once(open_root: Server) -> None:
    """Rights by a scope go by path: what is moved out from under it can be read no more."""
    server = open_root
    top = await server.directory()
    token = await server.token("r", path=f"{top}/in")
    for name in ("in", "out"):
        await server.srm("mkdir", surl=f"{top}/{name}")
    await server.put(f"{top}/in/a.dcm", made())
    line = await server.prepare(f"{top}/in/a.dcm", token=token)
    assert (await server.call("GET", line["transferURL"])).status == 200
    await server.srm("mv", fromSURL=f"{top}/in/a.dcm", toSURL=f"{top}/out/a.dcm")
    assert (await server.call("GET", line["transferURL"])).status == 410


async def test_names_that_are_taken_are_told_to_who_may_write_and_to_nobody_else(open_root: Server) -> None:
    server = open_root
    who, token = await user(server)
    top = await server.directory()
    await give(server, top, [rule(who, "xwd")])
    for name in ("mine", "hidden", "locked"):
        await server.srm("mkdir", surl=f"{top}/{name}")
    await give(server, f"{top}/mine", [rule(who, "xwdl")])
    await server.srm("mkdir", surl=f"{top}/locked/taken")
    await give(server, f"{top}/locked", [rule(who, "x")])
    assert (
        await code(server, "mv", token, fromSURL=f"{top}/mine", toSURL=f"{top}/hidden")
        == "SRM_DUPLICATION_ERROR"
    )
    for name in ("taken", "free"):
        said = await code(server, "mv", token, fromSURL=f"{top}/mine", toSURL=f"{top}/locked/{name}")
        assert said == "SRM_INVALID_PATH"
        for parents in (False, True):
            asked = {"surl": f"{top}/locked/{name}", "parents": parents}
            assert await code(server, "mkdir", token, **asked) == "SRM_INVALID_PATH"
    for parents in (False, True):
        assert (
            await code(server, "mkdir", token, surl=f"{top}/hidden", parents=parents)
            == "SRM_DUPLICATION_ERROR"
        )


async def test_a_tree_is_removed_whole_or_not_at_all(open_root: Server) -> None:
    server = open_root
    who, token = await user(server)
    top = await server.directory()
    await give(server, top, [rule(who, "xwdl")])
    for name in ("a", "a/b", "a/b/c"):
        await server.srm("mkdir", surl=f"{top}/{name}")
    await server.put(f"{top}/a/b/x.dcm", made())
    asked = {"surl": f"{top}/a", "recursive": True}
    for kept, own, default in (
        ("a/b/x.dcm", [rule(who, "lrwxg")], None),
        ("a/b/c", [], None),
        ("a/b", [rule(who, "xd")], [rule(who, "x")]),
        ("a/b", [rule(who, "d")], [rule(who, "xd")]),  # no way through
    ):
        await give(server, f"{top}/{kept}", own, default)
        assert await code(server, "rmdir", token, **asked) == "SRM_AUTHORIZATION_FAILURE", kept
        assert (
            await code(server, "ls", surls=[f"{top}/a/b/x.dcm", f"{top}/a/b/c"])
            == "['SRM_SUCCESS', 'SRM_SUCCESS']"
        )
        await give(server, f"{top}/{kept}", None)
    await give(server, f"{top}/a/b", [rule(who, "xd")])
    assert await code(server, "rmdir", token, **asked) == "SRM_SUCCESS"


async def test_a_scope_below_counts_for_a_tree_as_everywhere(open_root: Server) -> None:
    server = open_root
    top = await server.directory()
    for name in ("a", "a/b"):
        await server.srm("mkdir", surl=f"{top}/{name}")
    await server.put(f"{top}/a/b/x.dcm", made())
    token = await server.token("d", path=f"{top}/a/b", name="scoped")
    await give(server, top, [rule("user:scoped", "xd")])
    await give(server, f"{top}/a/b", [])
    assert await code(server, "rmdir", token, surl=f"{top}/a", recursive=True) == "SRM_SUCCESS"


async def test_a_directory_of_hidden_entries_is_not_empty(open_root: Server) -> None:
    server = open_root
    who, token = await user(server)
    top = await server.directory()
    await give(server, top, [rule(who, "xdl")])
    await server.srm("mkdir", surl=f"{top}/hidden")
    await give(server, f"{top}/hidden", [])
    assert await code(server, "ls", token, surls=[f"{top}/hidden"]) == "['SRM_INVALID_PATH']"
    assert await code(server, "rmdir", token, surl=top) == "SRM_NON_EMPTY_DIRECTORY"


async def test_mkdir_with_parents_makes_them_all_and_audits_each(open_root: Server) -> None:
    server = open_root
    who, token = await user(server)
    top = await server.directory()
    await give(server, top, [rule(who, "xwl")])
    made_ = await server.srm("mkdir", token=token, surl=f"{top}/a/b/c", parents=True)
    again = await server.srm("mkdir", token=token, surl=f"{top}/a/b/c", parents=True)
    assert made_["guid"] == again["guid"]
    async with server.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from audit where act = 'mkdir' and caller = $1", who) == 3
    await server.put(f"{top}/file", made())
    assert await code(server, "mkdir", token, surl=f"{top}/file", parents=True) == "SRM_INVALID_PATH"
    assert await code(server, "mkdir", token, surl=f"{top}/file/x", parents=True) == "SRM_INVALID_PATH"
    assert await code(server, "mkdir", token, surl="/elsewhere/x", parents=True) == "SRM_INVALID_PATH"
    # `w` is needed where the first is made: a scope below it is not enough.
    deep = await server.token("w", path=f"{top}/p/q/r")
    assert await code(server, "mkdir", deep, surl=f"{top}/p/q/r", parents=True) == "SRM_INVALID_PATH"
    assert await code(server, "ls", surls=[f"{top}/p"]) == "['SRM_INVALID_PATH']"


async def test_a_put_makes_its_directories_when_asked_to(open_root: Server) -> None:
    server = open_root
    who, token = await user(server)
    top = await server.directory()
    await give(server, top, [rule(who, "xwl")])
    files = [f"{top}/a/b/1.dcm", f"{top}/a/2.dcm", f"{top}/3.dcm", "/no/4.dcm", "guid:x"]
    asked = [{"surl": surl} for surl in files]
    missing = [
        "SRM_INVALID_PATH",
        "SRM_INVALID_PATH",
        "SRM_SPACE_AVAILABLE",
        "SRM_INVALID_PATH",
        "SRM_INVALID_REQUEST",
    ]
    assert await code(server, "prepareToPut", token, files=asked) == str(missing)
    made_ = [*["SRM_SPACE_AVAILABLE"] * 3, *missing[3:]]
    assert await code(server, "prepareToPut", token, files=asked, createParents=True) == str(made_)
    assert (
        await code(server, "ls", token, surls=[f"{top}/a/b", "/no"]) == "['SRM_SUCCESS', 'SRM_INVALID_PATH']"
    )
    await server.put(f"{top}/c/d/e.dcm", made(), createParents=True)
