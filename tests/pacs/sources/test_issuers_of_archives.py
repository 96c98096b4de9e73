"""Two archives may have one Patient ID for two patients; each then has a name, a pseudonym and dates of its own."""

import io
from pathlib import Path
from typing import Any

import pydicom

from mdm_async.catalog.namespace import paths
from mdm_async.images.shredding.patients import images_of
from mdm_async.images.views.remaking import make_view
from mdm_async.names import BASIC, ROOT, Caller, Scope, parse_rights
from mdm_async.pacs.retrieval import identifiers
from tests.conftest import Server, running_server
from tests.pacs.sources.fake_archive import FakeArchive, fake_archive
from tests.pacs.sources.test_staging import ended
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made


def of_patient(seed: int, patient: str, issuer: str | None = None) -> bytes:
    image = pydicom.dcmread(io.BytesIO(made(seed=seed)))
    image.PatientID = patient
    if issuer is not None:
        image.IssuerOfPatientID = issuer
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()


async def pseudonym_at(server: Server, path: str) -> str:
    tree = await server.srm("prepareToGet", files=[{"surl": path}])
    lines = tree["files"]
    if lines[0]["status"]["statusCode"] == "SRM_REQUEST_QUEUED":
        lines = await ended(server, tree["requestToken"])
    return str(pydicom.dcmread(io.BytesIO(await server.get(lines[0]["transferURL"]))).PatientID)


async def test_equal_ids_of_two_hospitals_are_two_patients_also_when_views_are_made_anew(
    archive: FakeArchive, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    async with fake_archive() as other, fake_archive() as third:
        sources = [
            {"name": "north", "dicomweb": archive.url, "issuer": "NORTH"},
            {"name": "south", "dicomweb": other.url, "issuer": "SOUTH"},
            {"name": "old", "dicomweb": third.url},
        ]
        for seed, one in enumerate((archive, other, third)):
            one.add(of_patient(seed, "P-1"))
        archive.add(of_patient(7, "P-1"))
        dsn = await postgres.fresh_database(migrated)
        async with running_server(tmp_path / "data", dsn, pacs={"sources": sources}) as server:
            found: dict[str, list[str]] = {}
            for source in sources:
                found[source["name"]] = await registered(server, source["name"])
            folders = {path.split("/")[2] for paths in found.values() for path in paths}
            assert len(folders) == 3
            first = {
                name: [await pseudonym_at(server, path) for path in paths] for name, paths in found.items()
            }
            assert len(set(first["north"])) == 1
            assert len({one for pseudonyms in first.values() for one in pseudonyms}) == 3
            owner = Caller("user:admin", frozenset({"user:admin"}), (Scope(ROOT, parse_rights("prwilxgsd")),))
            theirs = await images_of(
                server.house.workshop, server.house.shelf, owner, first["north"][0], granted=True
            )
            assert theirs.people == 3
            await made_anew(server)
            again = {
                name: [await pseudonym_at(server, path) for path in paths] for name, paths in found.items()
            }
            assert again == first


async def test_a_file_that_names_another_issuer_than_its_archives_list_has_that_patients_name(
    archive: FakeArchive, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    archive.untold = ("00100021",)
    for seed, issuer in enumerate(("NORTH", "SOUTH")):
        archive.add(of_patient(seed, "P-1", issuer))
    sources = [{"name": "north", "dicomweb": archive.url, "issuer": "NORTH"}]
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, pacs={"sources": sources}) as server:
        listed = await registered(server, "north")
        assert any("includefield=IssuerOfPatientID" in one for one in archive.asked)
        assert len({path.split("/")[2] for path in listed}) == 1
        for path in listed:
            given = {"principal": "user:guest", "rights": "rlxg"}
            await server.srm("setPermission", surls=[path], permissionType="ADD", rules=[given])
        pseudonyms = {await pseudonym_at(server, path) for path in listed}
        async with server.house.database.acquire() as db:
            now = await paths.of_images(db, [row["id"] for row in await db.fetch("select id from images")])
            rows = await db.fetch("select details from audit where act = 'stage' order by id")
            acls = await db.fetchval(
                "select count(*) from entries where image is not null and acl is not null"
            )
        assert len(pseudonyms) == len({path.split("/")[2] for path in now}) == 2
        assert len(set(now) & set(listed)) == 1
        # What was given on the other patient's file is not given on this one's.
        moved = {"archive": "north", "outcome": "patient changed", "dropped": "acl"}
        assert [dict(row["details"]) for row in rows].count(moved) == 1
        assert acls == 1
        # Registered again all of it is there.
        body = {"path": "/north", "template": "{patient}/{instance}.dcm"}
        reply = await server.call(
            "POST", "/admin/v1/archives/north/register", token=server.admin_token, json=body
        )
        assert (reply.tree["registered"], reply.tree["there"]) == (0, 2)


def test_archives_that_speak_dimse_are_asked_who_issues_their_ids() -> None:
    assert identifiers.studies([])[0x00100021] == ""


async def registered(server: Server, name: str) -> list[str]:
    directory = f"/{name}"
    await server.srm("mkdir", surl=directory)
    body: dict[str, Any] = {"path": directory, "template": "{patient}/{instance}.dcm"}
    reply = await server.call(
        "POST", f"/admin/v1/archives/{name}/register", token=server.admin_token, json=body
    )
    assert not reply.tree["failed"], reply.tree
    (listed,) = (await server.srm("ls", surls=[directory]))["files"]
    paths = []
    for folder in listed["subPaths"]:
        (inside,) = (await server.srm("ls", surls=[folder["path"]]))["files"]
        paths += [child["path"] for child in inside["subPaths"]]
    return paths


async def made_anew(server: Server) -> None:
    house = server.house
    async with house.database.acquire() as db:
        rows = await db.fetch("delete from views where name = 'basic' returning image")
        await db.execute("delete from grants")
    served = house.views.get(BASIC)
    assert served is not None
    for row in rows:
        assert await make_view(house.workshop, house.shelf, served, row["image"])
