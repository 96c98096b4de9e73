"""The three modes that grid clients know, of owner, groups and others, as what they come to here: letters of rights."""

from typing import Any

import pytest

from mdm_async.images.rights.modes import Mode, steps
from mdm_async.rules import Kind, Rule, changed
from tests.conftest import Server
from tests.web.made_images import made
from tests.web.srm.codes import codes

AUTHENTICATED, ANYONE = "any:authenticated", "any:anonymous"


@pytest.fixture
async def directory(server: Server) -> str:
    return await server.directory()


async def rules_of(server: Server, surl: str) -> dict[str, Any]:
    tree = await server.srm("getPermission", surls=[surl])
    return {rule["principal"]: rule["rights"] for rule in tree["files"][0]["rules"]}


@pytest.mark.parametrize("mode", Mode)
def test_a_mode_changes_only_the_rights_that_it_is_made_of(mode: Mode) -> None:
    before = (Rule("user:a", "pdrwlxgsi"), Rule(AUTHENTICATED, "rlg"), Rule(ANYONE, "rlxg"))
    after = {
        rule.principal: set(rule.rights)
        for rule in changed(before, steps(Kind.CHANGE, {"user:a": mode, AUTHENTICATED: mode}))
    }
    assert after["user:a"] == set("pgsi") | set(mode.rights)
    assert after.get(AUTHENTICATED, set()) == set("g") | set(mode.rights)
    assert after[ANYONE] == set("g") | (set("rlx") & set(mode.rights))


async def test_others_are_those_with_a_credential_and_never_see_identities(
    server: Server, directory: str
) -> None:
    await server.srm("setPermission", surls=[directory], permissionType="CHANGE", otherPermission="RWX")
    rules = await rules_of(server, directory)
    assert (set(rules[AUTHENTICATED]), ANYONE in rules) == (set("rlwdx"), False)


async def test_what_is_taken_from_others_is_taken_from_callers_without_a_credential_too(
    server: Server, directory: str
) -> None:
    rule = {"principal": ANYONE, "rights": "rlx"}
    await server.srm("setPermission", surls=[directory], permissionType="ADD", rules=[rule])
    await server.srm("setPermission", surls=[directory], permissionType="CHANGE", otherPermission="X")
    rules = await rules_of(server, directory)
    assert (rules[ANYONE], rules[AUTHENTICATED]) == ("x", "x")


async def test_a_mode_lets_nobody_see_identities(server: Server, directory: str) -> None:
    """Who has `i` and no `r` would have both."""
    rule = {"principal": "user:reader", "rights": "i"}
    await server.srm("setPermission", surls=[directory], permissionType="ADD", rules=[rule])
    tree = await server.srm(
        "setPermission",
        expect=403,
        surls=[directory],
        permissionType="ADD",
        userPermissions=[{"userID": "user:reader", "mode": "R"}],
    )
    assert codes(tree) == ["SRM_AUTHORIZATION_FAILURE"]
    assert (await rules_of(server, directory))["user:reader"] == "i"


async def test_users_and_groups_are_named_as_the_grid_names_them(server: Server, directory: str) -> None:
    await server.srm(
        "setPermission",
        surls=[directory],
        permissionType="ADD",
        userPermissions=[{"userID": "/C=XX/CN=Ada", "mode": "RX"}],
        groupPermissions=[{"groupID": "/vo/group/Role=NULL/Capability=NULL", "mode": "RWX"}],
    )
    rules = await rules_of(server, directory)
    assert (rules["dn:/C=XX/CN=Ada"], rules["fqan:/vo/group"]) == ("rlx", "drwlx")
    for wrong in (
        {"userPermissions": [{"userID": ANYONE, "mode": "R"}]},
        {"groupPermissions": [{"groupID": AUTHENTICATED, "mode": "R"}]},
        {"userPermissions": [{"userID": "-", "mode": "R"}]},
        {"otherPermission": "R", "rules": [{"principal": "user:a", "rights": "r"}]},
    ):
        await server.srm("setPermission", expect=400, surls=[directory], permissionType="ADD", **wrong)
    await server.srm(
        "setPermission", expect=400, surls=[directory], permissionType="SET", otherPermission="R"
    )


async def test_a_listing_tells_the_modes_as_the_caller_sees_them(server: Server, directory: str) -> None:
    await server.put(f"{directory}/a.dcm", made())
    await server.srm("mkdir", surl=f"{directory}/below")
    rule = {"principal": AUTHENTICATED, "rights": "lx"}
    await server.srm("setPermission", surls=[directory], permissionType="ADD", rules=[rule])
    tree = await server.srm("ls", surls=[directory], fullDetailedList=True)
    told = {one["path"]: one for one in (tree["files"][0], *tree["files"][0]["subPaths"])}
    assert told[directory]["ownerPermission"] == {"userID": "user:admin", "mode": "RWX"}
    assert told[directory]["otherPermission"] == "RX"
    assert told[f"{directory}/a.dcm"]["ownerPermission"]["mode"] == "RWX"
    # Of a file `l` is not to read it.
    assert told[f"{directory}/a.dcm"]["otherPermission"] == "X"
    reader = await server.token("lr", path=f"{directory}/a.dcm")
    tree = await server.srm("ls", token=reader, surls=[f"{directory}/a.dcm"], fullDetailedList=True)
    assert tree["files"][0]["ownerPermission"]["mode"] == "RX"
    tree = await server.srm("ls", surls=[directory])
    assert "ownerPermission" not in tree["files"][0]
