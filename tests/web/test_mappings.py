"""A project's own mapping: who may set and see it, what it does to views, and that two never meet in one."""

import io
from pathlib import Path
from typing import Any

import pydicom.data
from pydicom import dcmread

from mdm_async.images.reading import served
from tests.backfilled import backfill
from tests.conftest import Reply, Server
from tests.web.test_profiles import add, ask, explained, until
from tests.web.test_projects import linked

FILES = Path(pydicom.data.__file__).parent / "test_files"
PATH = "/admin/v1/projects/trial/mapping"
TRIAL = """
name = "trial"
options = ["retain_longitudinal_modified_dates"]
unmapped = "refuse"
[add]
ClinicalTrialSubjectID = "{subject}"
"""
PATIENT = dcmread(FILES / "CT_small.dcm").PatientID


def csv(subject: str, days: int) -> str:
    return f"patient,subject,shift_days\n{PATIENT},{subject},{days}\n"


async def curator(server: Server) -> str:
    """A token of who may do everything, and see identities."""
    return await server.token("pdrwlxgsi", views=["*", "identified"])


async def put(server: Server, text: str, token: str | None = None) -> Reply:
    return await server.call("PUT", PATH, token=token or await curator(server), json={"csv": text})


async def state(server: Server) -> dict[str, Any]:
    return await ask(server, "trial", "progress")


async def test_patients_are_called_what_their_project_calls_them(own_server: Server, ct: bytes) -> None:
    server = own_server
    await add(server, TRIAL)
    assert (await put(server, csv("S-001", -100))).tree == {
        "project": "trial",
        "patients": 1,
        "anew": ["trial"],
        "warnings": [],
    }
    await ask(server, "trial", "apply", 202, surl="/")
    await server.put("/ct.dcm", ct)
    await server.put("/mr.dcm", (FILES / "MR_small.dcm").read_bytes())
    await until(lambda: _none_pending(server))
    view = dcmread(io.BytesIO(await server.read("/ct.dcm", view="trial")))
    assert (view.PatientID, str(view.PatientName), view.ClinicalTrialSubjectID) == (
        "S-001",
        "S-001^",
        "S-001",
    )
    assert (await state(server))["refused"] == 1
    told = await explained(server, "/mr.dcm", "trial")
    assert "the patient is not in the project's mapping" in told["explanation"]

    await server.srm("mkdir", surl="/projects")
    (entry,) = await linked(
        server, ["/ct.dcm"], "trial", "/projects", template="{subject}/{series}/{instance}.dcm"
    )
    assert entry["lfn"].startswith("/projects/S-001/MDM")


async def test_another_mapping_makes_other_views_and_those_before_are_not_served(
    own_server: Server, ct: bytes
) -> None:
    server = own_server
    await add(server, TRIAL)
    await ask(server, "trial", "apply", 202, surl="/")
    await server.put("/ct.dcm", ct)
    await until(lambda: _none_pending(server))
    assert (await state(server))["refused"] == 1

    dates = set()
    for subject, days in (("S-001", -100), ("S-002", -200)):
        assert (await put(server, csv(subject, days))).tree["anew"] == ["trial"]
        early = await server.srm("prepareToGet", expect=None, files=[{"surl": "/ct.dcm"}], view="trial")
        if "transferURL" in early["files"][0]:  # so soon
            first = dcmread(io.BytesIO(await server.get(early["files"][0]["transferURL"])))
            assert first.PatientID == subject
        await backfill(server)
        view = dcmread(io.BytesIO(await server.read("/ct.dcm", view="trial")))
        assert view.PatientID == subject
        dates.add(view.StudyDate)
    assert len(dates) == 2
    assert (await put(server, csv("S-002", -200))).tree["anew"] == []

    gone = await server.call("DELETE", PATH, token=await curator(server))
    assert gone.tree == {"project": "trial", "anew": ["trial"]}
    await backfill(server)
    assert (await state(server))["refused"] == 1


async def test_a_mapping_is_read_once_however_many_profiles_come(own_server: Server, monkeypatch) -> None:
    await add(own_server, TRIAL)
    await put(own_server, csv("S-001", -100))
    views, acquire = own_server.house.views, own_server.house.database.acquire
    async with acquire() as db:
        await views.refresh(db, now=True)
    before = views.get("trial")
    assert before is not None
    assert before.mapping
    monkeypatch.setattr(served, "opened_mapping", None)
    await add(own_server, 'name = "other"\n')
    async with acquire() as db:
        await views.refresh(db, now=True)
    assert views.get("other")
    assert views.get("trial") == before


async def test_a_mapping_whose_key_is_lost_is_said_to_be(own_server: Server) -> None:
    assert (await put(own_server, csv("S-001", -100))).status == 200
    async with own_server.house.database.acquire() as db:
        await db.execute("delete from mdm_keys.project_keys")
    reply = await own_server.call("GET", PATH, token=await curator(own_server))
    assert reply.status == 503
    assert "key of the project 'trial' is not there" in reply.tree["detail"]


async def test_only_an_administrator_with_the_right_i_sets_or_sees_one(own_server: Server) -> None:
    server = own_server
    assert (await put(server, csv("S-001", -100))).status == 200
    await server.srm("mkdir", surl="/below")
    for rights, path in (("pdrwlxgs", "/"), ("drwlxgsi", "/"), ("pdrwlxgsi", "/below")):
        token = await server.token(rights, path, ["*", "identified"] if "i" in rights else None)
        for method, body in (("PUT", {"csv": csv("S-2", 1)}), ("GET", None), ("DELETE", None)):
            reply = await server.call(method, PATH, token=token, json=body)
            assert reply.status == 403, (rights, method, reply.tree)
            assert "S-001" not in str(reply.tree)
    for method in ("PUT", "GET", "DELETE"):
        assert (await server.call(method, PATH, token=server.admin_token, json={"csv": ""})).status == 403
        assert (await server.call(method, PATH, json={"csv": ""})).status == 401
    shown = await server.call("GET", PATH, token=await curator(server))
    assert shown.tree["csv"] == csv("S-001", -100)
    assert shown.headers["Cache-Control"] == "no-store"


async def test_nothing_of_a_mapping_is_told_in_refusals_audit_or_catalog(
    own_server: Server, caplog: Any
) -> None:
    server = own_server
    token = await curator(server)
    wrong = await put(server, csv("S 001", -100), token)
    assert wrong.status == 400
    assert "line 2" in str(wrong.tree)
    assert PATIENT not in str(wrong.tree) + caplog.text
    assert (await put(server, csv("SECRET-77", -100), token)).status == 200
    await server.call("GET", PATH, token=token)
    await server.call("DELETE", "/admin/v1/projects/other/mapping", token=token)
    async with server.house.database.acquire() as db:
        acts = await db.fetch(
            "select act, details::text as said from audit where act like 'mapping %' order by id"
        )
        stored = await db.fetchrow("select sealed, digest, project from project_mappings")
    assert [row["act"] for row in acts] == ["mapping set", "mapping show"]
    told = str([tuple(row) for row in acts]) + str(dict(stored)) + caplog.text
    for secret in (PATIENT, "SECRET-77"):
        assert secret not in told
        assert secret.encode() not in stored["sealed"]


async def _none_pending(server: Server) -> bool:
    return not (await state(server))["pending"]
