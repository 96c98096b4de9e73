"""Equal Patient IDs of two hospitals are two patients also to a tool that sees identities."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from mdm_async.errors import BadQuery
from mdm_async.images.metadata.indexing import index_stored
from mdm_async.images.studies import searching
from mdm_async.images.upkeep.queues import begin_work
from mdm_async.images.views.blinding import ISSUED
from mdm_async.names import IDENTIFIED, Caller
from tests.faults.conditions import until
from tests.pacs.devices import Device, Pacs, calling, pacs_server
from tests.pacs.test_again import own
from tests.pacs.tools import DOCTOR, PATIENT_FIND, PATIENT_GET, SECURED, STUDY_GET, Tool, identifier, rule
from tests.postgres.for_tests import PostgresForTests
from tests.web.dicomweb.conftest import Viewer

TWO = (
    calling("NORTH", issuer="NORTH"),
    calling("SOUTH", issuer="SOUTH"),
    calling("OLD"),
    DOCTOR,
)


@pytest.fixture(scope="module")
async def two(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pacs]:
    dsn, data = await postgres.fresh_database(migrated), tmp_path_factory.mktemp("two") / "data"
    async with pacs_server(data, dsn, pacs={"calling": TWO}, server=SECURED) as pacs:
        await pacs.server.srm("mkdir", surl="/pacs")
        rules = [rule("user:doctor", "xlrgi", views=["identified"])]
        await pacs.server.srm("setPermission", surls=["/", "/pacs"], permissionType="ADD", rules=rules)
        await push(pacs, "NORTH", PatientID="4711", PatientName="A^North", StudyInstanceUID="1.2.71")
        await push(pacs, "SOUTH", PatientID="4711", PatientName="B^South", StudyInstanceUID="1.2.72")
        # What a file says goes before what the settings do.
        issued = {"IssuerOfPatientID": "South", "PatientName": "B^South", "StudyInstanceUID": "1.2.73"}
        await push(pacs, "NORTH", PatientID="4711", **issued)
        yield pacs


async def push(pacs: Pacs, ae: str, **values: str) -> None:
    device: Device = await (await pacs.connect()).associate(ae=ae)
    assert await device.store(own(**values)) == 0
    await device.release()


async def patients(pacs: Pacs, **keys: str) -> list[tuple[str, str, int]]:
    asked = {"PatientName": "", "IssuerOfPatientID": "", "NumberOfPatientRelatedStudies": ""}
    found = await Tool(pacs, "DOCTOR").find(identifier("PATIENT", **(asked | keys)), PATIENT_FIND)
    assert found.statuses[-1] == 0
    told = [(str(one.PatientName), one.IssuerOfPatientID, one[COUNT].value) for one in found.answers]
    return sorted(told)


COUNT = "NumberOfPatientRelatedStudies"


async def test_they_are_told_apart_with_their_issuers(two: Pacs) -> None:
    found = await patients(two, PatientID="4711")
    assert found == [("A^North", "NORTH", 1), ("B^South", "SOUTH", 1), ("B^South", "South", 1)]
    assert await patients(two, PatientID="4711", IssuerOfPatientID="NORTH") == found[:1]
    # They are found as all texts are, and are two.
    assert await patients(two, PatientID="4711", IssuerOfPatientID="south") == found[1:]


@pytest.mark.parametrize(
    ("level", "keys"), [("PATIENT", {}), ("STUDY", {"StudyInstanceUID": ["1.2.71", "1.2.72"]})]
)
async def test_who_asks_for_both_is_told_to_name_an_issuer(
    two: Pacs, level: str, keys: dict[str, list[str]]
) -> None:
    tool, asked = Tool(two, "DOCTOR"), {"PatientID": "4711"} | keys
    for model in (PATIENT_GET, *([STUDY_GET] if level == "STUDY" else [])):
        taken = await tool.get(identifier(level, **asked), model)
        assert (taken.images, taken.statuses) == ([], [0xA900])
        assert "IssuerOfPatientID" in taken.last.ErrorComment
    taken = await tool.get(identifier(level, IssuerOfPatientID="NORTH", **asked), PATIENT_GET)
    assert [one.PatientName for one in taken.images] == ["A^North"]
    # Written otherwise, it is another's, though it is found.
    taken = await tool.get(identifier(level, IssuerOfPatientID="North", **asked), PATIENT_GET)
    assert (taken.images, taken.statuses) == ([], [0xA900])
    assert taken.last.ErrorComment == "no IssuerOfPatientID of this ID is written so"
    taken = await tool.get(identifier("STUDY", PatientID="4711", StudyInstanceUID="1.2.72"), PATIENT_GET)
    assert [one.PatientName for one in taken.images] == ["B^South"]


async def test_all_of_one_issuer_are_retrieved_by_their_id(two: Pacs) -> None:
    for issuer, studies in (("SOUTH", ["1.2.72"]), ("South", ["1.2.73"]), ("south", [])):
        taken = await Tool(two, "DOCTOR").get(
            identifier("PATIENT", PatientID="4711", IssuerOfPatientID=issuer), PATIENT_GET
        )
        assert [one.StudyInstanceUID for one in taken.images] == studies
        assert taken.statuses[-1] == (0 if studies else 0xA900)


async def test_who_has_no_id_is_nobody_else(two: Pacs) -> None:
    for name in ("C^One", "C^Two"):
        await push(two, "OLD", PatientID="", PatientName=name)
    found = {(name, count) for name, _, count in await patients(two, PatientID="")}
    assert {("C^One", 1), ("C^Two", 1)} <= found


async def test_dicomweb_finds_by_the_issuer_too(two: Pacs) -> None:
    token = await two.server.token("rig", "/", views=["identified"])
    viewer = Viewer(two.server, token, "/dicom-web/@identified")
    found = await viewer.ask(
        lambda client: client.search_for_studies(search_filters={"IssuerOfPatientID": "NORTH"})
    )
    assert [one["0020000D"]["Value"] for one in found] == [["1.2.71"]]
    assert found[0]["00100021"]["Value"] == ["NORTH"]


async def test_the_issuer_stays_when_images_are_indexed_anew(two: Pacs) -> None:
    house, before = two.server.house, await patients(two, PatientID="4711")
    async with house.database.acquire() as db:
        await db.execute("delete from original_attributes")
        await db.execute("insert into images_to_index (image) select id from images")
    await index_stored(house.workshop, house.shelf, house.node)
    assert await patients(two, PatientID="4711") == before


async def test_what_was_stored_before_issuers_were_indexed_is_indexed_anew_by_a_newer_version(
    two: Pacs,
) -> None:
    house, wanted = two.server.house, {"PatientID": "4711", "IssuerOfPatientID": "NORTH"}
    before = await patients(two, **wanted)
    async with house.database.acquire() as db:
        await db.execute("delete from blind_values where tag in ($1, $2)", ISSUED, 0x00100021)
        await db.execute("update installation set index_revision = 1")
    assert await patients(two, **wanted) == []
    await begin_work(house.lanes.bulk, house.views, house.node)
    await index_stored(house.workshop, house.shelf, house.node)
    await until(lambda: _same(two, wanted, before))


async def _same(two: Pacs, wanted: dict[str, str], before: object) -> bool:
    return bool(await patients(two, **wanted) == before)


async def test_nothing_is_retrieved_by_nothing(two: Pacs) -> None:
    doctor = Caller("user:doctor", frozenset({"user:doctor"}))
    for view in (IDENTIFIED, None):
        with pytest.raises(BadQuery, match="nothing says"):
            await searching.instances(two.server.house.finding, doctor, [], None, view)
    taken = await Tool(two, "DOCTOR").get(identifier("PATIENT", PatientID="\t"), PATIENT_GET)
    assert (taken.images, taken.statuses) == ([], [0xA900])


async def look_at(pacs: Pacs, **asked: str) -> dict[str, Any]:
    """What would be shredded."""
    body = {"asAdministrator": True} | asked
    shown = pacs.server.admin_token
    reply = await pacs.server.call("POST", "/admin/v1/shred/look", token=shown, json=body)
    tree: dict[str, Any] = reply.tree
    return tree


async def test_who_is_shredded_can_be_chosen_by_issuer(two: Pacs) -> None:
    whole = await look_at(two, patient="4711")
    assert (whole["images"], whole["people"] > 1) == (3, True)
    north = await look_at(two, patient="4711", issuer="NORTH")
    assert (north["images"], north["people"]) == (1, 1)
    for issuer in ("SOUTH", "South"):
        assert (await look_at(two, patient="4711", issuer=issuer))["images"] == 1
    for nobody in ("WEST", "south"):
        assert (await look_at(two, patient="4711", issuer=nobody))["status"] == 404
    assert (await look_at(two, issuer="WEST"))["status"] == 400


async def test_a_pseudonym_finds_what_an_issuers_patient_has_before_it_is_indexed(two: Pacs) -> None:
    shown = two.server.admin_token
    studies = (await two.server.call("GET", "/dicom-web/@basic/studies", token=shown)).tree
    named = {one["00100020"]["Value"][0] for one in studies if "Value" in one["00100020"]}
    async with two.server.house.database.acquire() as db:
        indexed = await db.fetch("delete from blind_values returning image, tag, blind")
    try:
        found = [await look_at(two, patient=name) for name in named]
    finally:
        async with two.server.house.database.acquire() as db:
            await db.executemany("insert into blind_values values ($1, $2, $3)", indexed)
    assert named
    assert all(one.get("images") for one in found), found
