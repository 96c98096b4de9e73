"""The keys of images, by the names of files: shown, made good, destroyed."""

import asyncio
from typing import Any
from uuid import UUID

import aiohttp

from mdm_async.postgres.database import Database
from tests.conftest import Server
from tests.faults.conditions import until
from tests.patience import PATIENCE
from tests.web.made_images import BLOB, made


async def _keys(server: Server, verb: str, *surls: str, token: str | None = None) -> list[dict[str, Any]]:
    answer = await server.call(
        "POST", f"/admin/v1/keys/{verb}", token=token or server.admin_token, json={"surls": list(surls)}
    )
    found: list[dict[str, Any]] = answer.tree["files"]
    return found


def _code(file: dict[str, Any]) -> str:
    return str(file["status"]["statusCode"])


async def _count(database: Database, what: str, *arguments: object) -> int:
    async with database.acquire() as db:
        return int(await db.fetchval(f"select count(*) from {what}", *arguments))


async def _stored(server: Server, name: str) -> tuple[str, str]:
    """A file, and a token with all rights on its directory."""
    directory = await server.directory()
    await server.put(f"{directory}/{name}", made(pixels=BLOB))
    return f"{directory}/{name}", await server.token("pdrwlxgsi", directory)


async def _copied(server: Server, surl: str, other: str, token: str) -> None:
    copied = await server.call("COPY", f"/dav{surl}", token=token, headers={"Destination": f"/dav{other}"})
    assert copied.status == 201


async def test_a_files_keys_are_told_by_registration_and_store(server: Server) -> None:
    surl, token = await _stored(server, "a.dcm")
    (file,) = await _keys(server, "list", surl, token=token)
    assert (_code(file), file["locality"], file["stores"]) == ("SRM_SUCCESS", "ONLINE", {"catalog": True})
    assert await _count(server.house.database, "images where registration = $1", UUID(file["registration"]))
    assert (await _keys(server, "register", surl, token=token)) == [file]


async def test_a_key_that_is_missing_is_told_and_cannot_be_made_good_by_one_store(server: Server) -> None:
    surl, token = await _stored(server, "a.dcm")
    (file,) = await _keys(server, "list", surl, token=token)
    async with server.house.database.acquire() as db:
        await db.execute(
            "delete from mdm_keys.image_secrets where kind = 'identity' and registration = $1",
            UUID(file["registration"]),
        )
    assert (await _keys(server, "register", surl, token=token))[0]["stores"] == {"catalog": False}


async def test_each_takes_its_right_and_what_one_may_not_list_is_not_there(server: Server) -> None:
    surl, _ = await _stored(server, "a.dcm")
    directory = surl.rpartition("/")[0]
    await server.srm("mkdir", surl=f"{directory}/d")
    for rights, verb, code in (
        ("lx", "list", "SRM_AUTHORIZATION_FAILURE"),
        ("lxg", "list", "SRM_SUCCESS"),
        ("lxg", "register", "SRM_AUTHORIZATION_FAILURE"),
        ("lxs", "register", "SRM_SUCCESS"),
        ("lxgsri", "unregister", "SRM_AUTHORIZATION_FAILURE"),
        ("prlxgswd", "unregister", "SRM_AUTHORIZATION_FAILURE"),
    ):
        token = await server.token(rights, directory)
        assert _code((await _keys(server, verb, surl, token=token))[0]) == code, (rights, verb)
    elsewhere = await server.token("pdrwlxgsi", await server.directory())
    for verb in ("list", "register", "unregister"):
        hidden, absent = await _keys(server, verb, surl, f"{surl}.not", token=elsewhere)
        assert hidden["status"] == absent["status"]
        whole = await server.token("pdrwlxgsi", directory)
        (folder,) = await _keys(server, verb, f"{directory}/d", token=whole)
        assert folder["status"]["statusCode"] != "SRM_SUCCESS"
    assert await server.read(surl)


async def test_without_its_keys_a_file_is_lost_under_every_name_and_its_names_stay(server: Server) -> None:
    surl, token = await _stored(server, "a.dcm")
    other = f"{surl.rpartition('/')[0]}/b.dcm"
    await _copied(server, surl, other, token)
    url = (await server.prepare(surl, token=token))["transferURL"]
    await server.get(url)
    (before,) = await _keys(server, "list", surl, token=token)
    (done,) = await _keys(server, "unregister", surl, token=token)
    assert (_code(done), done["guid"]) == ("SRM_SUCCESS", before["guid"])
    for name in (surl, other):
        (after,) = await _keys(server, "list", name, token=token)
        assert (after["locality"], after["stores"]) == ("LOST", {"catalog": False})
        told = await server.srm("prepareToGet", files=[{"surl": name}], expect=None)
        assert told["files"][0]["status"]["statusCode"] == "SRM_FILE_LOST"
    answer = await server.call("GET", url)
    assert answer.status == 410
    registration = UUID(before["registration"])
    database = server.house.database
    assert await _count(database, "mdm_keys.image_secrets where registration = $1", registration) == 0
    of_it = "where image = (select id from images where registration = $1)"
    for table in ("parts", "views", "view_attributes", "original_attributes", "blind_values"):
        assert await _count(database, f"{table} {of_it}", registration) == 0
    assert (
        await _count(database, "audit where act = 'keys unregister' and guid = $1", UUID(before["guid"])) == 1
    )
    assert await server.put(surl, made(), overwrite=True)
    assert await server.read(surl)


async def test_whoever_lacks_rights_at_one_name_of_an_image_cannot_destroy_its_keys(server: Server) -> None:
    surl, token = await _stored(server, "a.dcm")
    elsewhere = await server.directory()
    await _copied(server, surl, f"{elsewhere}/b.dcm", server.admin_token)
    (refused,) = await _keys(server, "unregister", surl, token=token)
    assert _code(refused) == "SRM_AUTHORIZATION_FAILURE"
    assert "at 1 of 2 entries" in refused["status"]["explanation"]
    assert await server.read(surl)


async def test_a_transfer_that_runs_ends_when_its_keys_are_destroyed(server: Server) -> None:
    directory = await server.directory()
    surl, token = f"{directory}/a.dcm", await server.token("pdrwlxgsi", directory)
    await server.put(surl, made(pixels=32 << 20))
    url = (await server.prepare(surl))["transferURL"]
    async with server.http.get(url) as answer:
        await answer.content.readexactly(1 << 16)
        assert _code((await _keys(server, "unregister", surl, token=token))[0]) == "SRM_SUCCESS"
        try:
            async with asyncio.timeout(PATIENCE):
                whole = await answer.content.read()
        except aiohttp.ClientError:
            whole = b""
        assert len(whole) < 32 << 20
    await until(lambda: server.house.admission.running == 0)
