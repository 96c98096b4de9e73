"""What happens between looking and doing."""

import asyncio

import pytest

from tests.attack.arena import rule
from tests.attack.yard import User, Yard
from tests.faults.conditions import until
from tests.web.made_images import made


async def revoke(user: User) -> None:
    answer = await user.server.call("DELETE", f"/admin/v1/tokens/{user.name}", token=user.server.admin_token)
    assert answer.status == 204


@pytest.mark.parametrize("how", ["token", "acl"])
async def test_a_url_granted_in_a_race_with_a_revocation_is_dead_soon_after(yard: Yard, how: str) -> None:
    """A hundred times each: whatever wins, nothing is served for long once the revocation was committed."""
    file = await yard.file("a.dcm")
    rounds = 100
    users = [await yard.user("xr" if how == "token" else "") for _ in range(rounds)]
    reading = [one.may("xr") for one in users]
    await yard.set(yard.path, *reading)
    urls: list[str] = []

    async def ask(user: User) -> None:
        for _ in range(2):
            answer = await user.get(file)
            if answer.status == 200:
                urls.append(answer.tree["files"][0]["transferURL"])

    for start in range(0, rounds, 10):
        some = users[start : start + 10]
        asking = [asyncio.create_task(ask(one)) for one in some]
        await asyncio.sleep(0.001 * (start % 7))
        if how == "token":
            await asyncio.gather(*(revoke(one) for one in some))
        else:
            await yard.set(yard.path, *reading[start + 10 :], rule("any:anonymous", "x"))
        await asyncio.gather(*asking)
    assert urls

    async def all_are_gone() -> bool:
        answers = await asyncio.gather(*(yard.server.call("GET", url) for url in urls))
        return {answer.status for answer in answers} == {410}

    await until(all_are_gone)


async def test_what_is_hidden_while_it_is_listed_is_listed_as_it_was_or_not_at_all(yard: Yard) -> None:
    """A listing never shows an entry by the ACL of another moment: size and checksum without the right to them."""
    reader = await yard.user()
    directory = await yard.directory("d", reader.may("xl"))
    done = asyncio.Event()

    async def make() -> None:
        for i in range(25):
            path = f"{directory}/hidden{i}"
            await yard.server.srm("mkdir", surl=yard / f"made{i}")
            await yard.set(yard / f"made{i}", rule("user:somebody-else", "l"))
            await yard.server.srm("mv", fromSURL=yard / f"made{i}", toSURL=path)
        done.set()

    async def watch() -> None:
        while not done.is_set():
            answer = await reader.srm("ls", surls=[directory])
            assert b"hidden" not in answer.body

    async with asyncio.TaskGroup() as group:
        group.create_task(make())
        for _ in range(3):
            group.create_task(watch())


async def test_a_right_taken_during_a_recursive_change_is_not_given_back(yard: Yard) -> None:
    user = await yard.user()
    await yard.set(yard.path, user.may("xlp"))
    for i in range(10):
        await yard.directory(f"d{i}", user.may("xlp"))

    async def give() -> None:
        for _ in range(20):
            await user.srm(
                "setPermission",
                surls=[yard.path],
                permissionType="ADD",
                rules=[user.may("rl")],
                recursive=True,
            )

    async def take() -> None:
        await asyncio.sleep(0.02)
        for i in range(10):
            await yard.set(yard / f"d{i}", rule("user:somebody-else", "xlp"))
        await yard.set(yard.path, rule("user:somebody-else", "xlp"))

    await asyncio.gather(give(), take())
    assert not await user.sees(yard.path)
    for i in range(10):
        assert not await user.sees(yard / f"d{i}")


async def test_moves_and_changes_of_rights_at_once_leave_nothing_open(yard: Yard) -> None:
    """A file goes to and fro between a closed and an open directory; who may read the open one never reads it."""
    reader = await yard.user()
    await yard.directory("closed", rule("user:somebody-else", "xrl"))
    await yard.directory("open", reader.may("xrl"))
    await yard.file("closed/a.dcm")
    done = asyncio.Event()

    async def carry() -> None:
        for _ in range(15):
            await yard.server.srm("mv", fromSURL=yard / "closed/a.dcm", toSURL=yard / "open/a.dcm")
            await yard.server.srm("mv", fromSURL=yard / "open/a.dcm", toSURL=yard / "closed/a.dcm")
        done.set()

    async def look() -> None:
        while not done.is_set():
            for where in ("open/a.dcm", "closed/a.dcm"):
                assert not await reader.reads(yard / where)

    await asyncio.gather(carry(), look())


async def test_an_upload_that_lost_its_right_meanwhile_gets_no_name(yard: Yard) -> None:
    for _ in range(10):
        user = await yard.user()
        await yard.set(yard.path, user.may("xw"))
        surl = yard / f"{user.name}.dcm"
        tree = (await user.srm("prepareToPut", files=[{"surl": surl}])).tree
        await yard.server.call("PUT", tree["files"][0]["transferURL"], data=made())
        took = asyncio.Event()

        async def take(took: asyncio.Event = took) -> None:
            await yard.set(yard.path, rule("user:somebody-else", "xw"))
            took.set()

        taking = asyncio.create_task(take())
        await took.wait()
        answer = await user.srm("putDone", requestToken=tree["requestToken"], surls=[surl])
        await taking
        assert answer.status in (403, 404)
        assert not await yard.there(surl)


async def test_two_nodes_end_a_reader(yard: Yard) -> None:
    """The other node knows of it only by Postgres."""
    import shutil

    from tests.conftest import running_server

    one = yard.server
    folder = one.data.parent / "other-node"
    (folder).mkdir(mode=0o700, exist_ok=True)
    shutil.copytree(one.data / "secrets", folder / "secrets", dirs_exist_ok=True)
    if not (folder / "blobs").exists():
        (folder / "blobs").symlink_to(one.data / "blobs")
    async with running_server(folder, one.dsn, blobs={"shared": True}) as other:
        for how in ("token", "acl"):
            user = await yard.user("xr" if how == "token" else "")
            await yard.set(yard.path, user.may("xr"))
            file = await yard.file(f"{how}.dcm")
            url = (await user.url(file)).replace(one.url, other.url)
            assert (await other.call("GET", url)).status == 200
            if how == "token":
                await revoke(user)
            else:
                await yard.set(yard.path, rule("any:anonymous", "x"))

            async def gone(url: str = url) -> bool:
                return (await other.call("GET", url)).status == 410

            await until(gone)
            headers = {"Authorization": f"Bearer {user.token}"}
            answer = await other.call(
                "POST", "/srm/v2/prepareToGet", json={"files": [{"surl": file}]}, headers=headers
            )
            assert answer.status in (401, 404)
