"""Verbs that could be made to do for somebody what they may not do: move, link, overwrite, make, remove, set rights."""

import asyncio

import pytest

from tests.attack.arena import rule
from tests.attack.yard import EVERY, FULL, Yard, link, listed

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
    async with yard.server.house.database.acquire() as db:
        lost = await db.fetchval(
            "with recursive down as ("
            "  select id from entries where parent is null"
            "  union all select e.id from entries e join down on e.parent = down.id"
            ") select count(*) from entries where id not in (select id from down)"
        )
    assert lost == 0


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
