"""Changes of ACLs of many entries, at the same time, and of all below a directory."""

import asyncio

from tests.conftest import Server
from tests.web.permissions.tree import Tree, code, rule, someone


async def test_one_failing_item_fails_no_other(tree: Tree) -> None:
    surls = [tree.file, f"{tree.path}/none", "/a/../b", tree.below]
    answer = await tree.server.srm(
        "setPermission", surls=surls, permissionType="ADD", rules=[rule("user:a", "r")]
    )
    wanted = ["SRM_SUCCESS", "SRM_INVALID_PATH", "SRM_INVALID_REQUEST", "SRM_SUCCESS"]
    assert [code(line) for line in answer["files"]] == wanted
    assert answer["returnStatus"]["statusCode"] == "SRM_PARTIAL_SUCCESS"
    told = await tree.server.srm("getPermission", surls=surls)
    assert [code(line) for line in told["files"]] == wanted
    assert await tree.rules(tree.file) == await tree.rules(tree.below) == ["user:a=r"]


async def test_changes_at_the_same_time_all_stand(tree: Tree) -> None:
    await asyncio.gather(*(tree.set(tree.path, "ADD", rule(f"user:u{number}", "r")) for number in range(20)))
    assert len(await tree.rules(tree.path)) == 20


async def test_equal_acls_are_kept_once(tree: Tree) -> None:
    await tree.set(tree.path, "SET", rule("user:a", "rl"), rule("user:b", "x"))
    await tree.set(tree.below, "SET", rule("user:b", "x"), rule("user:a", "l"), rule("user:a", "r"))
    async with tree.server.house.database.acquire() as db:
        kept = await db.fetchval(
            "select count(distinct acl) from entries where guid = any($1::uuid[])",
            [(await tree.get(surl))["guid"] for surl in (tree.path, tree.below)],
        )
    assert kept == 1


# In whole trees


async def test_a_change_reaches_all_below_that_has_acls_of_its_own(tree: Tree) -> None:
    await tree.set(tree.path, "SET", rule("user:a", "rlx"))
    await tree.set(tree.below, "SET", rule("user:a", "rlx"), rule("user:b", "l"))
    await tree.set(tree.below, "SET", rule("user:a", "rlx"), default=True)
    await tree.set(tree.deep, "SET", rule("user:a", "r"))
    line = await tree.set(tree.path, "REMOVE", {"principal": "user:a"}, recursive=True)
    assert (line["changed"], line["left"]) == (3, 0)
    for surl in (tree.path, tree.file, tree.below, tree.deep):
        told = await tree.get(surl)
        assert "user:a" not in str([told["rules"], told.get("default")])
    assert (await tree.get(tree.file))["inherited"] is True
    line = await tree.server.srm("setPermission", surls=[tree.path], inherit=True, recursive=True)
    assert line["files"][0]["changed"] == 3
    assert all([(await tree.get(surl))["inherited"] for surl in (tree.below, tree.deep)])


async def test_what_below_may_not_be_changed_is_left_and_counted_if_it_is_seen(tree: Tree) -> None:
    token, name = await someone(tree.server)
    await tree.set(tree.path, "SET", rule(name, "plx"))
    await tree.set(tree.below, "SET", rule(name, "lx"), rule("user:a", "l"))
    await tree.set(tree.deep, "SET", rule(name, "p"), rule("user:a", "l"))
    await tree.set(tree.file, "SET", rule("user:a", "l"))
    answer = await tree.server.srm(
        "setPermission",
        token=token,
        surls=[tree.path],
        permissionType="REMOVE",
        rules=[{"principal": "user:a"}],
        recursive=True,
    )
    assert (answer["files"][0]["changed"], answer["files"][0]["left"]) == (1, 1)
    assert await tree.rules(tree.deep) == [f"{name}=p"]
    assert "user:a=l" in await tree.rules(tree.below)
    assert "user:a=l" in await tree.rules(tree.file)


async def test_i_does_not_come_down_to_what_may_not_have_it(tree: Tree) -> None:
    token, name = await someone(tree.server)
    await tree.set(tree.path, "SET", rule(name, "plxi"), rule("user:x", "ri"))
    await tree.set(tree.below, "SET", rule(name, "plx"))
    answer = await tree.server.srm(
        "setPermission", token=token, surls=[tree.path], default=True, inherit=True, recursive=True
    )
    assert (answer["files"][0]["changed"], answer["files"][0]["left"]) == (0, 1)
    assert (await tree.get(tree.below))["inherited"] is False


async def test_a_big_tree_is_changed_at_once(own_server: Server) -> None:
    """Only what has an ACL of its own is touched: here every hundredth of ten thousand."""
    tree = Tree(own_server, await own_server.directory())
    await tree.set(tree.path, "SET", rule("user:a", "rlx"))
    async with own_server.house.database.transaction() as db:
        top, acl = await db.fetchrow("select id, acl from entries where name = $1", tree.path.strip("/"))
        await db.execute(
            "insert into entries (parent, name, is_directory, acl)"
            " select $1, 'd' || n, true, case when n % 100 = 0 then $2::bigint end from generate_series(1, 10000) n",
            top,
            acl,
        )
    line = await tree.set(tree.path, "ADD", rule("user:b", "l"), recursive=True)
    assert line["changed"] == 101
    assert await tree.rules(f"{tree.path}/d100") == ["user:a=rlx", "user:b=l"]
