"""Queries about originals: with the right 'i' alone, for equality alone, and never by what the catalog could read."""

import pytest

from mdm_async.images.metadata import rows
from tests.conftest import Server
from tests.web.metadata.conftest import Meta
from tests.web.metadata.test_find import asked, found, image, names

NAME = "Schmidt^Erika"


@pytest.fixture(scope="module")
async def study(server: Server) -> str:
    """a and b are of one patient, c is of another."""
    top = await server.directory()
    for seed, (name, patient, birth) in enumerate(
        (("a", "4711", "19501231"), ("b", "4711", "19501231"), ("c", "0815", "19600101")), 300
    ):
        said = {"PatientID": patient, "PatientName": NAME, "PatientBirthDate": birth, "Modality": "CT"}
        await server.put(f"{top}/{name}", image(seed, **said))
    return top


@pytest.fixture
async def doctor(server: Server, study: str) -> str:
    return await server.token("rlgi", study)


@pytest.fixture(params=["by an index", "by looking at all"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by looking at all":
        monkeypatch.setattr(rows, "_FEW", -1)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ('PatientID = "4711"', "ab"),
        ('PatientID = "4712"', ""),
        ('PatientID = "4711" and Modality = "CT"', "ab"),
        ('PatientID in ("0815", "4711") and not PatientBirthDate = "1950-12-31"', "c"),
        ('PatientID != "4711"', "c"),
        (f'PatientName = "{NAME.lower()}"', "abc"),
        ("PatientBirthDate is known", "abc"),
        ('PatientID = "4711" or PatientID = "0815"', "abc"),
    ],
)
async def test_originals_are_found_by_their_values(
    server: Server, study: str, doctor: str, query: str, answer: str
) -> None:
    assert await names(server, query, study, doctor, view="identified") == answer


async def test_what_originals_say_is_told_and_audited(server: Server, study: str, doctor: str) -> None:
    select = ["PatientID", "PatientName", "StudyDescription"]
    (match,) = await found(server, 'PatientID = "0815"', doctor, path=study, view="identified", select=select)
    assert match["values"]["PatientID"] == ["0815"]
    assert match["values"]["PatientName"] == [NAME]
    assert match["view"] == "identified"
    (whole,) = await found(server, 'PatientID = "0815"', doctor, path=study, view="identified", select=["*"])
    assert whole["values"]["PatientBirthDate"] == ["19600101"]
    shown = await server.call(
        "POST",
        "/admin/v1/audit/show",
        token=server.admin_token,
        json={"guid": match["guid"], "act": "find", "last": 1},
    )
    (row,) = shown.tree["rows"]
    assert (row["view"], row["guid"]) == ("identified", match["guid"])
    assert NAME not in shown.body.decode()


@pytest.mark.usefixtures("way")
async def test_nobody_else_finds_anything_by_them(server: Server, study: str) -> None:
    for rights in ("rlg", "rlgs", "gli"):
        token = await server.token(rights, study)
        for query in ('PatientID = "4711"', 'not PatientID = "4711"', "PatientID is known"):
            assert await names(server, query, study, token, view="identified") == "", rights
    reader = await server.token("rlg", study)
    for query in ('PatientID = "4711"', f'PatientName = "{NAME}"', 'PatientBirthDate = "19501231"'):
        assert await names(server, query, study, reader) == ""
    assert await names(server, 'Modality = "CT"', study, reader) == "abc"
    # Whoever may identify, and asks about what the others see, gets what they get.
    doctor = await server.token("rlgi", study)
    assert await names(server, 'PatientID = "4711"', study, doctor) == ""


@pytest.mark.parametrize(
    "query",
    [
        'PatientBirthDate > "19500101"',
        'PatientName like "S*"',
        "SliceThickness = 2",
        "PatientID = AccessionNumber",
    ],
)
async def test_they_are_compared_for_equality_alone(
    server: Server, study: str, doctor: str, query: str
) -> None:
    answer = await asked(server, query, doctor, path=study, view="identified")
    assert answer.status == 400
    assert answer.tree["type"] == "urn:mdm:error:bad-query"


async def test_they_are_put_in_no_order_and_joined_by_own_attributes_alone(
    server: Server, study: str, doctor: str, meta: Meta
) -> None:
    more = {"path": study, "view": "identified"}
    answer = await asked(server, 'PatientID = "4711"', doctor, order=["PatientName"], **more)
    assert answer.status == 400
    answer = await asked(server, "c.PatientID = PatientID", doctor, joins={"c": study}, **more)
    assert answer.status == 400
    await meta("schemas/create", surl=study, name="mine", attributes=[{"name": "quality", "kind": "int"}])
    for name, quality in (("a", 3), ("b", 1), ("c", 7)):
        await meta("set", surls=[f"{study}/{name}"], values={"mine.quality": quality})
    assert (
        await names(server, 'PatientID = "4711"', study, doctor, view="identified", order=["mine.quality"])
        == "ba"
    )
    pairs = await found(
        server, 'c.mine.quality = mine.quality and PatientID = "4711"', doctor, joins={"c": study},
        select=["c.mine.quality", "PatientID"], **more,
    )  # fmt: skip
    assert [one["values"] for one in pairs] == [
        {"c.mine.quality": [3], "PatientID": ["4711"]},
        {"c.mine.quality": [1], "PatientID": ["4711"]},
    ]
