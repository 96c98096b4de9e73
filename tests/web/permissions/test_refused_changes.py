"""Changes of ACLs that are refused: malformed, without meaning, beyond bounds, by a limited caller."""

from dataclasses import replace
from typing import Any

import pytest

from mdm_async.errors import Forbidden
from mdm_async.identity.authenticator import ADMIN
from mdm_async.images.rights.changes import Change, set_permission
from tests.web.permissions.tree import Tree, code, rule


async def test_a_limited_caller_changes_nothing(tree: Tree) -> None:
    change = Change(inherit=True)
    limited = replace(ADMIN, limited=True)
    ((_, why),) = await set_permission(
        tree.server.house.database, tree.server.house.changed, limited, [tree.path], change
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
