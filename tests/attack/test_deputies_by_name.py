"""The server as a deputy: putting, making and removing must not be done with its own power."""

import pytest

from tests.attack.arena import rule
from tests.attack.yard import FULL, Yard, listed
from tests.web.made_images import made

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


async def test_a_tree_of_sixty_levels_is_judged_and_removed(yard: Yard) -> None:
    user = await yard.user()
    await yard.directory("d", user.may("xldw"))
    deep = yard / "d" + "/x" * 60
    assert (await user.srm("mkdir", surl=deep, parents=True)).status == 200
    await yard.set(deep, rule("user:somebody-else", "l"))
    assert not await user.sees(deep)
    assert (await user.srm("rmdir", surl=yard / "d", recursive=True)).status in (403, 404)
    assert (await user.srm("mv", fromSURL=yard / "d/x", toSURL=deep + "/y")).status in (400, 403, 404)
    assert await yard.there(deep)
