"""A directory at two sites: what follows, who may change it, and who stands in for whom."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from mdm_async.catalog.mirrors import mirrors
from mdm_async.client.second_site import SecondSite
from mdm_async.errors import Unavailable
from tests.conftest import Server
from tests.faults.conditions import until
from tests.faults.two_sites import Sites, admin, mirrored, readable, same_at_both, two_sites
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made


@pytest.fixture(scope="module")
async def sites(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sites]:
    """For all these tests: each has a directory, and a mirror, of its own."""
    async with two_sites(postgres, migrated, tmp_path_factory.mktemp("sites")) as sites:
        yield sites


async def test_what_is_there_and_what_comes_follows_until_the_second_is_promoted(
    sites: Sites, ct: bytes
) -> None:
    first, second = sites.first, sites.second
    await directories(first, "/one", "/one/a")
    await first.put("/one/a/one.dcm", ct)
    await mirrored(sites, "/one")
    await directories(first, "/one/b")
    await first.put("/one/b/two.dcm", made(seed=1))
    await sites.caught_up("one")

    for surl in ("/one/a/one.dcm", "/one/b/two.dcm"):
        await same_at_both(sites, surl, "identified")
        await same_at_both(sites, surl, "basic")
    for surl in ("/one", "/one/a", "/one/b", "/one/a/one.dcm", "/one/b/two.dcm"):
        assert await guid(first, surl) == await guid(second, surl)
    for why in (await refused(second, "mkdir", "/one/c"), await refused(second, "rm", "/one/a/one.dcm")):
        assert "mdm mirror promote one" in why
    ask = {"files": [{"surl": "/one/a/three.dcm"}]}
    assert "mdm mirror promote one" in str(await second.srm("prepareToPut", expect=None, **ask))
    reply = await second.call("PUT", "/dav/one/a/three.dcm", token=second.admin_token, data=made(seed=9))
    assert (reply.status, reply.tree["type"]) == (403, "urn:mdm:error:is-mirror")
    await directories(second, "/elsewhere")
    assert "mirror 'one'" in await refused(second, "mv", "/one")

    promoted = await admin(second, "POST", "/one/promote")
    assert (promoted["state"], promoted["epoch"]) == ("promoted", 2)
    await directories(second, "/one/c")

    async def is_fenced() -> bool:
        return bool((await sites.status("one"))["state"] == "fenced")

    await until(is_fenced)
    assert "was promoted" in await refused(first, "mkdir", "/one/d")
    await same_at_both(sites, "/one/a/one.dcm", "identified")
    await admin(first, "POST", "/one/stop", 409)
    await admin(first, "POST", "/one/stop", 204, diverge=True)
    await directories(first, "/one/d")


async def test_names_rights_profiles_and_pseudonyms_are_the_same_at_both(sites: Sites, ct: bytes) -> None:
    first, second = sites.first, sites.second
    await directories(first, "/two", "/two/a", "/two/projects")
    await profile(
        first, 'name = "cardio"\nproject = "cardio-2026"\noptions = ["retain_patient_characteristics"]\n'
    )
    await apply(first, "cardio", "/two/a")
    await first.put("/two/a/one.dcm", ct)
    await mirrored(sites, "/two")
    await sites.caught_up("two")
    for view in ("basic", "cardio"):
        await same_at_both(sites, "/two/a/one.dcm", view)

    # A name of the same image that gives one view; a move, a right, a removal, another version, another profile.
    link = {"surls": ["/two/a/one.dcm"], "target": "/two/projects", "view": "cardio"}
    reply = await first.call("POST", "/admin/v1/link", token=first.admin_token, json=link)
    linked = reply.tree["files"][0]["lfn"]
    await first.srm("mv", fromSURL="/two/a", toSURL="/two/b")
    rules = [{"principal": "any:authenticated", "rights": "rlx", "views": ["cardio"]}]
    await first.srm("setPermission", surls=["/two/b"], permissionType="ADD", rules=rules)
    await first.put("/two/b/two.dcm", made(seed=2))
    await first.put("/two/b/gone.dcm", made(seed=3))
    await first.srm("rm", surls=["/two/b/gone.dcm"])
    await first.put("/two/b/two.dcm", made(seed=4), overwrite=True)
    await profile(first, 'name = "cardio"\nproject = "cardio-2026"\n')
    await sites.caught_up("two")
    await same_at_both(sites, "/two/b/two.dcm", "identified")

    async def is_made_anew() -> bool:
        return all([await readable(first, surl, "cardio") for surl in (linked, "/two/b/one.dcm")])

    await until(is_made_anew)
    for surl in (linked, "/two/b/one.dcm"):
        await same_at_both(sites, surl, "cardio")
        assert await guid(first, surl) == await guid(second, surl)
    for surl in ("/two", "/two/b", "/two/b/one.dcm"):
        assert await rights(first, surl) == await rights(second, surl)
    for surl in ("/two/a", "/two/b/gone.dcm"):
        assert "SRM_INVALID_PATH" in str(await second.srm("ls", expect=None, surls=[surl]))


async def test_a_shred_follows_though_nothing_else_can_and_the_second_has_a_receipt(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sites.first, sites.second
    await directories(first, "/three")
    await first.put("/three/one.dcm", made(seed=31))
    await mirrored(sites, "/three")
    await sites.caught_up("three")
    expected = await readable(second, "/three/one.dcm", "identified")
    assert expected is not None

    with monkeypatch.context() as full:
        full.setattr(second.house.blobs, "free", nothing)
        await first.put("/three/late.dcm", made(seed=33))

        async def is_full() -> bool:
            return "no space" in str(await sites.status("three"))

        await until(is_full)
        await shred(first, "/three/one.dcm")

        async def is_gone() -> bool:
            return "SRM_INVALID_PATH" in str(await second.srm("ls", expect=None, surls=["/three/one.dcm"]))

        await until(is_gone)
        listed = await second.call("GET", "/admin/v1/shreds", token=second.admin_token)
        assert [one["by"] for one in listed.tree["shreds"]] == ["mirror:three"]
    await sites.caught_up("three")
    await same_at_both(sites, "/three/late.dcm", "identified")


async def test_a_full_second_is_waited_for_while_the_first_goes_on(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sites.first
    await directories(first, "/four")
    await first.put("/four/one.dcm", made(seed=41))
    with monkeypatch.context() as full:
        full.setattr(sites.second.house.blobs, "free", nothing)
        await mirrored(sites, "/four")

        async def is_told() -> bool:
            return "no space" in str((await sites.status("four"))["failure"])

        await until(is_told)
        assert (await sites.status("four"))["lag"]["waiting"] > 0
        await directories(first, "/four/goes-on")
    await sites.caught_up("four")
    await same_at_both(sites, "/four/one.dcm", "identified")
    assert await guid(first, "/four/goes-on") == await guid(sites.second, "/four/goes-on")


async def test_a_first_that_starts_takes_no_changes_until_the_second_is_heard(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sites.first
    await directories(first, "/seven")
    await mirrored(sites, "/seven")
    await sites.caught_up("seven")

    async def no_answer(*_: object) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as away:
        away.setattr(SecondSite, "hello", no_answer)
        async with first.house.database.transaction() as db:  # As when a node starts.
            await mirrors.distrust(db, first.house.node, 5)
        assert "has not said yet" in await refused(first, "mkdir", "/seven/a")

        async def is_told() -> bool:
            return "away" in str((await sites.status("seven"))["failure"])

        await until(is_told)
        assert "has not said yet" in await refused(first, "mkdir", "/seven/a")

    async def is_heard() -> bool:
        tree = await first.srm("mkdir", expect=None, surl="/seven/a")
        return bool(tree["returnStatus"]["statusCode"] == "SRM_SUCCESS")

    await until(is_heard)


async def test_what_is_done_at_the_first_is_in_the_audit_of_both(sites: Sites) -> None:
    first, second = sites.first, sites.second
    await directories(first, "/five")
    await mirrored(sites, "/five")
    await sites.caught_up("five")
    await first.put("/five/one.dcm", made(seed=51))
    await readable(first, "/five/one.dcm", "basic")
    of_file = await guid(first, "/five/one.dcm")

    async def acts(server: Server) -> dict[str, dict[str, object]]:
        async with server.house.database.acquire() as db:
            rows = await db.fetch("select act, details from audit where guid = $1", of_file)
        return {row["act"]: row["details"] for row in rows}

    async def has_followed() -> bool:
        return {"put", "prepare get", "mirror file"} <= (await acts(second)).keys()

    await until(has_followed)
    assert (await acts(second))["put"]["first"]["mirror"] == "five"  # type: ignore[index]
    assert "mirror send" in await acts(first)


async def test_a_mirrors_credential_opens_nothing_else(sites: Sites) -> None:
    second = sites.second
    accepted = await admin(second, "POST", "/six/accept", 201, path="/six")
    credential = accepted["credential"]
    reply = await second.call("GET", "/admin/v1/mirrors", token=credential)
    assert reply.status == 401
    assert (await second.srm("ls", token=credential, expect=None, surls=["/six"]))["returnStatus"][
        "statusCode"
    ] == "SRM_AUTHENTICATION_FAILURE"


async def nothing(payer: str | None = None) -> int:
    """What is free."""
    return 0


async def directories(server: Server, *surls: str) -> None:
    for surl in surls:
        await server.srm("mkdir", surl=surl)


async def guid(server: Server, surl: str) -> str:
    (line,) = (await server.srm("ls", surls=[surl], numOfLevels=0))["files"]
    return str(line["guid"])


async def rights(server: Server, surl: str) -> object:
    """The rules in force."""
    (line,) = (await server.srm("getPermission", surls=[surl]))["files"]
    return line["rules"]


async def refused(server: Server, operation: str, surl: str) -> str:
    """What a change is told that is not made."""
    named = {
        "mkdir": {"surl": surl},
        "rm": {"surls": [surl]},
        "mv": {"fromSURL": surl, "toSURL": f"{surl}-moved"},
    }[operation]
    tree = await server.srm(operation, expect=None, **named)
    assert tree["returnStatus"]["statusCode"] != "SRM_SUCCESS"
    return str(tree)


async def shred(server: Server, surl: str) -> None:
    asked = {"surls": [surl], "asAdministrator": True}
    looked = await server.call("POST", "/admin/v1/shred/look", token=server.admin_token, json=asked)
    assert looked.status == 200, looked.tree
    now = asked | {"id": str(uuid4()), "digest": looked.tree["digest"]}
    done = await server.call("POST", "/admin/v1/shred", token=server.admin_token, json=now)
    assert done.status < 300, done.tree


async def profile(server: Server, toml: str) -> None:
    added = await server.call("POST", "/admin/v1/profiles", token=server.admin_token, json={"toml": toml})
    assert added.status == 201, added.tree


async def apply(server: Server, name: str, surl: str) -> None:
    verb = f"/admin/v1/profiles/{name}/apply"
    applied = await server.call("POST", verb, token=server.admin_token, json={"surl": surl})
    assert applied.status == 202, applied.tree
