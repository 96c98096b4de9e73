"""Directories page by page: what one may list, all of it, and nothing else."""

from base64 import urlsafe_b64encode
from typing import Any

import pytest

from tests.conftest import Server
from tests.web.made_images import made
from tests.web.own_acls import give, rule, user


async def page(
    server: Server, token: str | None, directory: str, **asked: Any
) -> tuple[list[str], str | None]:
    """The names on a page, and the cursor of the next."""
    line = (await server.srm("ls", token=token, surls=[directory], **asked))["files"][0]
    return [child["path"].rpartition("/")[2] for child in line.get("subPaths", ())], line.get("nextCursor")


async def pages(server: Server, token: str | None, directory: str, count: int) -> list[list[str]]:
    found, cursor = [], None
    while True:
        names, cursor = await page(
            server, token, directory, count=count, **({"cursor": cursor} if cursor else {})
        )
        found.append(names)
        if cursor is None:
            return found


async def directories(server: Server, *paths: str) -> None:
    for path in paths:
        await server.srm("mkdir", surl=path)


async def test_pages_follow_each_other_to_the_end(server: Server) -> None:
    top = await server.directory()
    names = ["A", "B b", "a", "b", "z", "é"]
    await directories(server, *(f"{top}/{name}" for name in names))
    assert await pages(server, None, top, 2) == [["A", "B b"], ["a", "b"], ["z", "é"]]
    assert await pages(server, None, top, 6) == [names]
    assert await pages(server, None, top, 4) == [names[:4], names[4:]]
    assert await page(server, None, top, offset=2, count=3) == (["a", "b", "z"], cursor("z"))
    assert await page(server, None, top, offset=9) == ([], None)
    assert await page(server, None, top, numOfLevels=0) == ([], None)
    assert await page(server, None, top, count=0) == ([], None)


def cursor(name: str) -> str:
    return urlsafe_b64encode(name.encode()).decode().rstrip("=")


async def hospital(server: Server, *, inherited: str) -> tuple[str, str]:
    """A directory of a hundred, of which a user may list every third by own ACLs of two kinds, and those that
    inherit by these rights. Its path and the user's token."""
    who, token = await user(server)
    await give(server, "/", [rule("any:authenticated", "x")])
    top = await server.directory()
    await give(server, top, [rule(who, "lx")], [rule(who, inherited), rule("user:other", "l")])
    for n in range(60):
        name = f"{top}/{n:02}"
        await server.srm("mkdir", surl=name)
        if n % 3 == 0:
            await give(server, name, [rule(who, "l" if n % 2 else "lr")])
        elif n % 3 == 1:
            await give(server, name, [rule("user:other", "lrx"), rule(who, "xrgw")])
    return top, token


@pytest.mark.parametrize("inherited", ["", "l"])
async def test_hidden_entries_are_left_out_and_every_page_is_full(own_server: Server, inherited: str) -> None:
    top, token = await hospital(own_server, inherited=inherited)
    listed = [f"{n:02}" for n in range(60) if n % 3 == 0 or (inherited and n % 3 == 2)]
    for count in (1, 7, 20, 1000):
        found = await pages(own_server, token, top, count)
        assert [name for names in found for name in names] == listed
        assert all(len(names) == count for names in found[:-1])
        assert found[-1], "no empty page tells that there is something more"
    assert (await page(own_server, token, top, offset=5, count=3))[0] == listed[5:8]
    assert (await page(own_server, token, top, offset=len(listed)))[0] == []
    # The administrator sees all of it.
    assert len((await page(own_server, None, top))[0]) == 60


async def test_a_cursor_may_point_to_what_is_hidden_or_gone(own_server: Server) -> None:
    top, token = await hospital(own_server, inherited="")
    for name in ("04", "06", "05x", "00", "zz"):
        found = await page(own_server, token, top, cursor=cursor(name), count=2)
        after = [f"{n:02}" for n in range(0, 60, 3) if f"{n:02}" > name]
        assert found == (after[:2], cursor(after[1]) if len(after) > 2 else None)
    names, behind = await page(own_server, token, top, count=2)
    await own_server.srm("rmdir", surl=f"{top}/{names[-1]}")
    assert (await page(own_server, token, top, count=1, cursor=behind))[0] == ["06"]


@pytest.mark.parametrize("cursor", ["", "=", "%", "AA", "Zg==", "Zh", "_w", "x" * 600, cursor("\0")])
async def test_what_is_no_cursor_is_refused(server: Server, cursor: str) -> None:
    tree = await server.srm("ls", surls=["/"], cursor=cursor, expect=400)
    assert tree.get("returnStatus", {}).get("statusCode", "SRM_INVALID_REQUEST") == "SRM_INVALID_REQUEST"


async def test_a_cursor_is_of_one_directory_and_takes_no_offset(server: Server) -> None:
    await server.srm("ls", surls=["/", "/"], cursor=cursor("a"), expect=400)
    await server.srm("ls", surls=["/"], cursor=cursor("a"), offset=1, expect=400)


async def test_a_token_lists_below_its_path_whatever_the_acls_there(own_server: Server) -> None:
    top, _ = await hospital(own_server, inherited="")
    name = "scoped"
    token = await own_server.token("lrg", path=f"{top}/04", name=name)
    await own_server.srm("ls", surls=[top], token=token, expect=404)
    await give(own_server, top, [rule(f"user:{name}", "lx")], [])
    assert (await page(own_server, token, top))[0] == ["04"]
    assert (await page(own_server, token, top, cursor=cursor("04")))[0] == []
    covering = await own_server.token("l", path=top)
    assert len((await page(own_server, covering, top))[0]) == 60


async def test_whose_acl_no_scope_opens_stays_hidden(own_server: Server) -> None:
    """A token names it, but not for listing; what it would inherit is open, what it has is not."""
    await give(own_server, "/", [rule("any:authenticated", "lx")])
    top = await own_server.directory()
    await directories(own_server, f"{top}/a", f"{top}/b")
    await give(own_server, f"{top}/a", [])
    token = await own_server.token("r", path=f"{top}/a")
    assert (await page(own_server, token, top))[0] == ["b"]


async def test_size_and_checksum_are_told_by_each_files_own_acl(own_server: Server) -> None:
    who, token = await user(own_server)
    await give(own_server, "/", [rule("any:authenticated", "x")])
    top = await own_server.directory()
    every = ["*", "identified"]
    await give(own_server, top, [rule(who, "xlri", every)])
    for number, name in enumerate(("inherits.dcm", "hides.dcm", "shows.dcm")):
        await own_server.put(f"{top}/{name}", made(seed=number))
    await give(own_server, f"{top}/hides.dcm", [rule(who, "lr")])
    await give(own_server, f"{top}/shows.dcm", [rule(who, "lri", ["identified"])])
    for view, told in (("", {"hides", "inherits", "shows"}), ("/@identified", {"inherits", "shows"})):
        line = (await own_server.srm("ls", token=token, surls=[view + top]))["files"][0]
        named = {child["path"].rpartition("/")[2][:-4]: child for child in line["subPaths"]}
        assert len(named) == 3
        for key in ("size", "checkSumValue", "viewState"):
            assert {name for name, child in named.items() if key in child} == told, (view, key)
        for name, child in named.items():
            (alone,) = (await own_server.srm("ls", token=token, surls=[f"{view}{top}/{name}.dcm"]))["files"]
            assert {k: v for k, v in alone.items() if k != "surl"} == child


async def test_one_answer_lists_so_many_entries_and_no_more(own_server: Server) -> None:
    top = await own_server.directory()
    async with own_server.house.database.transaction() as db:
        await db.execute(
            "insert into entries (parent, name, is_directory) select e.id, n::text, true"
            " from entries e, generate_series(1, 6000) n where e.name = $1",
            top[1:],
        )
    whole, refused = (await own_server.srm("ls", surls=[top, top], count=10_000))["files"]
    assert len(whole["subPaths"]) == 6000
    assert refused["status"]["statusCode"] == "SRM_INVALID_REQUEST"
    assert "subPaths" not in refused
    two = (await own_server.srm("ls", surls=[top, top], count=5000))["files"]
    assert [len(line["subPaths"]) for line in two] == [5000, 5000]
    assert all("nextCursor" in line for line in two)
