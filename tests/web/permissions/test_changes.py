"""getPermission, setPermission and checkPermission, in bulk, under the rights that they need."""

from typing import Any

from tests.web.permissions.tree import Tree, rule, someone, words

ALL = "pdrwlxgsi"


async def test_an_acl_is_changed_by_adding_removing_and_replacing(tree: Tree) -> None:
    await tree.set(tree.path, "ADD", rule("user:a", "l"), rule("fqan:/vo/g", "x"))
    assert await tree.rules(tree.path) == ["fqan:/vo/g=x", "user:a=l"]
    await tree.set(tree.path, "ADD", rule("user:a", "xl"), rule("user:a", "r", "cardio", "basic"))
    assert await tree.rules(tree.path) == ["fqan:/vo/g=x", "user:a=lx", "user:a=r@basic,cardio"]
    await tree.set(tree.path, "REMOVE", rule("user:a", "r", "basic"))
    assert await tree.rules(tree.path) == ["fqan:/vo/g=x", "user:a=lx", "user:a=r@cardio"]
    await tree.set(tree.path, "REMOVE", rule("user:a", "r"))
    assert await tree.rules(tree.path) == ["fqan:/vo/g=x", "user:a=lx"]
    await tree.set(tree.path, "CHANGE", rule("user:a", "w"))
    assert await tree.rules(tree.path) == ["fqan:/vo/g=x", "user:a=w"]
    await tree.set(tree.path, "REMOVE", {"principal": "user:a"})
    assert await tree.rules(tree.path) == ["fqan:/vo/g=x"]
    await tree.set(tree.path, "SET", rule("user:b", "g"))
    assert await tree.rules(tree.path) == ["user:b=g"]
    await tree.set(tree.path, "SET")
    assert await tree.rules(tree.path) == []


async def test_several_steps_are_one_change(tree: Tree) -> None:
    await tree.set(tree.path, "ADD", rule("user:a", "rl"))
    steps = [
        {"permissionType": "REMOVE", "rules": [{"principal": "user:a"}]},
        {"permissionType": "ADD", "rules": [rule("user:b", "rl")]},
    ]
    await tree.server.srm("setPermission", surls=[tree.path], changes=steps)
    assert await tree.rules(tree.path) == ["user:b=rl"]
    acts = await audited(tree, tree.path)
    assert acts[-1]["details"]["acl"] == [{"principal": "user:a", "before": ["rl"], "after": []},
            {"principal": "user:b", "before": [], "after": ["rl"]}]  # fmt: skip


async def audited(tree: Tree, surl: str) -> list[Any]:
    guid = (await tree.server.srm("ls", surls=[surl], numOfLevels=0))["files"][0]["guid"]
    async with tree.server.house.database.acquire() as db:
        return list(
            await db.fetch(
                "select caller, act, details from audit where guid = $1 and act like 'set %' order by id",
                guid,
            )
        )


async def test_a_change_is_audited_with_the_rights_before_and_after_and_no_name(tree: Tree) -> None:
    await tree.set(tree.file, "ADD", rule("user:a", "rl"))
    await tree.set(tree.file, "REMOVE", rule("user:a", "l"))
    acts = await audited(tree, tree.file)
    assert [(act["caller"], act["act"]) for act in acts] == [("user:admin", "set permission")] * 2
    assert acts[0]["details"]["acl"] == [{"principal": "user:a", "before": [], "after": ["rl"]}]
    assert acts[1]["details"]["acl"] == [{"principal": "user:a", "before": ["rl"], "after": ["r"]}]
    assert tree.path.strip("/") not in str([dict(act) for act in acts])


async def test_what_inherits_begins_with_what_was_in_force(tree: Tree) -> None:
    await tree.set(tree.path, "SET", rule("user:a", "rlx"))
    assert (await tree.get(tree.deep))["inherited"] is True
    await tree.set(tree.deep, "ADD", rule("user:b", "r"))
    assert await tree.rules(tree.deep) == ["user:a=rlx", "user:b=r"]
    assert (await tree.get(tree.deep))["inherited"] is False
    await tree.set(tree.path, "REMOVE", {"principal": "user:a"})
    assert await tree.rules(tree.deep) == ["user:a=rlx", "user:b=r"]
    await tree.server.srm("setPermission", surls=[tree.deep], inherit=True)
    assert await tree.rules(tree.deep) == []
    assert (await tree.get(tree.deep))["inherited"] is True


async def test_a_change_that_changes_nothing_leaves_what_inherits_as_it_is(tree: Tree) -> None:
    await tree.set(tree.path, "SET", rule("user:a", "rlx"))
    line = await tree.set(tree.deep, "REMOVE", {"principal": "user:nobody"})
    assert line["changed"] == 0
    assert (await tree.get(tree.deep))["inherited"] is True


async def test_a_default_is_apart_from_the_directorys_own_acl(tree: Tree) -> None:
    await tree.set(tree.path, "SET", rule("user:a", "rlx"))
    await tree.set(tree.path, "ADD", rule("user:b", "rl"), default=True)
    told = await tree.get(tree.path)
    assert words(told["rules"]) == ["user:a=rlx"]
    assert told["default"]["own"] is True
    assert words(told["default"]["rules"]) == ["user:a=rlx", "user:b=rl"]
    assert await tree.rules(tree.deep) == ["user:a=rlx", "user:b=rl"]
    await tree.set(tree.path, "ADD", rule("user:c", "l"))
    assert await tree.rules(tree.deep) == ["user:a=rlx", "user:b=rl"]
    await tree.server.srm("setPermission", surls=[tree.path], inherit=True, default=True)
    assert await tree.rules(tree.deep) == ["user:a=rlx", "user:c=l"]
    assert (await tree.get(tree.path))["default"]["own"] is False
    line = await tree.set(tree.file, "ADD", rule("user:b", "l"), default=True, expect=400)
    assert "hands nothing down" in line["status"]["explanation"]


async def test_where_an_acl_comes_from_is_told_to_those_who_may_list_it(tree: Tree) -> None:
    token, name = await someone(tree.server)
    await tree.set(tree.path, "SET", rule(name, "x"))
    for rights, told in (("plx", True), ("px", False)):
        await tree.set(tree.below, "SET", rule(name, rights))
        line = await tree.get(tree.deep, token=token)
        assert line["inherited"] is True
        assert ("inheritedFrom" in line) is told
        assert (await tree.get(tree.deep))["inheritedFrom"]["path"] == tree.below


async def test_reading_and_changing_an_acl_need_p(tree: Tree) -> None:
    token, name = await someone(tree.server)
    for operation, body in (
        ("getPermission", {}),
        ("setPermission", {"permissionType": "ADD", "rules": [rule(name, "r")]}),
        ("setPermission", {"inherit": True}),
    ):
        await tree.set(tree.path, "SET", rule(name, "drwlxgsi"))
        answer = await tree.server.srm(operation, token=token, expect=403, surls=[tree.path], **body)
        assert "'p'" in answer["files"][0]["status"]["explanation"]
        await tree.set(tree.path, "SET", rule(name, "drwxgs"))
        await tree.server.srm(operation, token=token, expect=404, surls=[tree.path], **body)
        await tree.set(tree.path, "SET", rule(name, "p"))
        await tree.server.srm(operation, token=token, surls=[tree.path], **body)


async def test_i_is_given_by_administrators_and_those_who_have_it(tree: Tree) -> None:
    token, name = await someone(tree.server)
    give = {"permissionType": "ADD", "rules": [rule("user:x", "ri")]}

    async def may_give(surl: str = tree.path, **change: Any) -> bool:
        answer = await tree.server.srm(
            "setPermission", token=token, expect=None, surls=[surl], **(change or give)
        )
        status = answer["files"][0]["status"]
        assert status["statusCode"] == "SRM_SUCCESS" or "'i'" in status["explanation"]
        return bool(status["statusCode"] == "SRM_SUCCESS")

    await tree.set(tree.path, "SET", rule(name, "plx"))
    assert not await may_give()
    assert not await may_give(default=True, **give)
    # Rights on the same views are one rule: who adds `r` to an `i` gives the identified view.
    await tree.set(tree.path, "SET", rule(name, "plx"), rule("user:x", "i"), rule("user:y", "ri", "basic"))
    assert not await may_give(permissionType="ADD", rules=[rule("user:x", "r")])
    assert not await may_give(permissionType="CHANGE", rules=[rule("user:y", "ri", "basic", "identified")])
    assert not await may_give(permissionType="CHANGE", rules=[rule("user:y", "ri")])
    assert await may_give(permissionType="ADD", rules=[rule("user:y", "l")])
    assert await may_give(permissionType="REMOVE", rules=[rule("user:y", "i")])
    # Nor may it come by inheriting what others have given.
    await tree.set(tree.below, "SET", rule(name, "plx"))
    assert not await may_give(tree.below, inherit=True)
    await tree.set(tree.path, "SET", rule(name, "plxi"))
    assert await may_give()
    await tree.set(tree.path, "SET", rule(name, "plx"))
    await tree.set(tree.path, "SET", rule("user:x", "ri"))  # the administrator
