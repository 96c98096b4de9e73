"""`mdm keys rekey`: other keys for an image, the same bytes, and nobody who reads is disturbed."""

import io
import os
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydicom import dcmread

from mdm_async.catalog.holdings import generations
from mdm_async.catalog.holdings.generations import Keyed
from mdm_async.images.metadata.identified import identified_values
from mdm_async.images.names import taking
from mdm_async.images.parts import pacs_source
from mdm_async.images.parts.fresh_secrets import FreshSecrets
from mdm_async.images.upkeep.keys import end_superseded
from mdm_async.images.views.remaking import make_view
from mdm_async.keys.store import Secrets
from mdm_async.names import View
from mdm_async.postgres.database import Database
from tests.conftest import Server
from tests.images.one_step import caller
from tests.web.made_images import BLOB, INLINE, made
from tests.web.sealed_lines import PRIVATE, RECIPIENT, unsealed
from tests.web.test_profiles import add
from tests.web.test_registered import SOURCE, registered


async def keys(server: Server, verb: str, *surls: str, token: str | None = None, **more: Any) -> list[Any]:
    answer = await server.call(
        "POST",
        f"/admin/v1/keys/{verb}",
        token=token or server.admin_token,
        json={"surls": list(surls), **more},
    )
    found: list[Any] = answer.tree["files"]
    return found


def code(file: dict[str, Any]) -> str:
    return str(file["status"]["statusCode"])


async def rekeyed(server: Server, surl: str) -> dict[str, Any]:
    (file,) = await keys(server, "rekey", surl)
    assert code(file) == "SRM_SUCCESS", file
    found: dict[str, Any] = file
    return found


async def image_of(server: Server, surl: str) -> UUID:
    (file,) = await keys(server, "list", surl)
    async with server.house.database.acquire() as db:
        found: UUID = await db.fetchval(
            "select id from images where registration = $1", UUID(file["registration"])
        )
    return found


async def stored(server: Server, image: UUID) -> tuple[Keyed, Secrets | None]:
    """All that lies under an image's keys, and these."""
    async with server.house.database.snapshot() as db:
        found = await generations.keyed(db, image)
    fetched = await server.house.keys.fetch([found.registration], identity=True)
    return found, fetched.get(image)


async def count(database: Database, what: str, *arguments: object) -> int:
    async with database.acquire() as db:
        return int(await db.fetchval(f"select count(*) from {what}", *arguments))


async def original(server: Server, surl: str) -> bytes:
    """The identified view, which leaves sealed only."""
    token = await server.token("ri", views=["identified"])
    return unsealed(await server.read(surl, view="identified", recipient=RECIPIENT, token=token), PRIVATE)


async def nobody_reads_any_more(server: Server) -> None:
    """As a minute after the last reader of what lies under keys from before, whoever that was."""
    async with server.house.database.acquire() as db:
        await db.execute("update superseded_keys set due = now()")
    await server.house.sweeper.sweep()


@pytest.mark.parametrize(
    "file",
    [
        made(pixels=INLINE),
        made(pixels=BLOB),
        made(pixels=3 << 20, head=200_000),
        made(pixels=BLOB, deflated=True),
        made(pixels=None),
    ],
    ids=["inline", "blob", "large", "deflated", "without-pixels"],
)
async def test_other_keys_open_the_same_bytes(server: Server, file: bytes) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, file)
    image = await image_of(server, surl)
    before, old = await stored(server, image)
    url = (await server.prepare(surl))["transferURL"]
    view = await server.call("GET", url)
    done = await rekeyed(server, surl)
    assert (done["generation"], done["changed"]) == (2, True)
    after, new = await stored(server, image)
    assert (done["registration"], after.generation) == (str(after.registration), 2)
    assert old is not None
    assert new is not None
    assert {old.image, old.identity}.isdisjoint({new.image, new.identity})
    again = await server.call("GET", url)
    assert (again.body, again.headers["ETag"]) == (view.body, view.headers["ETag"])
    assert await original(server, surl) == file
    for was, now in zip(before.parts, after.parts, strict=True):
        assert (was.id, was.cipher_size) == (now.id, now.cipher_size)
        assert was.salt != now.salt
        assert was.cipher_adler != now.cipher_adler
        assert now.blob is None or now.blob != was.blob
    for was_, now_ in zip(before.views, after.views, strict=True):
        assert was_.record != now_.record
        assert (was_.report is None) == (now_.report is None)
    (told,) = await keys(server, "list", surl)
    assert (told["generation"], told["stores"]) == (2, {"catalog": True})


async def test_what_there_was_goes_when_nobody_reads_it_any_more(server: Server) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made(pixels=BLOB))
    image = await image_of(server, surl)
    before, _ = await stored(server, image)
    view = await server.read(surl)
    await rekeyed(server, surl)
    await server.house.sweeper.sweep()
    database, old = server.house.database, before.registration
    blobs = generations.blobs_of(before.parts)
    assert blobs
    assert await count(database, "mdm_keys.image_secrets where registration = $1", old) == 2
    assert await count(database, "blobs where id = any($1) and state = 'stored'", blobs) == len(blobs)
    await nobody_reads_any_more(server)
    assert await count(database, "mdm_keys.image_secrets where registration = $1", old) == 0
    assert await count(database, "superseded_keys where image = $1", image) == 0
    assert await count(database, "blobs where id = any($1)", blobs) == 0
    assert [await server.house.blobs.size(blob) for blob in blobs] == [None] * len(blobs)
    assert await server.read(surl) == view
    report = await server.call("POST", "/admin/v1/fsck", token=server.admin_token, json={})
    assert not [one for one in report.tree["findings"] if one["image"] == str(image)]


async def test_it_takes_the_right_w_and_what_one_may_not_list_is_not_there(server: Server) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made())
    await server.srm("mkdir", surl=f"{directory}/d")
    image = await image_of(server, surl)
    before, _ = await stored(server, image)
    token = await server.token("pdrlxgsi", directory)
    assert code((await keys(server, "rekey", surl, token=token))[0]) == "SRM_AUTHORIZATION_FAILURE"
    elsewhere = await server.token("pdrwlxgsi", await server.directory())
    hidden, absent = await keys(server, "rekey", surl, f"{surl}.not", token=elsewhere)
    assert hidden["status"] == absent["status"]
    assert (await stored(server, image))[0] == before
    writer = await server.token("wlx", directory)
    folder, missing, done = await keys(server, "rekey", f"{directory}/d", f"{surl}.not", surl, token=writer)
    assert (code(folder), code(missing)) == ("SRM_INVALID_REQUEST", "SRM_INVALID_PATH")
    assert (code(done), done["generation"]) == ("SRM_SUCCESS", 2)
    assert (
        await count(
            server.house.database,
            "audit where act = 'keys rekey' and guid = $1 and details @> '{\"generation\": 2}'",
            UUID(done["guid"]),
        )
        == 1
    )


async def test_keys_so_new_that_readers_may_have_those_before_are_left(server: Server) -> None:
    directory = await server.directory()
    surl, other = f"{directory}/a.dcm", f"{directory}/b.dcm"
    await server.put(surl, made())
    copied = await server.call(
        "COPY", f"/dav{surl}", token=server.admin_token, headers={"Destination": f"/dav{other}"}
    )
    assert copied.status == 201
    one, two = await keys(server, "rekey", surl, other)
    assert (one["changed"], two["changed"]) == (True, False)
    assert (one["registration"], two["generation"]) == (two["registration"], 2)
    assert one["guid"] != two["guid"]
    assert not (await rekeyed(server, surl))["changed"]
    await nobody_reads_any_more(server)
    assert (await rekeyed(server, other))["generation"] == 3


async def test_what_was_cut_off_is_gone_on_with(server: Server) -> None:
    directory = await server.directory()
    surls = [f"{directory}/{n}.dcm" for n in range(3)]
    for n, surl in enumerate(surls):
        await server.put(surl, made(seed=n))
    async with server.house.database.acquire() as db:
        await db.execute("update images set created = created - interval '1 hour'")
        begun = await db.fetchval("select now()")
    assert (await rekeyed(server, surls[1]))["changed"]
    await nobody_reads_any_more(server)
    done = await keys(server, "rekey", *surls, before=begun.isoformat())
    assert [one["changed"] for one in done] == [True, False, True]
    assert {one["generation"] for one in done} == {2}


async def test_a_file_without_bytes_has_other_keys_too_and_a_lost_one_has_none(server: Server) -> None:
    _, surl = await registered(server)
    image = await image_of(server, surl)
    before, _ = await stored(server, image)
    assert (await rekeyed(server, surl))["locality"] == "NEARLINE"
    after, secrets = await stored(server, image)
    assert secrets is not None
    assert before.source is not None
    assert after.source is not None
    assert before.source[1] != after.source[1]
    assert secrets.identity is not None
    id_, sealed = after.source
    assert pacs_source.unseal(sealed, secrets.identity, image, id_) == SOURCE
    lost = f"{await server.directory()}/a.dcm"
    await server.put(lost, made())
    token = await server.token("pdrwlxgsi", lost.rpartition("/")[0])
    assert code((await keys(server, "unregister", lost, token=token))[0]) == "SRM_SUCCESS"
    (told,) = await keys(server, "rekey", lost)
    assert (code(told), "lost" in told["status"]["explanation"]) != ("SRM_SUCCESS", False)


async def test_what_is_not_dicom_has_other_keys_too(server: Server) -> None:
    directory = await server.directory()
    await taking.set_taking(server.house.database, await caller(server), directory, {"opaque": True})
    for name, data in (("small", b"notes"), ("large", bytes(range(256)) * 8000)):
        await server.put(f"{directory}/{name}", data)
        assert (await rekeyed(server, f"{directory}/{name}"))["changed"]
        assert await server.read(f"{directory}/{name}") == data


async def test_what_an_original_says_is_opened_by_the_keys_of_today(server: Server) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made())
    house, image = server.house, await image_of(server, surl)
    before = await identified_values(house.database, house.keys, house.cipher, [image])
    assert before[image]["PatientID"] == ["made-0"]
    await rekeyed(server, surl)
    await nobody_reads_any_more(server)
    assert await identified_values(house.database, house.keys, house.cipher, [image]) == before


async def test_a_view_that_is_refused_or_not_made_is_made_under_the_keys_of_today(server: Server) -> None:
    name = f"late{os.urandom(3).hex()}"
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made(pixels=BLOB))
    await rekeyed(server, surl)
    await nobody_reads_any_more(server)
    await add(server, f'name = "{name}"\n[[pixels]]\nwhen = {{ Modality = "CT" }}\nblank = [[0, 0, 1, 1]]\n')
    house = server.house
    async with house.database.acquire() as db:
        await house.views.refresh(db, now=True)
    served = house.views.get(View(name))
    assert served is not None
    assert await make_view(house.workshop, house.shelf, served, await image_of(server, surl))
    blanked = dcmread(io.BytesIO(await server.read(surl, view=name)))
    assert blanked.PixelData[:2] == bytes(2)
    assert (await rekeyed(server, surl))["generation"] == 3
    assert dcmread(io.BytesIO(await server.read(surl, view=name))) == blanked


async def test_a_damaged_image_keeps_its_keys_and_all_else(server: Server) -> None:
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made(pixels=BLOB))
    image = await image_of(server, surl)
    before, _ = await stored(server, image)
    (blob,) = generations.blobs_of(before.parts)
    path = next(path for path in server.data.rglob(f"*{blob.hex[2:]}*") if path.is_file())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    blobs = await count(server.house.database, "blobs")
    (told,) = await keys(server, "rekey", surl)
    assert code(told) != "SRM_SUCCESS"
    assert (await stored(server, image))[0] == before
    assert await count(server.house.database, "blobs") == blobs
    assert await count(server.house.database, "mdm_keys.image_secrets where image = $1", image) == 2


async def test_keys_that_wait_for_their_readers_are_destroyed_with_those_of_today(server: Server) -> None:
    for verb in ("unregister", "shred", "rm"):
        directory = await server.directory()
        surl = f"{directory}/a.dcm"
        await server.put(surl, made(pixels=BLOB))
        image = await image_of(server, surl)
        before, _ = await stored(server, image)
        await rekeyed(server, surl)
        token = await server.token("pdrwlxgsi", directory)
        if verb == "unregister":
            assert code((await keys(server, "unregister", surl, token=token))[0]) == "SRM_SUCCESS"
        elif verb == "rm":
            await server.srm("rm", surls=[surl], token=token)
        else:
            wanted = {"surls": [surl]}
            found = await server.call("POST", "/admin/v1/shred/look", token=token, json=wanted)
            shred = {**wanted, "id": str(uuid4()), "digest": found.tree["digest"]}
            done = await server.call("POST", "/admin/v1/shred", token=token, json=shred)
            assert done.tree["state"] == "destroyed", done.tree
        if verb == "rm":
            await server.house.sweeper.sweep()
        database = server.house.database
        assert await count(database, "mdm_keys.image_secrets where image = $1", image) == 0, verb
        assert await count(database, "superseded_keys where image = $1", image) == 0, verb
        await server.house.sweeper.sweep()
        blobs = generations.blobs_of(before.parts)
        assert [await server.house.blobs.size(blob) for blob in blobs] == [None] * len(blobs), verb


async def test_keys_from_before_that_a_store_still_has_are_destroyed_by_a_shred(server: Server) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made())
    image, house = await image_of(server, surl), server.house
    before, _ = await stored(server, image)
    await rekeyed(server, surl)
    async with house.database.acquire() as db:
        await db.execute("update superseded_keys set due = now() where image = $1", image)
    await end_superseded(house.database, house.node)
    # They wait to be forgotten now, as while a store is away.
    old = "mdm_keys.image_secrets where registration = $1"
    assert await count(house.database, old, before.registration) == 2
    token, wanted = await server.token("pdrwlxgsi", directory), {"surls": [surl]}
    found = await server.call("POST", "/admin/v1/shred/look", token=token, json=wanted)
    shred = {**wanted, "id": str(uuid4()), "digest": found.tree["digest"]}
    done = await server.call("POST", "/admin/v1/shred", token=token, json=shred)
    assert done.tree["state"] == "destroyed", done.tree
    assert await count(house.database, old, before.registration) == 0


async def test_an_image_whose_keys_are_destroyed_meanwhile_is_given_none(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made())
    image, announce = await image_of(server, surl), FreshSecrets.announce
    token = await server.token("pdrwlxgsi", directory)

    async def after_unregistering(fresh: FreshSecrets) -> None:
        monkeypatch.setattr(FreshSecrets, "announce", announce)
        assert code((await keys(server, "unregister", surl, token=token))[0]) == "SRM_SUCCESS"
        await announce(fresh)

    monkeypatch.setattr(FreshSecrets, "announce", after_unregistering)
    (told,) = await keys(server, "rekey", surl, token=token)
    assert "lost" in told["status"]["explanation"], told
    assert await count(server.house.database, "mdm_keys.image_secrets where image = $1", image) == 0
