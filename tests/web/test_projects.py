"""Projects: entries of their own to the same images; pseudonyms that the hospital, and only it, traces back."""

import asyncio
import io
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from pydicom import dcmread

from mdm_async.catalog.holdings import images
from mdm_async.catalog.namespace import entries
from mdm_async.images.names import linking
from mdm_async.names import BASIC
from tests.conftest import Server
from tests.faults.conditions import until
from tests.web.made_images import made
from tests.web.test_profiles import add, applied

FILES = Path(pydicom.data.__file__).parent / "test_files"


async def post(server: Server, url: str, token: str | None = None, **body: Any) -> Any:
    return await server.call("POST", url, token=token or server.admin_token, json=body)


async def linked(
    server: Server, sources: list[str], view: str, target: str, **more: Any
) -> list[dict[str, Any]]:
    reply = await post(server, "/admin/v1/link", surls=sources, target=target, view=view, **more)
    assert reply.status == 200, reply.tree
    files: list[dict[str, Any]] = reply.tree["files"]
    return files


async def project(server: Server, name: str) -> str:
    await add(server, f'name = "{name}"\n')
    await applied(server, name, "/")
    directory = f"/projects-{name}"
    await server.srm("mkdir", surl=directory)
    return directory


async def test_a_project_sees_the_same_image_under_names_of_its_own(own_server: Server, ct: bytes) -> None:
    server = own_server
    await server.srm("mkdir", surl="/hospital")
    one = await server.put("/hospital/one.dcm", ct)
    first, second = await project(server, "alpha"), await project(server, "beta")
    (a,) = await linked(server, ["/hospital/one.dcm"], "alpha", first)
    (b,) = await linked(server, ["/hospital/one.dcm"], "beta", second)
    assert len({a["guid"], b["guid"], one.get("guid")}) == 3
    assert not set(a["lfn"].split("/")[2:]) & set(b["lfn"].split("/")[2:])
    original = dcmread(io.BytesIO(ct))
    for name in (original.PatientID, original.StudyInstanceUID, original.SOPInstanceUID):
        assert name not in a["lfn"] + b["lfn"]

    reader = await server.token("rlx", path=first)
    tree = await server.srm("prepareToGet", token=reader, files=[{"surl": a["lfn"]}])
    assert tree["files"][0]["view"] == "alpha"
    assert await server.get(tree["files"][0]["transferURL"]) == await server.read(
        "/hospital/one.dcm", view="alpha"
    )
    again = await linked(server, ["/hospital/one.dcm"], "alpha", first)
    assert (again[0]["guid"], again[0]["lfn"]) == (a["guid"], a["lfn"])
    await server.srm("rm", surls=[a["lfn"]])
    assert await server.read("/hospital/one.dcm")


async def test_a_projects_entry_gives_no_other_view_whatever_rights_there_are(
    own_server: Server, ct: bytes
) -> None:
    server = own_server
    await server.put("/one.dcm", ct)
    directory = await project(server, "alpha")
    (entry,) = await linked(server, ["/one.dcm"], "alpha", directory)
    token = await server.token("rwlxgsdi", path=directory, views=["*", "identified"])
    for view in ("identified", "basic"):
        tree = await server.srm(
            "prepareToGet", token=token, expect=None, files=[{"surl": entry["lfn"]}], view=view
        )
        assert tree["files"][0]["status"]["statusCode"] == "SRM_AUTHORIZATION_FAILURE"
    listed = await server.srm("ls", token=token, surls=[f"/@identified{entry['lfn']}"])
    assert "size" not in listed["files"][0]
    parent = entry["lfn"].rpartition("/")[0]
    (child,) = (await server.srm("ls", token=token, surls=[parent]))["files"][0]["subPaths"]
    assert child["size"]


async def test_who_may_not_read_the_view_links_nothing(own_server: Server, ct: bytes) -> None:
    server = own_server
    await server.srm("mkdir", surl="/hospital")
    await server.put("/hospital/one.dcm", ct)
    directory = await project(server, "alpha")
    token = await server.token("rwlx", path=directory)
    reply = await post(
        server, "/admin/v1/link", token, surls=["/hospital/one.dcm"], target=directory, view="alpha"
    )
    assert reply.tree["files"][0]["status"]["statusCode"] == "SRM_INVALID_PATH"
    for template in ("{name}/{instance}", "x", "../{instance}", "{instance}/../../x", "/{instance}"):
        reply = await post(
            server,
            "/admin/v1/link",
            surls=["/hospital/one.dcm"],
            target=directory,
            view="alpha",
            template=template,
        )
        assert reply.status == 400, template


async def test_the_hospital_finds_the_patient_again_and_the_audit_says_so(own_server: Server) -> None:
    server = own_server
    await server.srm("mkdir", surl="/hospital")
    await server.put("/hospital/one.dcm", made(seed=8, name="Secret^Sally"))
    view = dcmread(io.BytesIO(await server.read("/hospital/one.dcm")))
    found = await post(server, "/admin/v1/pseudonyms/lookup", pseudonym=view.PatientID)
    assert found.status == 404  # the administrator's token has no right i

    doctor = await server.token("rlxi", name="doctor")
    found = await post(server, "/admin/v1/pseudonyms/lookup", doctor, pseudonym=view.PatientID)
    assert found.tree == {"matches": [{"attribute": "PatientID", "original": "made-8", "view": "basic"}]}
    found = await post(server, "/admin/v1/pseudonyms/lookup", doctor, pseudonym=view.StudyInstanceUID)
    assert found.tree["matches"][0]["attribute"] == "StudyInstanceUID"
    assert (await post(server, "/admin/v1/pseudonyms/lookup", doctor, pseudonym="MDMNOBODY")).status == 404
    elsewhere = await server.token("rlxi", path="/elsewhere")
    found = await post(server, "/admin/v1/pseudonyms/lookup", elsewhere, pseudonym=view.PatientID)
    assert found.status == 404
    async with server.house.database.acquire() as db:
        rows = await db.fetch(
            "select caller, details::text as said from audit where act = 'pseudonym lookup'"
            " and outcome = 'success'"
        )
        stored = await db.fetchval("select string_agg(v::text, ' ') from views v")
    assert [row["caller"] for row in rows] == ["user:doctor", "user:doctor"]
    assert "made-8" not in str([row["said"] for row in rows])
    assert view.PatientID not in stored
    assert view.PatientID.encode().hex() not in stored


async def test_a_report_counts_and_never_quotes(own_server: Server) -> None:
    server = own_server
    await server.srm("mkdir", surl="/hospital")
    await server.put("/hospital/one.dcm", made(seed=8, name="Secret^Sally"))
    await server.put("/hospital/two.dcm", made(seed=9, name="Secret^Sally"))
    await server.put("/hospital/pdf.dcm", (FILES / "JPEG-lossy.dcm").read_bytes())
    reply = await post(server, "/admin/v1/report", surl="/hospital/one.dcm")
    (one,) = reply.tree["files"]
    names = {line["name"]: line for line in one["touched"]}
    assert any("Patient" in name for name in names)
    assert all(line["count"] > 0 for line in one["touched"])
    assert b"Sally" not in reply.body
    assert b"made-8" not in reply.body
    assert one["study"].startswith("2.25.")
    assert len(reply.tree["digest"]) == 64

    below = await post(server, "/admin/v1/report", surl="/hospital")
    states = sorted(file["state"] for file in below.tree["files"])
    assert states.count("ready") >= 2
    assert len({file["study"] for file in below.tree["files"] if file["study"]}) >= 1
    denied = await post(server, "/admin/v1/report", await server.token("rlx", path="/no"), surl="/hospital")
    assert denied.status == 404
    assert (await post(server, "/admin/v1/report", surl="/@identified/hospital/one.dcm")).status == 400


async def test_what_a_link_makes_is_audited_directories_too(own_server: Server, ct: bytes) -> None:
    server = own_server
    await server.put("/one.dcm", ct)
    await linked(server, ["/one.dcm"], "basic", "/", template="project/{patient}/{instance}.dcm")
    async with server.house.database.acquire() as db:
        acts = await db.fetch("select act, guid from audit where act in ('mkdir', 'link') order by id")
        known = {row["guid"] for row in await db.fetch("select guid from entries")}
    assert [row["act"] for row in acts] == ["mkdir", "mkdir", "link"]
    assert {row["guid"] for row in acts} <= known


async def test_an_image_removed_while_it_is_linked_gets_no_entry(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing would be behind the entry, and the image could never be destroyed."""
    server = own_server
    await server.put("/one.dcm", ct)
    named = linking._Linking._named

    async def removed_meanwhile(self: Any, ready: Any) -> Any:
        await server.srm("rm", surls=["/one.dcm"])
        return await named(self, ready)

    monkeypatch.setattr(linking._Linking, "_named", removed_meanwhile)
    reply = await post(server, "/admin/v1/link", surls=["/one.dcm"], target="/", view="basic")
    assert reply.status == 410
    await server.house.sweeper.sweep()
    async with server.house.database.acquire() as db:
        assert await db.fetchval("select count(*) from images") == 0


async def test_an_image_that_is_linked_while_it_is_removed_stays(own_server: Server, ct: bytes) -> None:
    server = own_server
    await server.put("/one.dcm", ct)
    async with server.house.database.transaction() as db:
        image = await db.fetchval("select id from images")
        await images.keep(db, [image])
        removal = asyncio.create_task(server.srm("rm", surls=["/one.dcm"]))
        async with server.house.database.acquire() as other:
            await until(
                lambda: other.fetchval("select true from pg_stat_activity where wait_event = 'transactionid'")
            )
        root = await db.fetchval("select id from entries where parent is null")
        await entries.add_file(db, root, "linked.dcm", image, only_view=BASIC)
    await removal
    assert await server.read("/linked.dcm")
