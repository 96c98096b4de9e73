"""Verbs that could be made to do for somebody what they may not do: move, link, overwrite, make, remove, set rights."""

import asyncio
import base64
import os
from typing import Any

import pytest

from tests.attack.arena import RECIPIENT, rule
from tests.attack.yard import EVERY, User, Yard
from tests.web.made_images import made

FULL = "pdrwlxgs"


# Moving


async def test_a_move_into_ones_own_directory_gives_no_identities(yard: Yard) -> None:
    user = await yard.user()
    source = await yard.directory("source", user.may("xldwrg", "*"))
    await yard.directory("mine", user.may("pdrwlxgsi", *EVERY))
    file = await yard.file("source/a.dcm")
    await user.srm("mv", fromSURL=file, toSURL=yard / "mine/a.dcm")
    for where in (file, yard / "mine/a.dcm"):
        assert not await user.reads(where, "identified")
    await user.srm("mv", fromSURL=source, toSURL=yard / "mine/source")
    for where in (yard / "mine/source/a.dcm", yard / "mine/source"):
        await user.srm("setPermission", surls=[where], inherit=True)
        assert not await user.reads(yard / "mine/source/a.dcm", "identified")


async def test_a_move_into_ones_own_scope_gives_no_identities(yard: Yard) -> None:
    await yard.directory("source")
    await yard.directory("mine")
    user = await yard.user("pdrwlxgsi", yard / "mine", list(EVERY))
    await yard.set(yard / "source", user.may("xldw"))
    file = await yard.file("source/a.dcm")
    await user.srm("mv", fromSURL=file, toSURL=yard / "mine/a.dcm")
    for view in ("basic", "identified"):
        assert not await user.reads(yard / "mine/a.dcm", view)


async def test_a_directory_moved_into_ones_scope_opens_nothing_below_it(yard: Yard) -> None:
    await yard.directory("source")
    await yard.directory("mine")
    user = await yard.user("pdrwlxgsi", yard / "mine", list(EVERY))
    await yard.set(yard / "source", user.may("xldwr", "*"))
    await yard.directory("source/d")
    await yard.directory("source/d/e")
    await yard.file("source/d/e/closed.dcm", rule("user:somebody-else", "rl"))
    await user.srm("mv", fromSURL=yard / "source/d", toSURL=yard / "mine/d")
    for view in ("basic", "identified"):
        assert not await user.reads(yard / "mine/d/e/closed.dcm", view)


@pytest.mark.parametrize("rights", [("r", ()), ("ri", EVERY)], ids=["r", "i"])
async def test_a_move_out_of_a_closed_directory_opens_nothing_to_the_mover(
    yard: Yard, rights: tuple[str, tuple[str, ...]]
) -> None:
    """What lies behind a directory without `x` for him has an ACL that would give him more."""
    await yard.directory("closed")
    user = await yard.user("dwlx")
    await yard.set(yard / "closed", rule("user:somebody-else", "xl"))
    await yard.directory("closed/d", rule("any:authenticated", "x"))
    await yard.file("closed/d/a.dcm", user.may(rights[0], *rights[1]))
    view = "identified" if "i" in rights[0] else "basic"
    assert not await user.reads(yard / "closed/d/a.dcm", view)
    await user.srm("mv", fromSURL=yard / "closed/d", toSURL=yard / "open")
    for where in ("closed/d/a.dcm", "open/a.dcm"):
        assert not await user.reads(yard / where, view)


async def test_a_move_changes_no_delivery(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("sealed", user.may("xldwr"))
    await yard.delivery(yard / "sealed", deidentified="sealed")
    await yard.directory("clear", user.may("xldwr"))
    file = await yard.file("sealed/a.dcm")
    assert not await user.reads(file)
    await user.srm("mv", fromSURL=file, toSURL=yard / "clear/a.dcm")
    assert not await user.reads(yard / "clear/a.dcm")


async def test_a_move_needs_w_on_the_directory_whatever_it_hands_down(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("from", user.may("xldw"))
    await yard.directory("to", user.may("xl"))
    await yard.set(yard / "to", user.may(FULL), default=True)
    file = await yard.file("from/a.dcm")
    for target in ("to", "to/a.dcm"):
        assert (await user.srm("mv", fromSURL=file, toSURL=yard / target)).status == 403
    assert (await user.srm("mkdir", surl=yard / "to/d")).status == 403
    assert (await user.srm("prepareToPut", files=[{"surl": yard / "to/b.dcm"}])).status == 403
    assert (
        await user.srm("prepareToPut", files=[{"surl": yard / "to/d/b.dcm"}], createParents=True)
    ).status == 404
    assert await yard.there(file)


async def test_moving_the_parent_of_what_one_may_not_remove_leaves_it_as_protected(yard: Yard) -> None:
    """Its readers, and who is not, stay the same."""
    user, reader = await yard.user(), await yard.user()
    await yard.directory("from", user.may("xldw"), reader.may("xl"))
    await yard.directory("to", user.may(FULL), rule("any:authenticated", "xlr"))
    await yard.directory("from/d")
    await yard.file("from/d/secret.dcm", rule("user:somebody-else", "rl"))
    await user.srm("mv", fromSURL=yard / "from/d", toSURL=yard / "to/d")
    for one in (user, reader):
        assert not await one.reads(yard / "to/d/secret.dcm")
        assert not await one.sees(yard / "to/d/secret.dcm")


async def test_parallel_moves_into_each_other_make_no_cycle(yard: Yard) -> None:
    user = await yard.user()
    for name in ("a", "b", "c"):
        await yard.directory(name, user.may(FULL))
    names = ("a", "b", "c")
    for _ in range(5):
        await asyncio.gather(
            *(
                user.srm("mv", fromSURL=yard / one, toSURL=yard / f"{other}/{one}")
                for one in names
                for other in names
                if one != other
            )
        )
    async with yard.server.archive.database.acquire() as db:
        lost = await db.fetchval(
            "with recursive down as ("
            "  select id from entries where parent is null"
            "  union all select e.id from entries e join down on e.parent = down.id"
            ") select count(*) from entries where id not in (select id from down)"
        )
    assert lost == 0


# Linking


async def link(user: User, source: str, target: str, **options: Any) -> Any:
    return await user.admin("POST", "link", surls=[source], target=target, view="basic", **options)


async def test_a_link_gives_no_clear_delivery_of_what_leaves_sealed(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("sealed", user.may("xlr"))
    await yard.delivery(yard / "sealed", deidentified="sealed")
    await yard.directory("project", user.may(FULL))
    file = await yard.file("sealed/a.dcm")
    assert not await user.reads(file)
    answer = await link(user, file, yard / "project", template="{instance}.dcm")
    if answer.status == 200:
        assert not await user.reads(answer.tree["files"][0]["lfn"])


async def test_a_link_makes_nothing_in_a_directory_that_one_may_not_write_to(yard: Yard) -> None:
    """The target may be written to, but not what lies in it and is named by the template."""
    user = await yard.user()
    await yard.directory("project", user.may("xlw"))
    await yard.directory("project/theirs", rule("user:somebody-else", FULL))
    await yard.directory("source", user.may("xlr"))
    file = await yard.file("source/a.dcm")
    for template in ("theirs/{instance}.dcm", "theirs/new/{instance}.dcm"):
        answer = await link(user, file, yard / "project", template=template)
        assert answer.status in (403, 404, 409), answer.body
    assert await listed(yard, "project/theirs") == []


async def test_a_link_tells_nothing_of_a_hidden_entry_that_has_its_name(yard: Yard) -> None:
    user, other = await yard.user(), await yard.user()
    await yard.directory("project", user.may("xlw"), other.may("xlw"))
    await yard.directory("source", rule("any:authenticated", "xlr"))
    file = await yard.file("source/a.dcm")
    made_ = (await link(other, file, yard / "project", template="{instance}.dcm")).tree["files"][0]
    await yard.set(made_["lfn"], other.may("rl"))
    answer = await link(user, file, yard / "project", template="{instance}.dcm")
    assert made_["guid"].encode() not in answer.body
    assert answer.status == 409


async def test_a_link_needs_w_whatever_the_target_hands_down(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("source", user.may("xlr"))
    await yard.directory("project", user.may("xl"))
    await yard.set(yard / "project", user.may(FULL), default=True)
    file = await yard.file("source/a.dcm")
    assert (await link(user, file, yard / "project")).status == 403
    assert await listed(yard, "project") == []


async def test_a_projects_entry_gives_no_other_view_wherever_it_is_moved(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("source", user.may("xlr"))
    await yard.directory("project", user.may(FULL + "i", *EVERY))
    file = await yard.file("source/a.dcm")
    (made_,) = (await link(user, file, yard / "project", template="{instance}.dcm")).tree["files"]
    assert await user.reads(made_["lfn"])
    for surl in (made_["lfn"], f"guid:{made_['guid']}", f"/@identified{made_['lfn']}"):
        assert not await user.reads(surl, "identified")
    await user.srm("mv", fromSURL=made_["lfn"], toSURL=yard / "project/renamed.dcm")
    assert not await user.reads(yard / "project/renamed.dcm", "identified")
    answer = await user.admin("POST", "pseudonyms/lookup", pseudonym="any")
    assert answer.status == 404


async def listed(yard: Yard, name: str) -> list[str]:
    tree = await yard.server.srm("ls", surls=[yard / name])
    return [child["path"] for child in tree["files"][0].get("subPaths", ())]


# Putting, making, removing


async def test_an_overwrite_of_a_hidden_file_leaves_it_as_it_is(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("d", user.may("xlwdr"))
    file = await yard.file("d/a.dcm", rule("user:somebody-else", "rl"))
    before = await yard.server.read(file)
    for overwrite in (False, True):
        answer = await user.srm("prepareToPut", files=[{"surl": file}], overwrite=overwrite)
        assert answer.status == 409
        assert b"uploadRecipient" not in answer.body
    assert await yard.server.read(file) == before


async def test_a_file_that_was_hidden_between_prepare_and_put_done_stays(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("d", user.may("xlwdr"))
    file = await yard.file("d/a.dcm")
    before = await yard.server.read(file)
    tree = (await user.srm("prepareToPut", files=[{"surl": file}], overwrite=True)).tree
    await yard.server.call("PUT", tree["files"][0]["transferURL"], data=made(seed=5))
    await yard.set(file, rule("user:somebody-else", "rl"))
    answer = await user.srm("putDone", requestToken=tree["requestToken"], surls=[file])
    assert answer.status in (403, 404)
    assert await yard.server.read(file) == before


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_a_taken_name_does_not_tell_what_has_it(yard: Yard, kind: str) -> None:
    """Who may write there cannot but learn that a name is taken; no more."""
    user = await yard.user()
    await yard.directory("d", user.may("xlw"))
    await (yard.file if kind == "file" else yard.directory)("d/taken", rule("user:somebody-else", "rl"))
    bodies = [
        (await user.srm("mkdir", surl=yard / "d/taken")).body,
        (await user.srm("prepareToPut", files=[{"surl": yard / "d/taken"}])).body,
        (await user.srm("mkdir", surl=yard / "d/taken", parents=True)).body,
    ]
    for body in bodies:
        assert b"a directory has" not in body
        assert b"a file has" not in body


async def test_making_parents_makes_nothing_below_what_is_hidden(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("d", user.may("xlw"))
    await yard.directory("d/closed", rule("user:somebody-else", FULL))
    await user.srm("mkdir", surl=yard / "d/closed/x/y", parents=True)
    await user.srm("prepareToPut", files=[{"surl": yard / "d/closed/z/a.dcm"}], createParents=True)
    assert await listed(yard, "d/closed") == []


async def test_making_parents_for_a_put_that_is_refused_makes_none(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("d", user.may("xlw"))
    answer = await user.srm(
        "prepareToPut", files=[{"surl": f"/@basic{yard / 'd/x/a.dcm'}"}], createParents=True
    )
    assert answer.status == 400
    assert await listed(yard, "d") == []


async def test_a_recursive_removal_takes_nothing_that_one_may_not_remove(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("d", user.may("xldw"))
    await yard.directory("d/e")
    await yard.file("d/e/kept.dcm", rule("user:somebody-else", FULL))
    answer = await user.srm("rmdir", surl=yard / "d", recursive=True)
    assert answer.status in (403, 404, 409)
    assert await yard.there(yard / "d/e/kept.dcm")


async def test_a_tree_of_three_hundred_levels_is_judged_and_removed(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("d", user.may("xldw"))
    deep = yard / "d" + "/x" * 300
    assert (await user.srm("mkdir", surl=deep, parents=True)).status == 200
    await yard.set(deep, rule("user:somebody-else", "l"))
    assert not await user.sees(deep)
    assert (await user.srm("rmdir", surl=yard / "d", recursive=True)).status in (403, 404)
    assert (await user.srm("mv", fromSURL=yard / "d/x", toSURL=deep + "/y")).status in (400, 403, 404)
    assert await yard.there(deep)


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
