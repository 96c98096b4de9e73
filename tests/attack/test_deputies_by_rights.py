"""The server as a deputy: changing rights must not give more than one has."""

import base64
import os
from typing import Any

import pytest

from tests.attack.arena import RECIPIENT, rule
from tests.attack.yard import EVERY, FULL, Yard, link, listed

# Rights


async def test_p_does_not_give_identities_to_oneself_or_others(yard: Yard) -> None:
    user = await yard.user()
    file = await yard.file("a.dcm")
    await yard.set(yard.path, user.may(FULL, "*"))
    before = await rules_of(yard, yard.path), await rules_of(yard, file)
    for rules in (
        [user.may("ri", "identified")],
        [user.may("i")],
        [user.may("ri")],
        [rule("any:authenticated", "ri", *EVERY)],
        [rule("group:local#/team", "xi")],
        [user.may(FULL, "*"), user.may("i")],
    ):
        for kind in ("ADD", "CHANGE", "SET"):
            for options in ({}, {"default": True}, {"recursive": True}):
                for where in (yard.path, file):
                    answer = await user.srm(
                        "setPermission", surls=[where], permissionType=kind, rules=rules, **options
                    )
                    assert answer.status in (400, 403), (answer.status, rules, kind, options)
    assert (await rules_of(yard, yard.path), await rules_of(yard, file)) == before
    assert not await user.reads(file, "identified")


async def test_i_and_r_do_not_merge_into_the_identified_view(yard: Yard) -> None:
    """He has `i`, for attributes; giving himself `r` beside it must not make it the identified view without him
    having it to give."""
    user = await yard.user()
    other = await yard.user()
    await yard.set(yard.path, user.may("xlp"), other.may("i"), rule("any:authenticated", "x"))
    file = await yard.file("a.dcm")
    for rules in ([other.may("r", "identified")], [other.may("r")], [other.may("r", *EVERY)]):
        await user.srm("setPermission", surls=[yard.path], permissionType="ADD", rules=rules)
        assert not await other.reads(file, "identified")


async def test_two_steps_give_no_more_than_one(yard: Yard) -> None:
    """Each change harmless, all together `i`."""
    user = await yard.user()
    await yard.set(yard.path, user.may("xlprwds", "*"), rule("user:doctor", "xri", "identified"))
    await yard.directory("d", user.may("xlprwds", "*"))
    file = await yard.file("d/a.dcm")
    changes = [
        {"permissionType": "ADD", "rules": [user.may("i")]},
        {"permissionType": "REMOVE", "rules": [user.may("i")]},
        {"permissionType": "ADD", "rules": [user.may("ri", "identified")]},
    ]
    await user.srm("setPermission", surls=[yard / "d"], changes=changes)
    assert not await user.reads(file, "identified")
    # What lies above gives the doctor identities; he is to get them here only from who has them to give.
    await user.srm("setPermission", surls=[yard / "d", file], inherit=True, recursive=True)
    rules = await rules_of(yard, file)
    assert not any("i" in one["rights"] for one in rules), rules


async def test_setting_rights_recursively_leaves_alone_what_one_may_not_change(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("d", user.may("xlp"))
    theirs = await yard.file("d/theirs.dcm", rule("user:somebody-else", "prl"))
    before = await rules_of(yard, theirs)
    for body in (
        {"inherit": True},
        {"permissionType": "SET", "rules": [user.may(FULL, "*")]},
        {"permissionType": "ADD", "rules": [user.may("rl")]},
    ):
        answer = await user.srm("setPermission", surls=[yard / "d"], recursive=True, **body)
        assert theirs.encode() not in answer.body
        assert answer.tree["files"][0].get("left", 0) == 0, "counts what he may not see"
    assert await rules_of(yard, theirs) == before


async def test_a_default_acl_opens_nothing_that_is_there_by_its_own(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("d", user.may("xlp"))
    theirs = await yard.file("d/theirs.dcm", rule("user:somebody-else", "rl"))
    await user.srm(
        "setPermission", surls=[yard / "d"], default=True, permissionType="SET", rules=[user.may("rl", "*")]
    )
    assert not await user.reads(theirs)
    assert not await user.sees(theirs)


async def test_an_acl_of_ten_thousand_principals_is_refused_whole(yard: Yard) -> None:
    user = await yard.user()
    await yard.set(yard.path, user.may("xlp"))
    before = await rules_of(yard, yard.path)
    many = [rule(f"user:n{i}", "r") for i in range(10_000)]
    assert (
        await user.srm("setPermission", surls=[yard.path], permissionType="SET", rules=many)
    ).status == 400
    changes = [{"permissionType": "ADD", "rules": many[i : i + 1000]} for i in range(0, 10_000, 1000)]
    assert (await user.srm("setPermission", surls=[yard.path], changes=changes)).status == 400
    assert await rules_of(yard, yard.path) == before


async def test_delivery_in_the_clear_of_identities_is_not_gained_by_p(yard: Yard) -> None:
    user = await yard.user()
    await yard.set(yard.path, user.may(FULL, "*"))
    for said in ({"identified": "clear"}, {"identified": "clear", "deidentified": "sealed"}):
        assert (await user.admin("PUT", "delivery", surl=yard.path, **said)).status == 403
    await yard.delivery(yard.path, identified="sealed")
    assert (await user.admin("PUT", "delivery", surl=yard.path, identified="inherit")).status in (200, 403)
    answer = await yard.server.call(
        "POST", "/admin/v1/delivery", token=yard.server.admin_token, json={"surl": yard.path}
    )
    assert answer.tree["identified"]["delivery"] == "sealed"


async def test_a_key_is_registered_for_oneself_only(yard: Yard) -> None:
    user, other = await yard.user(), await yard.user()
    mine = base64.b64encode(os.urandom(32)).decode()
    for principal in (
        other.principal,
        "group:local#/team",
        "user:admin",
        "any:authenticated",
        "dn:/C=X/CN=y",
    ):
        answer = await user.admin("PUT", "recipients", principal=principal, key=RECIPIENT)
        assert answer.status in (400, 403)
        answer = await user.admin("POST", "recipients/remove", principal=principal)
        assert answer.status in (400, 403)
    assert (await user.admin("PUT", "recipients", key=mine)).status == 200
    assert mine.encode() not in (await other.admin("GET", "recipients")).body


async def rules_of(yard: Yard, path: str) -> list[dict[str, Any]]:
    tree = await yard.server.srm("getPermission", surls=[path])
    return list(tree["files"][0]["rules"])


async def test_who_may_write_but_not_pass_makes_nothing_further_down(yard: Yard) -> None:
    """`w` on a directory without `x` does not lead into those below that inherit it."""
    user = await yard.user()
    await yard.directory("a", user.may("wl"))
    await yard.directory("a/b")
    await yard.file("a/b/there.dcm")
    await yard.directory("from", user.may("xldwr"))
    await yard.file("from/mine.dcm")
    answers = [
        await user.srm("mkdir", surl=yard / "a/b/new"),
        await user.srm("mkdir", surl=yard / "a/b/new/newer", parents=True),
        await user.srm("prepareToPut", files=[{"surl": yard / "a/b/new.dcm"}]),
        await user.srm("prepareToPut", files=[{"surl": yard / "a/b/new/new.dcm"}], createParents=True),
        await user.srm("mv", fromSURL=yard / "from/mine.dcm", toSURL=yard / "a/b/new.dcm"),
        await user.srm("mv", fromSURL=yard / "from/mine.dcm", toSURL=yard / "a/b"),
        await link(user, yard / "from/mine.dcm", yard / "a/b", template="{instance}.dcm"),
        await link(user, yard / "from/mine.dcm", yard / "a", template="b/{instance}.dcm"),
    ]
    assert [answer.status for answer in answers] == [404, 404, 404, 404, 404, 409, 404, 404]
    assert await listed(yard, "a/b") == [yard / "a/b/there.dcm"]


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_what_lies_below_the_hidden_is_missing_as_below_the_missing_for_writers_too(
    yard: Yard, kind: str
) -> None:
    user = await yard.user()
    await yard.directory("d", user.may(FULL, "*"))
    await yard.file("d/mine.dcm")
    await (yard.file if kind == "file" else yard.directory)("d/hidden", rule("user:somebody-else", FULL))
    for operation, body in (
        ("mkdir", lambda n: {"surl": f"{n}/x"}),
        ("prepareToPut", lambda n: {"files": [{"surl": f"{n}/x"}]}),
        ("prepareToPut", lambda n: {"files": [{"surl": f"{n}/x/y"}], "overwrite": True}),
        ("mv", lambda n: {"fromSURL": yard / "d/mine.dcm", "toSURL": f"{n}/x"}),
        ("ls", lambda n: {"surls": [n, f"{n}/x"]}),
        ("rm", lambda n: {"surls": [n, f"{n}/x"]}),
        ("rmdir", lambda n: {"surl": n, "recursive": True}),
        ("getPermission", lambda n: {"surls": [n, f"{n}/x"]}),
        ("setPermission", lambda n: {"surls": [n, f"{n}/x"], "inherit": True}),
        ("prepareToGet", lambda n: {"files": [{"surl": n}, {"surl": f"{n}/x"}]}),
    ):
        told = []
        for name in ("hidden", "absent"):
            answer = await user.srm(operation, **body(yard / f"d/{name}"))
            tree = answer.tree
            tree.pop("requestToken", None)
            told.append((answer.status, str(tree).replace(name, "NAME")))
        assert told[0] == told[1], operation


async def test_an_administrator_who_may_not_list_is_told_no_names(yard: Yard) -> None:
    """The right `p` on the root makes an administrator, not a reader of names."""
    admin = await yard.user("p", "/")
    file = await yard.file("whisperedlfn.dcm")
    guid = (await yard.server.srm("ls", surls=[file]))["files"][0]["guid"]
    shown = await admin.admin("POST", "audit/show", guid=guid)
    assert shown.status == 200
    assert b"whisperedlfn" not in shown.body
    for method, where, body in (
        ("POST", "audit/export", {}), ("POST", "fsck", {}), ("POST", "profiles/basic/progress", {"surl": yard.path}),
        ("POST", "profiles/basic/plan", {"surl": yard.path}), ("POST", "report", {"surl": yard.path}),
    ):  # fmt: skip
        assert b"whisperedlfn" not in (await admin.admin(method, where, **body)).body, where
