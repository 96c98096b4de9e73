"""Shredding images by their names: what it takes, what goes, what is told."""

import asyncio
from uuid import uuid4

import aiohttp
import pytest

from tests.conftest import Server
from tests.faults.conditions import until
from tests.web.made_images import BLOB, made
from tests.web.shredding.conftest import Shred, image_of, rows


async def test_everything_of_an_image_is_gone_when_the_answer_comes(server: Server, shred: Shred) -> None:
    directory = await server.directory()
    token = await server.token("pdrwlxgsi", directory)
    surl = f"{directory}/a.dcm"
    await server.put(surl, made(pixels=BLOB, seed=501, head=70_000))
    image = await image_of(server, surl)
    async with server.house.database.acquire() as db:
        registration = await db.fetchval("select registration from images where id = $1", image)
        blobs = [
            row["blob"]
            for row in await db.fetch("select blob from parts where image = $1 and blob is not null", image)
        ]
        said = await db.fetchval("select series from view_attributes where image = $1", image)
    assert blobs
    assert said is not None
    url = (await server.prepare(surl, token=token))["transferURL"]
    await server.get(url)

    done = await shred.do(surl, token=token)
    assert done["state"] == "destroyed"
    assert await rows(server, "images where id = $1", image) == 0
    assert await rows(server, "parts where image = $1", image) == 0
    assert await rows(server, "views where image = $1", image) == 0
    assert await rows(server, "entries where image = $1", image) == 0
    for table in ("view_attributes", "original_attributes", "blind_values"):
        assert await rows(server, f"{table} where image = $1", image) == 0
    await until(lambda: _is_unsaid(server, said))
    assert await rows(server, "blobs where id = any($1::uuid[])", blobs) == 0
    assert [await server.house.blobs.size(blob) for blob in blobs] == [None] * len(blobs)
    assert await rows(server, "mdm_keys.image_secrets where registration = $1", registration) == 0
    assert (
        await rows(server, "grants where image = $1 and (secret is not null or state = 'pinned')", image) == 0
    )
    async with server.http.get(url) as answer:
        assert answer.status == 410
    await server.srm("ls", surls=[surl], expect=404)


async def _is_unsaid(server: Server, series: int) -> bool:
    return await rows(server, "meta_sets where id = $1", series) == 0


async def test_looking_changes_nothing_and_counts_what_would_go(server: Server, shred: Shred) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made(pixels=BLOB, seed=502))
    token = await server.token("pdrwlxgsi", directory)
    await server.read(surl, token=token)
    found = await shred.look(surl, token=token)
    assert (found["images"], found["entries"], found["hidden"], found["barred"]) == (1, 1, 0, 0)
    assert found["blobs"] >= 1
    assert found["bytes"] > BLOB
    assert found["transferURLs"] == 1
    assert found["deliveredTo"] == 1
    assert await server.read(surl, token=token)


@pytest.mark.parametrize("rights", ["prwlxgsi", "pdrwlxgs"])
async def test_without_both_rights_it_is_refused(server: Server, shred: Shred, rights: str) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made(seed=503))
    token = await server.token(rights, directory)
    assert (await shred.try_look(surl, token=token)).status == 403
    answer = await shred.try_do(surl, token=token, digest="0" * 64)
    assert answer.status == 403
    assert await server.read(surl)


async def _linked(server: Server, source: str) -> str:
    """A research project's own entry of an image."""
    project = await server.directory()
    answer = await server.call(
        "POST",
        "/admin/v1/link",
        token=server.admin_token,
        json={"surls": [source], "target": project, "view": "basic"},
    )
    assert answer.status == 200, answer.body
    return project


async def test_another_projects_entry_is_counted_and_bars_who_has_no_rights_there(
    server: Server, shred: Shred
) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made(seed=504))
    project = await _linked(server, surl)
    token = await server.token("pdrwlxgsi", directory)
    found = await shred.look(surl, token=token)
    assert (found["images"], found["entries"], found["hidden"], found["barred"]) == (1, 2, 1, 1)
    answer = await shred.try_do(surl, token=token, digest=found["digest"])
    assert answer.status == 403
    assert project not in answer.body.decode()
    assert await server.read(surl)


@pytest.mark.parametrize(("rights", "barred"), [("xlgi", 1), ("xlgd", 1), ("xlgdi", 0)])
async def test_another_entry_bars_who_has_but_one_of_the_rights_there(
    own_server: Server, rights: str, barred: int
) -> None:
    server, shred, name = own_server, Shred(own_server), "shredder"
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made(seed=505))
    project = await _linked(server, surl)
    token = await server.token("pdrwlxgsi", directory, name=name)
    listed = await server.srm("ls", surls=[project])
    (entry,) = listed["files"][0]["subPaths"]
    for path, given in (("/", "x"), (project, rights), (entry["path"], rights)):
        rules = [{"principal": f"user:{name}", "rights": given}]
        await server.srm("setPermission", surls=[path], permissionType="ADD", rules=rules)
    found = await shred.look(surl, token=token)
    assert (found["entries"], found["hidden"], found["barred"]) == (2, 0, barred)
    answer = await shred.try_do(surl, token=token, digest=found["digest"])
    assert answer.status == (403 if barred else 200)


async def test_rights_on_every_entry_suffice_also_where_a_project_shows_no_identity(
    server: Server, shred: Shred
) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made(seed=505))
    project = await _linked(server, surl)
    image = await image_of(server, surl)
    assert await rows(server, "entries where image = $1 and only_view = 'basic'", image) == 1
    assert (await server.srm("ls", surls=[project]))["returnStatus"]["statusCode"] == "SRM_SUCCESS"
    token = await server.token("pdrwlxgsi")
    done = await shred.do(surl, token=token)
    assert done["state"] == "destroyed"
    assert await rows(server, "entries where image = $1", image) == 0


async def test_an_administrator_takes_it_by_a_grant_that_is_audited(server: Server, shred: Shred) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made(seed=506))
    assert (await shred.try_look(surl)).status == 403
    done = await shred.do(surl, asAdministrator=True)
    assert done["asAdministrator"]
    assert await rows(server, "audit where act = 'shred grant'") >= 2
    token = await server.token("pdrwlxgsi", directory)
    assert (await shred.try_look(surl, token=token, asAdministrator=True)).status == 403


async def test_what_has_changed_since_it_was_looked_at_is_not_shredded(server: Server, shred: Shred) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made(seed=507))
    token = await server.token("pdrwlxgsi")
    digest = (await shred.look(surl, token=token))["digest"]
    await _linked(server, surl)
    answer = await shred.try_do(surl, token=token, digest=digest)
    assert answer.status == 409
    assert answer.tree["type"] == "urn:mdm:error:conflict"
    assert await server.read(surl)


async def test_asked_again_under_the_same_id_it_does_nothing_and_answers_the_same(
    server: Server, shred: Shred
) -> None:
    directory = await server.directory()
    surl, other = f"{directory}/a.dcm", f"{directory}/b.dcm"
    await server.put(surl, made(seed=508))
    await server.put(other, made(seed=509))
    token = await server.token("pdrwlxgsi", directory)
    digest, id_ = (await shred.look(surl, token=token))["digest"], str(uuid4())
    answers = [await shred.try_do(surl, token=token, digest=digest, id=id_) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.tree["id"] for answer in answers] == [id_, id_]
    assert await server.read(other, token=token)
    stranger = await server.token("pdrwlxgsi", directory)
    assert (await shred.try_do(other, token=stranger, digest=digest, id=id_)).status == 409


async def test_a_running_transfer_stops(own_server: Server) -> None:
    server = own_server
    await server.put("/big.dcm", made(pixels=40_000_000, seed=510))
    token = await server.token("pdrwlxgsi")
    url = (await server.prepare("/big.dcm", token=token))["transferURL"]
    shred = Shred(server)
    async with server.http.get(url) as answer:
        assert answer.status == 200
        await answer.content.readexactly(65_536)
        done = await shred.do("/big.dcm", token=token)
        assert done["state"] == "destroyed"
        with pytest.raises((aiohttp.ClientPayloadError, asyncio.IncompleteReadError, ConnectionError)):
            await answer.content.readexactly(int(answer.headers["Content-Length"]) - 65_536)


async def test_what_some_node_is_reading_is_destroyed_all_the_same(server: Server, shred: Shred) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made(seed=512))
    image = await image_of(server, surl)
    async with server.house.database.acquire() as db:
        await db.execute("update images set in_use_until = now() + interval '1 hour' where id = $1", image)
    token = await server.token("pdrwlxgsi", directory)
    assert (await shred.do(surl, token=token))["state"] == "destroyed"
    assert await rows(server, "images where id = $1", image) == 0


async def test_a_directory_and_a_missing_name_are_refused(server: Server, shred: Shred) -> None:
    directory = await server.directory()
    token = await server.token("pdrwlxgsi", directory)
    assert (await shred.try_look(directory, token=token)).status == 400
    answer = await shred.try_look(f"{directory}/none.dcm", token=token)
    assert answer.status == 404
    assert (await shred.try_look(token=token)).status == 400
    assert (await shred.try_look(f"{directory}/x", token=token, patient="p")).status == 400


async def test_of_several_names_the_answer_says_which_was_refused(server: Server, shred: Shred) -> None:
    directory = await server.directory()
    await server.put(f"{directory}/a.dcm", made(seed=511))
    token = await server.token("pdrwlxgsi", directory)
    answer = await shred.try_look(f"{directory}/a.dcm", f"{directory}/none.dcm", token=token)
    assert answer.status == 404
    assert answer.tree["detail"].startswith("name 2 of 2: ")
