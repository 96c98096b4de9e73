"""What callers are told of rights: their own, of others, and of what is hidden."""

import orjson
import pytest

from tests.web.permissions.tree import Tree, rule, someone

# Who may what


async def test_effective_rights_name_the_rule_and_the_entry_that_give_them(tree: Tree) -> None:
    await tree.set(tree.path, "SET", rule("any:authenticated", "x"), rule("fqan:/vo", "rl"))
    await tree.set(tree.path, "ADD", rule("user:a", "ri", "identified"))
    told = await tree.get(tree.file, principals=["user:a", "fqan:/vo"])
    effective = told["effective"]
    assert effective["permission"] == "rlxi"
    assert effective["blocked"] is False
    given = {(one["permission"], one.get("view")): one for one in effective["given"]}
    assert set(given) == {("r", "basic"), ("r", "identified"), ("l", None), ("x", None), ("i", None)}
    assert given["r", "basic"]["rule"] == rule("fqan:/vo", "rl")
    assert given["r", "identified"]["rule"] == rule("user:a", "ri", "identified")
    assert {one["from"]["path"] for one in given.values()} == {tree.path}


async def test_what_a_local_group_may_do_is_told_though_the_mapping_has_nobody_in_it(tree: Tree) -> None:
    await tree.set(tree.path, "SET", rule("group:local#/cardiology", "rlx"))
    effective = (await tree.get(tree.file, principals=["group:local#/cardiology"]))["effective"]
    assert (effective["permission"], effective["blocked"]) == ("rlx", False)


async def test_a_directory_that_bars_the_way_is_named(tree: Tree) -> None:
    await tree.set(tree.path, "SET", rule("user:b", "rlx"))
    await tree.set(tree.below, "SET", rule("user:a", "rlx"))
    effective = (await tree.get(tree.deep, principals=["user:a"]))["effective"]
    assert (effective["permission"], effective["blocked"]) == ("", True)
    assert effective["blockedAt"]["path"] == tree.path


async def test_one_sees_ones_own_letters_and_views_without_p(tree: Tree) -> None:
    token, name = await someone(tree.server)
    await tree.set(tree.path, "SET", rule(name, "rlxi"))
    (line,) = (await tree.server.srm("checkPermission", token=token, surls=[tree.file]))["files"]
    assert (line["permission"], line["views"]) == ("rlxi", ["identified", "basic"])
    await tree.set(tree.path, "SET", rule(name, "lx"))
    (line,) = (await tree.server.srm("checkPermission", token=token, surls=[tree.file]))["files"]
    assert (line["permission"], line["views"]) == ("lx", [])


@pytest.mark.parametrize("operation", ["getPermission", "setPermission", "checkPermission"])
async def test_the_hidden_and_the_missing_look_alike(tree: Tree, operation: str) -> None:
    token, name = await someone(tree.server)
    await tree.set(tree.path, "SET", rule(name, "rwx"))
    body = {"inherit": True} if operation == "setPermission" else {}
    answers = []
    for surl in (tree.file, f"{tree.path}/none.dcm"):
        reply = await tree.server.call(
            "POST", f"/srm/v2/{operation}", token=token, json={"surls": [surl], **body}
        )
        answers.append((reply.status, orjson.loads(reply.body.decode().replace(surl, "NAME"))))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
