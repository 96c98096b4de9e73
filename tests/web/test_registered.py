"""Files that are registered without bytes: they are there, nobody takes them for empty ones, and nobody waits."""

import asyncio
import base64
from typing import Any
from uuid import UUID

import pytest

from mdm_async.catalog.holdings import profiles
from mdm_async.catalog.namespace import places
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.errors import BadRequest, Exists, Forbidden, MdmError, NotFound
from mdm_async.images.names import registering
from mdm_async.images.names.registering import Registration
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.names import AUTHENTICATED, Caller, Lfn, Scope, parse_rights
from tests.conftest import Server
from tests.faults.conditions import stored
from tests.patience import PATIENCE

SOURCE = PacsSource("main", "1.2.840.99.1", "1.2.840.99.1.2", "1.2.840.99.1.2.3")


def hospital(directory: str, rights: str = "wlx") -> Caller:
    """Whoever has these rights there."""
    scope = Scope(Lfn(directory), parse_rights(rights))
    return Caller("user:hospital", frozenset({"user:hospital", AUTHENTICATED}), (scope,))


async def register(server: Server, caller: Caller, surl: str) -> UUID | MdmError:
    house = server.house
    ((named, found),) = await registering.register(
        house.database,
        house.keys,
        house.workshop.blind,
        house.views.bindings.of,
        caller,
        [Registration(surl, SOURCE)],
    )
    assert named == surl
    return found


async def registered(server: Server) -> tuple[str, str]:
    """A directory of the test's own, and in it a file without bytes."""
    directory = await server.directory()
    guid = await register(server, hospital(directory), f"{directory}/one.dcm")
    assert isinstance(guid, UUID), guid
    return directory, f"{directory}/one.dcm"


async def detail(server: Server, surl: str, **asked: Any) -> dict[str, Any]:
    tree = await server.srm("ls", surls=[surl], **asked)
    found: dict[str, Any] = tree["files"][0]
    return found


async def test_a_registered_file_is_listed_as_nearline_and_its_size_is_not_told(
    server: Server, ct: bytes
) -> None:
    directory, surl = await registered(server)
    await server.put(f"{directory}/two.dcm", ct)
    one, two = (await detail(server, directory))["subPaths"]
    for told in (one, await detail(server, surl)):
        assert (told["fileLocality"], told["type"]) == ("NEARLINE", "FILE")
        assert not {"size", "checkSumValue", "viewState", "viewReason"} & told.keys()
    assert (two["fileLocality"], two["viewState"]) == ("ONLINE", "ready")
    assert two["size"]


@pytest.mark.parametrize("operation", ["prepareToGet", "bringOnline"])
@pytest.mark.parametrize("view", ["basic", "identified"])
async def test_what_is_not_online_is_told_at_once_to_those_who_may_read(
    server: Server, operation: str, view: str
) -> None:
    directory, surl = await registered(server)
    reader = await server.token("rilx", path=directory, views=["basic", "identified"])
    recipient = base64.b64encode(public_key(new_private_key())).decode()
    asked = {"files": [{"surl": f"/@{view}{surl}"}], "recipient": recipient}
    async with asyncio.timeout(PATIENCE):
        tree = await server.srm(operation, token=reader, expect=409, **asked)
    (line,) = tree["files"]
    assert line["status"]["statusCode"] == "SRM_FILE_UNAVAILABLE"
    assert line["status"]["type"] == "urn:mdm:error:not-online"
    assert "NEARLINE" in line["status"]["explanation"]
    assert line["status"]["remedy"]
    assert "transferURL" not in line
    assert "requestToken" not in tree

    hidden = await server.srm(operation, token=await server.token("x"), expect=404, files=[{"surl": surl}])
    assert hidden["files"][0]["status"]["statusCode"] == "SRM_INVALID_PATH"


@pytest.mark.parametrize(
    ("locality", "code"), [("UNAVAILABLE", "SRM_FILE_UNAVAILABLE"), ("LOST", "SRM_FILE_LOST")]
)
async def test_what_cannot_be_reached_or_is_lost_is_told_so(server: Server, locality: str, code: str) -> None:
    _, surl = await registered(server)
    async with server.house.database.acquire() as db:
        await db.execute(
            "update images set locality = $2 where id = (select image from entries where guid = $1)",
            UUID((await detail(server, surl))["guid"]),
            locality,
        )
    assert (await detail(server, surl))["fileLocality"] == locality
    tree = await server.srm("prepareToGet", expect=None, files=[{"surl": surl}])
    assert tree["files"][0]["status"]["statusCode"] == code


async def test_one_file_that_is_not_online_fails_no_other(server: Server, ct: bytes) -> None:
    directory, surl = await registered(server)
    await server.put(f"{directory}/two.dcm", ct)
    tree = await server.srm("prepareToGet", files=[{"surl": surl}, {"surl": f"{directory}/two.dcm"}])
    codes = [line["status"]["statusCode"] for line in tree["files"]]
    assert codes == ["SRM_FILE_UNAVAILABLE", "SRM_FILE_PINNED"]


async def test_registering_needs_the_right_to_write_and_a_free_name(server: Server) -> None:
    directory, surl = await registered(server)
    free, caller = f"{directory}/two.dcm", hospital(directory)
    assert isinstance(await register(server, caller, surl), Exists)
    assert isinstance(await register(server, caller, f"{directory}/none/two.dcm"), NotFound)
    assert isinstance(await register(server, caller, f"/@basic{free}"), BadRequest)
    assert isinstance(await register(server, hospital("/elsewhere"), free), NotFound)
    assert isinstance(await register(server, hospital(directory, "rlx"), free), Forbidden)
    async with server.house.database.acquire() as db:
        left = "not exists (select from entries e where e.image = i.id)"
        assert not await db.fetchval(f"select count(*) from images i where locality = 'NEARLINE' and {left}")


async def test_registering_is_audited(server: Server) -> None:
    _, surl = await registered(server)
    guid = UUID((await detail(server, surl))["guid"])
    async with server.house.database.acquire() as db:
        row = await db.fetchrow(
            "select caller, act, details from audit where guid = $1 and act = 'register'", guid
        )
    assert row is not None
    assert row["caller"] == "user:hospital"
    assert row["details"] == {}


async def test_a_registered_file_is_renamed_ruled_and_removed_like_any_other(server: Server) -> None:
    directory, surl = await registered(server)
    moved = f"{directory}/moved.dcm"
    await server.srm("mv", fromSURL=surl, toSURL=moved)
    rules = [{"principal": "user:a", "rights": "l"}]
    await server.srm("setPermission", surls=[moved], permissionType="SET", rules=rules)
    told = await server.srm("getPermission", surls=[moved])
    assert told["files"][0]["rules"] == rules
    guid = UUID((await detail(server, moved))["guid"])
    async with server.house.database.acquire() as db:
        row = await db.fetchrow(
            "select i.id, i.registration, i.source from images i join entries e on e.image = i.id where e.guid = $1",
            guid,
        )
        assert row is not None
    await server.srm("rm", surls=[moved])
    await server.srm("ls", surls=[moved], expect=404)
    while await server.house.sweeper.sweep():
        pass
    async with server.house.database.acquire() as db:
        assert not await db.fetchval("select count(*) from images where id = $1", row["id"])
        assert not await db.fetchval("select count(*) from sources where id = $1", row["source"])
    assert not await server.house.keys.fetch([row["registration"]], identity=True)


async def test_a_project_cannot_link_what_is_not_online(own_server: Server) -> None:
    server = own_server
    _, surl = await registered(server)
    await server.srm("mkdir", surl="/project")
    body = {"surls": [surl], "target": "/project", "view": "basic"}
    reply = await server.call("POST", "/admin/v1/link", token=server.admin_token, json=body)
    assert reply.tree["files"][0]["status"]["statusCode"] == "SRM_FILE_UNAVAILABLE"
    assert not (await detail(server, "/project")).get("subPaths")


async def test_an_upload_takes_the_name_of_a_registered_file_only_when_it_may_overwrite(
    server: Server, ct: bytes
) -> None:
    _, surl = await registered(server)
    refused = await server.srm("prepareToPut", expect=409, files=[{"surl": surl}])
    assert refused["files"][0]["status"]["statusCode"] == "SRM_DUPLICATION_ERROR"
    before = (await detail(server, surl))["guid"]
    await server.put(surl, ct, overwrite=True)
    told = await detail(server, surl)
    assert (told["guid"], told["fileLocality"], told["viewState"]) == (before, "ONLINE", "ready")


async def test_reports_and_profiles_count_no_view_of_what_is_not_there(own_server: Server, ct: bytes) -> None:
    server = own_server
    directory, _ = await registered(server)
    await server.put(f"{directory}/two.dcm", ct)
    token = server.admin_token
    reply = await server.call("POST", "/admin/v1/report", token=token, json={"surl": directory})
    assert sorted(file["state"] for file in reply.tree["files"]) == ["nearline", "ready"]
    reply = await server.call(
        "POST", "/admin/v1/profiles/basic/progress", token=token, json={"surl": directory}
    )
    assert reply.tree == {"ready": 1, "refused": 0, "quarantined": 0, "pending": 0}
    reply = await server.call("POST", "/admin/v1/fsck", token=token, json={"repair": True})
    assert reply.tree["findings"] == []
    async with server.house.database.acquire() as db:
        below = [(await places.resolve_one(db, Lfn(directory))).ancestor.id]
        served = server.house.views.get("basic")
        found, _ = await profiles.standings(db, below[0], below, "basic", served.version, "", 10)
        assert [one.state for one in found] == ["ready"]


async def test_what_gets_no_name_leaves_no_secrets(own_server: Server) -> None:
    wanted = [Registration("/one.dcm", SOURCE), Registration("/one.dcm", SOURCE)]
    house = own_server.house
    (_, first), (_, second) = await registering.register(
        house.database, house.keys, house.workshop.blind, house.views.bindings.of, hospital("/"), wanted
    )
    assert isinstance(first, UUID)
    assert isinstance(second, Exists)
    counts = await stored(own_server)
    assert (counts["images"], counts["mdm_keys.image_secrets"]) == (1, 2)
    async with house.database.acquire() as db:
        assert await db.fetchval("select count(*) from mdm_keys.intents") == 0
