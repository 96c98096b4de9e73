"""Views made, dropped, applied and linked at the same time, and by nodes that know of different profiles."""

import asyncio

import pytest

from mdm_async.catalog.holdings import images
from mdm_async.errors import Gone
from mdm_async.images.reading import served
from mdm_async.images.views.remaking import make_view
from tests.backfilled import backfill
from tests.conftest import Server
from tests.faults.conditions import until
from tests.web.made_images import made
from tests.web.test_profiles import BLANKING, add, applied, ask, opened, ultrasound


async def image_of(server: Server) -> object:
    async with server.house.database.acquire() as db:
        return await db.fetchval("select image from entries where image is not null limit 1")


async def test_a_replaced_profile_makes_nothing_any_more(own_server: Server, ct: bytes) -> None:
    await add(own_server, 'name = "p"\noptions = ["retain_patient_characteristics"]\n')
    await applied(own_server, "p", "/")
    old = own_server.house.views.get("p")
    await add(own_server, 'name = "p"\n')
    await own_server.put("/a.dcm", ct)
    line = await own_server.prepare("/a.dcm", view="p")
    assert (
        await make_view(own_server.house.workshop, own_server.house.shelf, old, await image_of(own_server))
        is False
    )
    own_server.cool()
    assert "PatientAge" not in opened(await own_server.get(line["transferURL"]))


async def test_nodes_of_two_revisions_do_not_undo_each_others_work(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own_server.put("/a.dcm", ct)
    older = served.REVISION
    monkeypatch.setattr(served, "REVISION", older + 1)
    assert await backfill(own_server) == 1
    monkeypatch.setattr(served, "REVISION", older)
    assert await backfill(own_server) == 0
    async with own_server.house.database.acquire() as db:
        versions = await db.fetch("select version from views where name = 'basic'")
    assert [row["version"].partition(".")[2] for row in versions] == [str(older + 1)]


async def test_pixels_that_go_while_a_view_is_made_of_them_are_made_again(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(own_server, BLANKING)
    await applied(own_server, "sono", "/")
    await own_server.put("/us.dcm", ultrasound())
    await add(own_server, BLANKING.replace('"sono"', '"other"'))
    lock = images.lock

    async def after_the_other_has_gone(db: object, image: object) -> None:
        monkeypatch.setattr(images, "lock", lock)
        async with own_server.house.database.transaction() as other:
            await other.execute("delete from views where name = 'sono'")
            await other.execute("delete from parts where variant like 'cleaned-%'")
        await lock(db, image)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "lock", after_the_other_has_gone)
    other = own_server.house.views.get("other")
    assert (
        await make_view(own_server.house.workshop, own_server.house.shelf, other, await image_of(own_server))
        is False
    )
    assert (
        await make_view(own_server.house.workshop, own_server.house.shelf, other, await image_of(own_server))
        is True
    )
    assert opened(await own_server.read("/us.dcm", view="other")).PixelData[:80] == bytes(80)


async def test_two_profiles_applied_at_once_are_both_applied(own_server: Server) -> None:
    names = [f"p{number}" for number in range(6)]
    for name in names:
        await add(own_server, f'name = "{name}"\n')
    await asyncio.gather(*(ask(own_server, name, "apply", 202, surl="/") for name in names))
    async with own_server.house.database.acquire() as db:
        views = await db.fetchval("select views from entries where parent is null")
    assert set(views) == {"basic", *names}


async def test_two_links_at_once_wait_for_each_other(own_server: Server) -> None:
    await own_server.srm("mkdir", surl="/target")
    files = [f"/{number}.dcm" for number in range(20)]
    for number, surl in enumerate(files):
        await own_server.put(surl, made(seed=number))
    body = {"target": "/target", "view": "basic"}
    replies = await asyncio.gather(
        *(
            own_server.call(
                "POST", "/admin/v1/link", token=own_server.admin_token, json=body | {"surls": some}
            )
            for some in (files, files[::-1], files)
        )
    )
    assert [reply.status for reply in replies] == [200, 200, 200]
    linked = [{one["surl"]: one["guid"] for one in reply.tree["files"]} for reply in replies]
    assert linked[0] == linked[1] == linked[2]


async def test_a_projects_images_get_new_views_when_the_hospitals_entries_have_gone(
    own_server: Server, ct: bytes
) -> None:
    for directory in ("/hospital", "/project"):
        await own_server.srm("mkdir", surl=directory)
    await add(own_server, 'name = "p"\n')
    await applied(own_server, "p", "/hospital")
    await own_server.put("/hospital/a.dcm", ct)
    body = {"surls": ["/hospital/a.dcm"], "target": "/project", "view": "p"}
    reply = await own_server.call("POST", "/admin/v1/link", token=own_server.admin_token, json=body)
    (entry,) = reply.tree["files"]
    await own_server.srm("rm", surls=["/hospital/a.dcm"])
    await add(own_server, 'name = "p"\noptions = ["retain_patient_characteristics"]\n')
    await backfill(own_server)
    assert opened(await own_server.read(entry["lfn"])).PatientAge


async def test_a_key_is_kept_before_it_is_used(own_server: Server) -> None:
    """What a failing request has made would be a key that no other node has."""
    async with own_server.house.database.acquire() as db:
        await db.execute(
            "insert into profiles (name, source, digest, added_by) values ('p', 'name = \"p\"', 'x', 'somebody')"
        )

    async def is_missing() -> bool:
        """503 while the profile that came from elsewhere is being loaded."""
        wanted = {"surl": "/missing"}
        token = own_server.admin_token
        reply = await own_server.call("POST", "/admin/v1/profiles/p/apply", token=token, json=wanted)
        assert reply.status in (404, 503), reply.body
        return reply.status == 404

    await until(is_missing)
    assert own_server.house.views.get("p") is None
    await add(own_server, 'name = "p"\n')
    keys = await own_server.house.keys.project_keys(["p"])
    assert own_server.house.views.get("p").key == keys["p"]


async def test_an_image_that_goes_meanwhile_is_no_failure(own_server: Server, ct: bytes) -> None:
    await own_server.put("/a.dcm", ct)
    image = await image_of(own_server)
    await own_server.srm("rm", surls=["/a.dcm"])
    with pytest.raises(Gone):
        async with own_server.house.database.transaction() as db:
            await images.lock(db, image)  # type: ignore[arg-type]
    basic = own_server.house.views.get("basic")
    assert await make_view(own_server.house.workshop, own_server.house.shelf, basic, image) is False


async def test_fsck_finds_a_view_that_has_lost_a_part_and_has_it_made_again(
    own_server: Server, ct: bytes
) -> None:
    await own_server.put("/a.dcm", ct)
    async with own_server.house.database.acquire() as db:
        await db.execute("delete from parts where kind = 'head' and secret = 'image'")
    for repair in (False, True):
        reply = await own_server.call(
            "POST", "/admin/v1/fsck", token=own_server.admin_token, json={"repair": repair}
        )
        (finding,) = reply.tree["findings"]
        assert (finding["kind"], finding["repaired"]) == ("lost part", repair)
    await backfill(own_server)
    assert await own_server.read("/a.dcm")
