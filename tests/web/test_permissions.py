"""getPermission, setPermission and checkPermission, in bulk, under the rights that they need."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from mdm_async.errors import Forbidden
from mdm_async.identity.authenticator import ADMIN
from mdm_async.images.rights.changes import Change, set_permission
from tests.conftest import Server, running_server
from tests.postgres import PostgresForTests
from tests.web.made_images import made

ALL = "pdrwlxgsi"


@dataclass
class Tree:
    """A directory of the test's own with a file, and a directory below with another."""

    server: Server
    path: str

    @property
    def file(self) -> str:
        return f"{self.path}/file.dcm"

    @property
    def below(self) -> str:
        return f"{self.path}/below"

    @property
    def deep(self) -> str:
        return f"{self.path}/below/deep.dcm"

    async def set(self, surl: str, kind: str, *rules: dict[str, Any], expect: int = 200, **more: Any) -> Any:
        tree = await self.server.srm(
            "setPermission",
            expect=expect,
            surls=[surl],
            permissionType=kind,
            rules=list(rules),
            **more,
        )
        return tree["files"][0]

    async def get(self, surl: str, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = (await self.server.srm("getPermission", surls=[surl], **more))["files"][0]
        return found

    async def rules(self, surl: str) -> list[str]:
        return words((await self.get(surl))["rules"])


def rule(principal: str, rights: str, *views: str) -> dict[str, Any]:
    return {"principal": principal, "rights": rights} | ({"views": list(views)} if views else {})


def words(rules: list[dict[str, Any]]) -> list[str]:
    return [
        f"{one['principal']}={one['rights']}" + (f"@{','.join(one['views'])}" if "views" in one else "")
        for one in rules
    ]


def code(line: dict[str, Any]) -> str:
    return str(line["status"]["statusCode"])


@pytest.fixture(scope="module")
async def server(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """One whose root lets everybody through."""
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path_factory.mktemp("server") / "data", dsn) as running:
        await through_the_root(running)
        yield running


async def through_the_root(server: Server) -> None:
    await server.srm(
        "setPermission", surls=["/"], permissionType="SET", rules=[rule("any:authenticated", "x")]
    )


@pytest.fixture
async def tree(server: Server) -> Tree:
    found = Tree(server, await server.directory())
    await found.set(found.path, "SET")
    await server.put(found.file, made())
    await server.srm("mkdir", surl=found.below)
    await server.put(found.deep, made(seed=1))
    return found


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
    async with tree.server.archive.database.acquire() as db:
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


async def someone(server: Server) -> tuple[str, str]:
    """A token without rights of its own, and its principal."""
    name = f"s{os.urandom(4).hex()}"
    return await server.token("", name=name), f"user:{name}"


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


async def test_a_limited_caller_changes_nothing(tree: Tree) -> None:
    change = Change(inherit=True)
    limited = replace(ADMIN, limited=True)
    ((_, why),) = await set_permission(
        tree.server.archive.database, tree.server.archive.changed, limited, [tree.path], change
    )
    assert isinstance(why, Forbidden)


@pytest.mark.parametrize(
    "bad",
    [
        rule("somebody", "r"),
        rule("dn:CN=x", "r"),
        rule("fqan:vo", "r"),
        rule("fqan:/vo/Role=NULL", "r"),
        rule("fqan:/vo/Role=NULL/Capability=NULL", "r"),
        rule("sub:nobody", "r"),
        rule("group:local#radiology", "r"),
        rule("user:a b", "r"),
        rule("user:", "r"),
        rule("any:body", "r"),
        rule("dn:/CN=" + "x" * 2000, "r"),
        rule("dn:/CN=a\u202eb", "r"),
        rule("user:a", "q"),
        rule("user:a", ""),
        rule("user:a", "l", "basic"),
        rule("user:a", "r", "Basic"),
        rule("any:anonymous", "ri"),
        rule("any:anonymous", "i"),
    ],
)
async def test_a_malformed_rule_is_refused(tree: Tree, bad: dict[str, Any]) -> None:
    answer = await tree.server.srm(
        "setPermission", expect=400, surls=[tree.path], permissionType="ADD", rules=[bad]
    )
    assert answer["returnStatus"]["statusCode"] == "SRM_INVALID_REQUEST"
    assert await tree.rules(tree.path) == []


@pytest.mark.parametrize(
    "principal",
    [
        "dn:/C=DE/O=Hospital/CN=Ada Lovelace",
        "dn:/DC=org/CN=host/a.example.org",
        "fqan:/vo",
        "fqan:/vo/sub-group/Role=a.b_c",
        "sub:https://issuer.example/x#7f3a",
        "group:https://issuer.example#/liver",
        "group:local#/trials/liver",
        "user:worker@7",
        "any:authenticated",
        "any:anonymous",
    ],
)
async def test_every_kind_of_principal_may_stand_in_a_rule(tree: Tree, principal: str) -> None:
    await tree.set(tree.path, "SET", rule(principal, "rl"))
    assert await tree.rules(tree.path) == [f"{principal}=rl"]


async def test_an_acl_is_bounded(tree: Tree) -> None:
    rules = [rule(f"user:u{number}", "r") for number in range(1000)]
    await tree.set(tree.path, "SET", *rules)
    line = await tree.set(tree.path, "ADD", rule("user:one-more", "r"), expect=400)
    assert "1000 rules" in line["status"]["explanation"]
    answer = await tree.server.srm(
        "setPermission",
        expect=400,
        surls=[tree.path],
        permissionType="SET",
        rules=[*rules, rule("user:x", "r")],
    )
    assert code({"status": answer["returnStatus"]}) == "SRM_INVALID_REQUEST"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"permissionType": "ADD"} | {"rules": [rule("user:a", "r")], "inherit": True},
        {"rules": [rule("user:a", "r")]},
        {"permissionType": "TAKE", "rules": [rule("user:a", "r")]},
    ],
)
async def test_a_change_that_means_nothing_is_refused(tree: Tree, body: dict[str, Any]) -> None:
    await tree.server.srm("setPermission", expect=400, surls=[tree.path], **body)


async def test_the_root_does_not_inherit(tree: Tree) -> None:
    await tree.server.srm("setPermission", expect=400, surls=["/"], inherit=True)


async def test_a_view_is_not_removed_from_a_rule_that_does_not_name_it(tree: Tree) -> None:
    """Or somebody would believe that it is gone."""
    for held in (rule("user:a", "r"), rule("user:a", "r", "*")):
        await tree.set(tree.path, "SET", held)
        line = await tree.set(tree.path, "REMOVE", rule("user:a", "r", "basic"), expect=400)
        assert "does not name it" in line["status"]["explanation"]


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
    async with tree.server.archive.database.acquire() as db:
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
    async with own_server.archive.database.transaction() as db:
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
