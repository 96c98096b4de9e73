"""The Tape REST API: files brought online, asked about, cancelled, released."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Reply, Server
from tests.web.made_images import made

IMAGE = made(pixels=64)


async def call(server: Server, method: str, path: str, token: str | None = None, **body: Any) -> Reply:
    options = {"json": body} if body else {}
    return await server.call(method, f"/tape/v1/{path}", token=token or server.admin_token, **options)


async def stage(server: Server, paths: Sequence[str], token: str | None = None, **options: str) -> Reply:
    return await call(server, "POST", "stage", token, files=[{"path": path, **options} for path in paths])


async def files_of(server: Server, request: str, token: str | None = None) -> dict[str, dict[str, Any]]:
    answer = await call(server, "GET", f"stage/{request}", token)
    assert answer.status == 200, answer.body
    return {file["path"]: file for file in answer.tree["files"]}


@pytest.fixture
async def place(server: Server) -> str:
    """A directory with one image, `a.dcm`."""
    path = await server.directory()
    await server.put(f"{path}/a.dcm", IMAGE)
    return path


async def test_a_staged_file_is_completed(server: Server, place: str) -> None:
    answer = await stage(server, [f"{place}/a.dcm"], diskLifetime="PT3600S")
    assert answer.status == 201
    request = answer.tree["requestId"]
    assert answer.headers["Location"].endswith(f"/tape/v1/stage/{request}")
    told = (await server.call("GET", answer.headers["Location"], token=server.admin_token)).tree
    assert (told["id"], told["files"]) == (request, [{"path": f"{place}/a.dcm", "state": "COMPLETED"}])
    assert told["createdAt"] == told["startedAt"] == told["completedAt"] > 1_700_000_000


async def test_of_a_hundred_files_the_missing_and_the_forbidden_fail_alone(server: Server) -> None:
    place = await server.directory()
    token = await server.token("rlxg", f"{place}/open")
    for name in ("open", "closed"):
        await server.srm("mkdir", surl=f"{place}/{name}")
        await server.put(f"{place}/{name}/a.dcm", IMAGE)
    spellings = [
        f"/dav{place}/open/a.dcm",
        f"{place}/open/a.dcm",
        f"srm://h:1/srm/managerv2?SFN={place}/open/a.dcm",
    ]
    good = (spellings * 33)[:99]
    missing, forbidden = f"/dav{place}/open/gone%20.dcm", f"{place}/closed/a.dcm"
    answer = await stage(server, [*good, missing, forbidden], token)
    assert answer.status == 201
    told = (await call(server, "GET", f"stage/{answer.tree['requestId']}", token)).tree
    assert [file["path"] for file in told["files"]] == [*good, missing, forbidden]
    assert [file["state"] for file in told["files"]] == ["COMPLETED"] * 99 + ["FAILED"] * 2
    assert all(file["error"] for file in told["files"][99:])


async def test_a_request_of_which_nothing_can_come_online_tells_why_of_each_file(
    server: Server, place: str
) -> None:
    paths = [f"{place}/gone.dcm", f"/dav{place}/%67one"]
    answer = await stage(server, paths)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.tree["type"] == "urn:mdm:error:not-found"
    assert [file["path"] for file in answer.tree["files"]] == paths


async def test_a_view_is_named_in_the_path(server: Server, place: str) -> None:
    assert (await stage(server, [f"/dav/@basic{place}/a.dcm"])).status == 201
    assert (await stage(server, [f"/@none{place}/a.dcm"])).status == 400


@pytest.mark.parametrize("lifetime", ["P1D", "PT12H", "P1DT1H1M1S", "P2W"])
async def test_a_disk_lifetime_is_an_iso_duration(server: Server, place: str, lifetime: str) -> None:
    assert (await stage(server, [f"{place}/a.dcm"], diskLifetime=lifetime)).status == 201


@pytest.mark.parametrize(
    "lifetime", ["", "P", "PT", "1D", "P1Y", "P1M", "PT1S\n", "P-1D", "PT" + "9" * 60 + "S", "P1DT"]
)
async def test_what_is_no_disk_lifetime_is_refused(server: Server, place: str, lifetime: str) -> None:
    answer = await stage(server, [f"{place}/a.dcm"], diskLifetime=lifetime)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")


async def test_fields_that_mean_nothing_here_are_passed_over(server: Server, place: str) -> None:
    file = {"path": f"{place}/a.dcm", "targetedMetadata": {"site": {"activity": "x"}}}
    assert (await call(server, "POST", "stage", files=[file])).status == 201


async def test_cancelling_a_foreign_path_does_nothing(server: Server, place: str) -> None:
    await server.put(f"{place}/b.dcm", IMAGE)
    request = (await stage(server, [f"{place}/a.dcm"])).tree["requestId"]
    held = await files_of(server, request)
    answer = await call(server, "POST", f"stage/{request}/cancel", paths=[f"{place}/a.dcm", f"{place}/b.dcm"])
    assert answer.status == 400
    assert await files_of(server, request) == held


async def test_what_waits_is_cancelled_and_what_is_online_stays_so(server: Server, place: str) -> None:
    await server.put(f"{place}/b.dcm", IMAGE)
    paths = [f"{place}/a.dcm", f"{place}/b.dcm"]
    request = (await stage(server, paths)).tree["requestId"]
    async with server.house.database.acquire() as db:
        await db.execute(
            "update grants set state = 'queued' where request = $1 and surl = $2", request, paths[0]
        )
    told = (await call(server, "GET", f"stage/{request}")).tree
    assert [file["state"] for file in told["files"]] == ["SUBMITTED", "COMPLETED"]
    assert "completedAt" not in told
    answer = await call(server, "POST", f"stage/{request}/cancel", paths=[f"/dav{paths[0]}", paths[1]])
    assert answer.status == 200
    assert [file["state"] for file in (await files_of(server, request)).values()] == [
        "CANCELLED",
        "COMPLETED",
    ]


async def test_a_deleted_request_is_known_no_more(server: Server, place: str) -> None:
    request = (await stage(server, [f"{place}/a.dcm"])).tree["requestId"]
    assert (await call(server, "DELETE", f"stage/{request}")).status == 200
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel")):
        body = {"paths": [f"{place}/a.dcm"]} if path else {}
        answer = await call(server, method, f"stage/{request}{path}", **body)
        assert (answer.status, answer.tree["type"]) == (404, "urn:mdm:error:unknown-request")


async def test_nobody_is_told_of_or_ends_anothers_request(server: Server, place: str) -> None:
    request = (await stage(server, [f"{place}/a.dcm"])).tree["requestId"]
    other = await server.token("pdrwlxgs")
    paths = {"paths": [f"{place}/a.dcm"]}
    assert (await call(server, "GET", f"stage/{request}", other)).status == 404
    assert (await call(server, "DELETE", f"stage/{request}", other)).status == 404
    assert (await call(server, "POST", f"stage/{request}/cancel", other, **paths)).status == 404
    assert (await call(server, "POST", f"release/{request}", other, **paths)).status == 404
    assert await files_of(server, request)


async def test_requests_of_other_operations_are_none_of_these(server: Server, place: str) -> None:
    got = (await server.srm("prepareToGet", files=[{"surl": f"{place}/a.dcm"}]))["requestToken"]
    assert (await call(server, "GET", f"stage/{got}")).status == 404
    assert (await call(server, "DELETE", f"stage/{got}")).status == 404
    assert (await call(server, "POST", f"release/{got}", paths=[f"{place}/a.dcm"])).status == 404
    status = await server.srm("statusOfGetRequest", requestToken=got)
    assert status["files"][0]["status"]["statusCode"] == "SRM_FILE_PINNED"


async def test_a_staged_file_is_released_by_any_spelling_and_twice(server: Server, place: str) -> None:
    request = (await stage(server, [f"/dav{place}/a.dcm"])).tree["requestId"]
    async with server.house.database.acquire() as db:
        await db.execute("update grants set state = 'pinned' where request = $1", request)
    for path in (
        f"srm://h:1/srm/managerv2?SFN={place}/a.dcm",
        f"//dav/@basic/{place}/./%61.dcm",
        f"{place}//a.dcm",
    ):
        assert (await call(server, "POST", f"release/{request}", paths=[path])).status == 200
        async with server.house.database.acquire() as db:
            assert await db.fetchval("select state from grants where request = $1", request) == "released"
    answer = await call(server, "POST", f"release/{request}", paths=[f"{place}/b.dcm"])
    assert answer.status == 400


async def test_gfals_placeholder_releases_every_pin_of_the_caller(server: Server, place: str) -> None:
    got = (await server.srm("prepareToGet", files=[{"surl": f"{place}/a.dcm"}]))["requestToken"]
    for _ in range(2):
        answer = await call(server, "POST", "release/gfal2-placeholder-id", paths=[f"/dav{place}/a.dcm"])
        assert answer.status == 200
    status = await server.srm("statusOfGetRequest", requestToken=got)
    assert status["files"][0]["status"]["statusCode"] == "SRM_RELEASED"
    missing = await call(server, "POST", "release/gfal2-placeholder-id", paths=[f"{place}/gone.dcm"])
    assert missing.status == 404


async def test_what_is_no_request_is_unknown(server: Server) -> None:
    for id_ in (str(uuid4()), "x", "gfal2-placeholder-id"):
        assert (await call(server, "GET", f"stage/{id_}")).status == 404
    assert (await call(server, "POST", f"release/{uuid4()}", paths=["/x"])).status == 404


async def test_archive_info_tells_where_files_are_path_by_path(server: Server, place: str) -> None:
    paths = [f"/dav{place}/a.dcm", f"{place}/gone", place, f"{place}/../x", f"/dav/@basic{place}/%61.dcm"]
    answer = await call(server, "POST", "archiveinfo/", paths=paths)
    assert (answer.status, [one["path"] for one in answer.tree]) == (200, paths)
    assert [one.get("locality") for one in answer.tree] == ["DISK", None, None, None, "DISK"]
    assert ["error" in one for one in answer.tree] == [False, True, True, True, False]


async def test_bodies_are_bounded_as_those_of_srm(server: Server) -> None:
    many = server.house.settings.transfers.max_bulk + 1
    answer = await call(server, "POST", "archiveinfo", paths=["/x"] * many)
    assert answer.status == 400
    assert (await call(server, "POST", "stage", files=[])).status == 400
    assert (await call(server, "POST", "archiveinfo", paths="x")).status == 400
    long = await call(server, "POST", "stage", files=[{"path": "/" + "x" * 5000}])
    assert long.status == 400


async def test_the_api_is_found_by_its_well_known_name(server: Server, place: str) -> None:
    answer = await server.call("GET", "/.well-known/wlcg-tape-rest-api")
    (endpoint,) = answer.tree["endpoints"]
    assert (answer.status, endpoint["version"]) == (200, "v1")
    assert answer.tree["sitename"]
    found = await server.call(
        "POST", f"{endpoint['uri']}/archiveinfo", token=server.admin_token, json={"paths": [f"{place}/a.dcm"]}
    )
    assert found.tree == [{"path": f"{place}/a.dcm", "locality": "DISK"}]
