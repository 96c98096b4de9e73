"""Versions of views that a cohort pins: kept and given through it alone, until it goes, or they must not be given."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import pytest

from mdm_async.catalog.holdings import images
from mdm_async.dicom.scrub import REVISION
from mdm_async.images.reading import served
from mdm_async.postgres.database import Connection
from tests.backfilled import backfill, settled
from tests.conftest import Reply, Server
from tests.faults.conditions import until
from tests.web.test_rekeyed import nobody_reads_any_more, rekeyed


async def ask(server: Server, verb: str, token: str | None = None, **body: Any) -> Reply:
    return await server.call("POST", f"/cohorts/v1/{verb}", token=token or server.admin_token, json=body)


async def made(server: Server, cohort: str, files: list[str], **more: Any) -> Any:
    reply = await ask(server, "create", surl=cohort, files=files, **more)
    assert reply.status == 201, reply.body
    return reply.tree


async def members(server: Server, cohort: str, token: str | None = None) -> list[dict[str, Any]]:
    reply = await ask(server, "members", token, surl=cohort)
    assert reply.status == 200, reply.body
    found: list[dict[str, Any]] = reply.tree["members"]
    return found


async def prepared(server: Server, cohort: str, guid: str, expect: int = 200, **options: Any) -> Any:
    tree = await server.srm(
        "prepareToGet", expect=expect, files=[{"surl": f"guid:{guid}"}], cohort=cohort, **options
    )
    return tree["files"][0]


async def pulled(server: Server, cohort: str, guid: str, **options: Any) -> bytes:
    return await server.get((await prepared(server, cohort, guid, **options))["transferURL"])


async def swept(server: Server) -> None:
    await server.house.sweeper.sweep()


async def count(server: Server, statement: str) -> int:
    async with server.house.database.acquire() as db:
        return int(await db.fetchval(statement))


def newer_revision(monkeypatch: pytest.MonkeyPatch, *, security: bool = False) -> None:
    monkeypatch.setattr(served, "REVISION", REVISION + 1)
    if security:
        monkeypatch.setattr(served, "SECURITY_FLOOR", REVISION + 1)


async def pinned(server: Server, ct: bytes) -> tuple[str, bytes]:
    """A file of one cohort: its GUID and the bytes of its view."""
    guid = str((await server.put("/a.dcm", ct))["guid"])
    before = await server.read("/a.dcm")
    await made(server, "/cohort", ["/a.dcm"])
    return guid, before


async def test_a_pinned_version_outlives_its_making_anew_and_is_given_through_the_cohort_alone(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    guid, before = await pinned(own_server, ct)
    (told,) = await members(own_server, "/cohort")
    newer_revision(monkeypatch)
    assert await backfill(own_server) == 1
    own_server.cool()
    assert await count(own_server, "select count(*) from views where name = 'basic'") == 2
    assert await pulled(own_server, "/cohort", guid) == before
    line = await prepared(own_server, "/cohort", guid)
    own_server.cool()
    assert await own_server.get(line["transferURL"]) == before
    await own_server.read("/a.dcm")
    async with own_server.house.database.acquire() as db:
        version = await db.fetchval(
            "select version from grants where view = 'basic' and cohort is null order by created desc limit 1"
        )
    assert version.endswith(f".{REVISION + 1}")
    assert told["file"]["version"].endswith(f".{REVISION}")
    assert (await ask(own_server, "diff", surl="/cohort")).tree["changed"] == [guid]
    assert await count(own_server, "select count(*) from views_to_make") == 0


async def test_a_pinned_version_is_the_same_under_other_keys(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    guid, before = await pinned(own_server, ct)
    told = await members(own_server, "/cohort")
    newer_revision(monkeypatch)
    await backfill(own_server)
    line = await prepared(own_server, "/cohort", guid)
    now = await own_server.read("/a.dcm")
    assert (await rekeyed(own_server, "/a.dcm"))["changed"]
    await nobody_reads_any_more(own_server)
    own_server.cool()
    assert await own_server.get(line["transferURL"]) == before
    assert await pulled(own_server, "/cohort", guid) == before
    assert await own_server.read("/a.dcm") == now
    assert await members(own_server, "/cohort") == told


async def test_what_is_pinned_while_its_keys_change_is_sealed_under_none_from_before(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own_server.put("/a.dcm", ct)
    keep = images.keep

    async def after_a_change(db: Connection, some: Iterable[UUID]) -> set[UUID]:
        # As it would be seen by whoever had waited for the change.
        await db.execute("update images set registration = gen_random_uuid()")
        return await keep(db, some)

    monkeypatch.setattr(images, "keep", after_a_change)
    reply = await ask(own_server, "create", surl="/cohort", files=["/a.dcm"])
    assert reply.status != 201
    assert "keys of images were changed" in reply.tree["detail"]


async def test_a_deleted_cohort_lets_go_of_what_it_pinned(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    guid, before = await pinned(own_server, ct)
    newer_revision(monkeypatch)
    await backfill(own_server)
    line = await prepared(own_server, "/cohort", guid)
    assert await own_server.get(line["transferURL"]) == before
    assert (await ask(own_server, "delete", surl="/cohort")).status == 204
    async with own_server.http.get(line["transferURL"]) as over:
        assert over.status == 410
    assert (await ask(own_server, "show", surl="/cohort")).status == 404
    await swept(own_server)
    async with own_server.house.database.acquire() as db:
        await db.execute("update images set in_use_until = '-infinity'")
        await db.execute("update views_to_make set due = now()")
    await settled(own_server)
    assert await count(own_server, "select count(*) from views where name = 'basic'") == 1
    assert await count(own_server, "select count(*) from cohort_members") == 0
    assert await count(own_server, "select count(*) from cohorts") == 0
    assert await own_server.read("/a.dcm")


async def test_a_pinned_image_outlives_its_entry_and_its_destruction_is_the_cohorts(
    own_server: Server, ct: bytes
) -> None:
    guid, before = await pinned(own_server, ct)
    await own_server.srm("rm", surls=["/a.dcm"])
    await swept(own_server)
    assert await count(own_server, "select count(*) from images") == 1
    own_server.cool()
    assert await pulled(own_server, "/cohort", guid) == before
    assert (await ask(own_server, "diff", surl="/cohort")).tree["gone"] == [guid]
    assert (await ask(own_server, "delete", surl="/cohort")).status == 204
    await swept(own_server)
    assert await count(own_server, "select count(*) from images") == 0
    assert await count(own_server, "select count(*) from blobs") == 0


async def test_a_removed_directory_takes_its_cohorts_with_it(own_server: Server, ct: bytes) -> None:
    await own_server.srm("mkdir", surl="/study")
    await own_server.put("/a.dcm", ct)
    await made(own_server, "/study/one", ["/a.dcm"])
    await own_server.srm("rm", surls=["/a.dcm"])
    kept = await own_server.srm("rmdir", expect=409, surl="/study")
    assert kept["returnStatus"]["statusCode"] == "SRM_NON_EMPTY_DIRECTORY"
    await own_server.srm("rmdir", surl="/study", recursive=True)
    assert (await ask(own_server, "show", surl="/study/one")).status == 404
    await swept(own_server)
    assert await count(own_server, "select count(*) from images") == 0
    assert await count(own_server, "select count(*) from cohorts") == 0
    assert await count(own_server, "select count(*) from entries where parent is not null") == 0


async def test_a_security_revision_withdraws_what_is_pinned_and_the_cohort_says_so(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    guid, _ = await pinned(own_server, ct)
    line = await prepared(own_server, "/cohort", guid)
    newer_revision(monkeypatch, security=True)
    own_server.cool()
    async with own_server.http.get(line["transferURL"]) as stopped:
        assert stopped.status == 410
    refused = await prepared(own_server, "/cohort", guid, expect=409)
    assert "withdrawn by a revision for security's sake" in refused["status"]["explanation"]
    assert (await ask(own_server, "show", surl="/cohort")).tree["states"] == {"withdrawn": 1}
    await backfill(own_server)
    assert await count(own_server, "select count(*) from views where name = 'basic'") == 1
    (told,) = await members(own_server, "/cohort")
    assert told["state"] == "withdrawn"


async def test_what_is_shredded_ends_in_the_cohort_too_and_the_cohort_says_so(
    own_server: Server, ct: bytes
) -> None:
    guid, _ = await pinned(own_server, ct)
    line = await prepared(own_server, "/cohort", guid)
    # As a shredder does it: whatever points to the image.
    async with own_server.house.database.transaction() as db:
        await db.execute("delete from entries where image is not null")
        await db.execute("update images set doomed = now(), in_use_until = '-infinity'")
    own_server.house.changed.everything()
    await swept(own_server)
    assert await count(own_server, "select count(*) from images") == 0
    async with own_server.http.get(line["transferURL"]) as over:
        assert over.status == 410
    assert (await ask(own_server, "show", surl="/cohort")).tree["states"] == {"shredded": 1}
    (told,) = await members(own_server, "/cohort")
    assert told["state"] == "shredded"
    assert set(told["file"]) == {"digest"}
    gone = await prepared(own_server, "/cohort", guid, expect=410)
    assert "shredded" in gone["status"]["explanation"]


async def test_a_lost_part_of_a_pinned_version_costs_no_other_version(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    guid, before = await pinned(own_server, ct)
    newer_revision(monkeypatch)
    await backfill(own_server)
    async with own_server.house.database.acquire() as db:
        newest = await db.fetchval(
            "select parts[1] from views where name = 'basic' order by made desc limit 1"
        )
        await db.execute("delete from parts where id = $1", newest)
    reply = await own_server.call(
        "POST", "/admin/v1/fsck", token=own_server.admin_token, json={"repair": True}
    )
    assert [one["kind"] for one in reply.tree["findings"]] == ["lost part"]
    await settled(own_server)
    own_server.cool()
    assert await own_server.read("/a.dcm")
    assert await pulled(own_server, "/cohort", guid) == before


async def test_an_unfinished_cohort_is_given_up_and_pins_nothing(own_server: Server, ct: bytes) -> None:
    await pinned(own_server, ct)
    async with own_server.house.database.acquire() as db:
        await db.execute(
            "update cohorts set members = null, sealed = null, created = now() - interval '2 hours'"
        )
    assert (await ask(own_server, "show", surl="/cohort")).status == 404
    taken = await ask(own_server, "create", surl="/cohort", files=["/a.dcm"])
    assert taken.status == 409
    await own_server.house.sweeper._give_up()

    async def nothing_is_left() -> bool:
        return not await count(own_server, "select count(*) from cohort_members")

    await until(nothing_is_left)
