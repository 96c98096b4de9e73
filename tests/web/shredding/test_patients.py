"""Shredding all images of a patient, found by a pseudonym or by the Patient ID."""

import io
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydicom import dcmread
from structlog.testing import capture_logs

from mdm_async.catalog.holdings import images
from mdm_async.images.shredding import patients
from tests.conftest import Server
from tests.web.made_images import made
from tests.web.shredding.conftest import Shred, image_of, rows
from tests.web.test_profiles import add, applied


def of(patient: str, number: int, *, name: str = "Quagga^Q", born: str = "19500101") -> bytes:
    """An image of a patient."""
    image = dcmread(io.BytesIO(made(seed=6000 + number)))
    image.PatientID, image.PatientName, image.PatientBirthDate = patient, name, born
    out = io.BytesIO()
    image.save_as(out, enforce_file_format=True)
    return out.getvalue()


async def seen(server: Server, surl: str, **options: Any) -> Any:
    return dcmread(io.BytesIO(await server.read(surl, **options)))


@pytest.fixture
async def ward(server: Server) -> str:
    """A directory."""
    return await server.directory()


async def test_a_pseudonym_finds_all_images_of_its_patient_and_nobody_elses(
    server: Server, shred: Shred, ward: str
) -> None:
    for number, patient in enumerate(("P-7001", "P-7001", "P-7002")):
        await server.put(f"{ward}/{number}", of(patient, 10 + number))
    images = [await image_of(server, f"{ward}/{number}") for number in range(3)]
    token = await server.token("pdrwlxgsi", ward)
    pseudonym = str((await seen(server, f"{ward}/0", token=token)).PatientID)
    found = await shred.look(token=token, patient=pseudonym)
    assert (found["images"], found["people"], found["unreadable"]) == (2, 1, 0)
    done = await shred.do(token=token, patient=pseudonym)
    assert (done["state"], done["images"]) == ("destroyed", 2)
    assert await rows(server, "images where id = any($1::uuid[])", images) == 1
    assert await server.read(f"{ward}/2", token=token)


async def test_while_an_originals_keys_cannot_be_read_nobody_is_told_that_there_is_none(
    server: Server, shred: Shred, ward: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are away, or given anew just then: it is not passed over."""
    await server.put(f"{ward}/a", of("P-7099", 25))
    await server.put(f"{ward}/b", of("P-7099", 26))
    moved = await image_of(server, f"{ward}/a")
    truly = images.registration

    async def registration(db: Any, image: UUID) -> UUID:
        return uuid4() if image == moved else await truly(db, image)

    token = await server.token("pdrwlxgsi", ward)
    monkeypatch.setattr(images, "registration", registration)
    assert (await shred.try_look(token=token, patient="P-7099")).status == 503
    monkeypatch.undo()
    assert (await shred.look(token=token, patient="P-7099"))["images"] == 2


async def test_the_patient_id_itself_finds_them_for_who_may_identify_them(
    server: Server, shred: Shred, ward: str
) -> None:
    await server.put(f"{ward}/a", of("P-7003", 20))
    blind = await server.token("pdrwlxgs", ward)
    assert (await shred.try_look(token=blind, patient="P-7003")).status == 404
    token = await server.token("pdrwlxgsi", ward)
    assert (await shred.look(token=token, patient=" P-7003 "))["images"] == 1


async def test_who_may_not_identify_them_is_told_what_is_told_of_nobody(
    server: Server, shred: Shred, ward: str
) -> None:
    await server.put(f"{ward}/a", of("P-7004", 30))
    elsewhere = await server.token("pdrwlxgsi", await server.directory())
    of_one = await shred.try_look(token=elsewhere, patient="P-7004")
    of_none = await shred.try_look(token=elsewhere, patient="P-none")
    assert of_one.status == of_none.status == 404
    assert of_one.tree | {"requestId": ""} == of_none.tree | {"requestId": ""}
    assert (await shred.look(patient="P-7004", asAdministrator=True))["images"] == 1


async def test_that_they_are_too_many_is_told_to_who_may_identify_them_alone(
    server: Server, shred: Shred, ward: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patients, "MOST", 1)
    for number in range(2):
        await server.put(f"{ward}/{number}", of("P-7006", 45 + number))
    elsewhere = await server.token("pdrwlxgsi", await server.directory())
    assert (await shred.try_look(token=elsewhere, patient="P-7006")).status == 404
    told = await shred.try_look(token=await server.token("pdrwlxgsi", ward), patient="P-7006")
    assert (told.status, "more than 1 images" in told.tree["detail"]) == (400, True)


async def test_images_that_the_caller_may_not_identify_are_counted_and_bar_them(
    server: Server, shred: Shred, ward: str
) -> None:
    other = await server.directory()
    await server.put(f"{ward}/a", of("P-7005", 40))
    await server.put(f"{other}/b", of("P-7005", 41))
    token = await server.token("pdrwlxgsi", ward)
    found = await shred.look(token=token, patient="P-7005")
    assert (found["images"], found["hidden"], found["barred"]) == (2, 1, 1)
    assert (await shred.try_do(token=token, patient="P-7005", digest=found["digest"])).status == 403
    assert (await shred.do(patient="P-7005", asAdministrator=True))["images"] == 2


async def test_a_projects_pseudonym_finds_also_images_that_the_project_never_had(own_server: Server) -> None:
    server, shred = own_server, Shred(own_server)
    for name in ("/trial", "/ward"):
        await server.srm("mkdir", surl=name)
    await add(server, 'name = "trial"\n')
    await applied(server, "trial", "/trial")
    await server.put("/trial/a", of("P-7006", 50))
    await server.put("/ward/b", of("P-7006", 51))
    token = await server.token("pdrwlxgsi", views=["trial", "basic", "identified"])
    pseudonym = str((await seen(server, "/@trial/trial/a", token=token)).PatientID)
    assert pseudonym != str((await seen(server, "/@basic/ward/b", token=token)).PatientID)
    assert (await shred.look(token=token, patient=pseudonym))["images"] == 2


async def test_the_pseudonym_of_a_study_is_none_of_a_patient(server: Server, shred: Shred, ward: str) -> None:
    await server.put(f"{ward}/a", of("P-7007", 60))
    token = await server.token("pdrwlxgsi", ward)
    study = str((await seen(server, f"{ward}/a", token=token)).StudyInstanceUID)
    answer = await shred.try_look(token=token, patient=study)
    assert answer.status == 400
    assert "StudyInstanceUID" in answer.tree["detail"]


async def test_one_patient_id_of_two_people_takes_a_word_more(
    server: Server, shred: Shred, ward: str
) -> None:
    await server.put(f"{ward}/a", of("P-7008", 70))
    await server.put(f"{ward}/b", of("P-7008", 71, name="Okapi^O", born="20010203"))
    token = await server.token("pdrwlxgsi", ward)
    found = await shred.look(token=token, patient="P-7008")
    assert (found["images"], found["people"]) == (2, 2)
    answer = await shred.try_do(token=token, patient="P-7008", digest=found["digest"])
    assert answer.status == 409
    assert (await shred.do(token=token, patient="P-7008", people=2))["images"] == 2


async def test_no_log_line_audit_row_or_receipt_names_the_patient(
    server: Server, shred: Shred, ward: str
) -> None:
    await server.put(f"{ward}/a", of("P-7009", 80, name="Zorilla^Z"))
    token = await server.token("pdrwlxgsi", ward)
    with capture_logs() as logged:
        done = await shred.do(token=token, patient="P-7009")
    async with server.house.database.acquire() as db:
        told = [str(dict(row)) for row in await db.fetch("select * from audit where act like 'shred%'")]
        told += [str(dict(row)) for row in await db.fetch("select * from shredded_images")]
        told += [str(dict(row)) for row in await db.fetch("select * from shreds")]
    for text in (done["receipt"], str(logged), *told):
        assert "P-7009" not in text
        assert "Zorilla" not in text
        assert ward not in text


async def test_what_only_a_cohort_keeps_is_shredded_with_the_patient_and_the_cohort_says_so(
    server: Server, shred: Shred, ward: str
) -> None:
    for name in ("a", "b"):
        await server.put(f"{ward}/{name}", of("P-7010", 90 + ord(name)))
    images = [await image_of(server, f"{ward}/{name}") for name in ("a", "b")]
    cohort = {"surl": f"{ward}/pinned"}

    async def asked(verb: str, **more: Any) -> Any:
        reply = await server.call("POST", f"/cohorts/v1/{verb}", token=server.admin_token, json=cohort | more)
        assert reply.status in (200, 201), reply.body
        return reply.tree

    await asked("create", files=[f"{ward}/a", f"{ward}/b"], view="basic")
    await server.srm("rm", surls=[f"{ward}/a"])
    token = await server.token("pdrwlxgsi", ward)
    found = await shred.look(token=token, patient="P-7010")
    assert (found["images"], found["entries"], found["cohorts"]) == (2, 1, 2)
    done = await shred.do(token=token, patient="P-7010")
    assert done["state"] == "destroyed"
    assert await rows(server, "images where id = any($1::uuid[])", images) == 0
    assert {one["state"] for one in (await asked("members"))["members"]} == {"shredded"}


async def test_images_whose_every_view_is_refused_are_found_by_what_their_originals_say(
    server: Server, shred: Shred, ward: str
) -> None:
    image = dcmread(io.BytesIO(of("P-7011", 200)))
    image.BurnedInAnnotation = "YES"
    out = io.BytesIO()
    image.save_as(out, enforce_file_format=True)
    await server.put(f"{ward}/a", out.getvalue())
    assert await rows(
        server,
        "views where image = $1 and state = 'refused'",
        await image_of(server, f"{ward}/a"),
    )
    token = await server.token("pdrwlxgsi", ward)
    assert (await shred.do(token=token, patient="P-7011"))["images"] == 1


async def test_a_patient_id_in_another_character_set_is_found(
    server: Server, shred: Shred, ward: str
) -> None:
    for number, charset in enumerate(("ISO_IR 100", "ISO_IR 192")):
        image = dcmread(io.BytesIO(made(seed=6300 + number)))
        image.SpecificCharacterSet, image.PatientID = charset, "PÄTIENT-7012"
        out = io.BytesIO()
        image.save_as(out, enforce_file_format=True)
        await server.put(f"{ward}/{number}", out.getvalue())
    token = await server.token("pdrwlxgsi", ward)
    found = await shred.look(token=token, patient="PÄTIENT-7012")
    assert found["images"] == 2


async def test_a_patient_id_that_differs_in_case_is_anothers(server: Server, shred: Shred, ward: str) -> None:
    await server.put(f"{ward}/a", of("P-7013", 210))
    await server.put(f"{ward}/b", of("p-7013", 211))
    token = await server.token("pdrwlxgsi", ward)
    assert (await shred.do(token=token, patient="P-7013"))["images"] == 1
    assert await server.read(f"{ward}/b", token=token)
