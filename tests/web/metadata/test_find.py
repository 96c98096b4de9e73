"""Queries over HTTP: what they find, in which order, and what is told of it."""

import io
from typing import Any

import orjson
import pydicom
import pytest

from mdm_async.images.metadata import joining, ordering, rows
from tests.conftest import Reply, Server
from tests.web.made_images import made
from tests.web.metadata.conftest import Meta


def image(seed: int, **values: Any) -> bytes:
    """A small one that says this."""
    found = pydicom.dcmread(io.BytesIO(made(pixels=200, seed=seed)))
    for keyword, value in values.items():
        setattr(found, keyword, value)
    written = io.BytesIO()
    found.save_as(written, enforce_file_format=True)
    return written.getvalue()


async def asked(server: Server, query: str, token: str | None = None, **more: Any) -> Reply:
    shown = token or server.admin_token
    return await server.call("POST", "/meta/v1/find", token=shown, json={"query": query, **more})


def matches_of(answer: Reply) -> list[dict[str, Any]]:
    """All of a stream, which must end as it says."""
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    lines = [orjson.loads(line) for line in answer.body.splitlines() if line]
    assert "columns" in lines[0]
    assert lines[-1] == {"end": True}
    return [match for line in lines[1:-1] for match in line["matches"]]


async def found(server: Server, query: str, token: str | None = None, **more: Any) -> list[dict[str, Any]]:
    return matches_of(await asked(server, query, token, **more))


async def names(server: Server, query: str, path: str, token: str | None = None, **more: Any) -> str:
    """The last parts of the names of what is found: each is one letter."""
    matches = await found(server, query, token, path=path, **more)
    assert all(one["path"].startswith(path) for one in matches)
    return "".join(one["path"].rpartition("/")[2] for one in matches)


@pytest.fixture(scope="module")
async def study(server: Server) -> str:
    """a and b in one directory, c and d in another, and e beside them."""
    top = await server.directory()
    for below in ("one", "two"):
        await server.srm("mkdir", surl=f"{top}/{below}")
    said = {
        "one/a": {"Modality": "CT", "SliceThickness": 1.25, "KVP": 120},
        "one/b": {"Modality": "CT", "SliceThickness": 5, "KVP": None, "ImageType": ["ORIGINAL", "PRIMARY"]},
        "two/c": {
            "Modality": "MR",
            "SliceThickness": 1,
            "KVP": None,
            "EchoTime": 2.5,
            "ImageType": ["DERIVED", "PRIMARY"],
        },
        "two/d": {"Modality": "MR", "SliceThickness": None, "KVP": None, "PixelSpacing": [0.5, 0.75]},
        "e": {"Modality": "CT", "SliceThickness": 2, "KVP": 80, "GantryDetectorTilt": 2},
    }
    for seed, (name, values) in enumerate(said.items(), 1):
        await server.put(f"{top}/{name}", image(seed, **values))
    return top


@pytest.fixture(params=["by an index", "by looking at all"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to the same answer."""
    if request.param == "by looking at all":
        monkeypatch.setattr(rows, "_FEW", -1)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ('Modality = "CT"', "eab"),
        ('Modality = "CT" and SliceThickness < 2', "a"),
        ('Modality = "CT" or SliceThickness < 2', "eabc"),
        ('not Modality = "CT"', "cd"),
        ('Modality != "CT"', "cd"),
        ('Modality in ("CT", "PT")', "eab"),
        ('Modality not in ("CT", "PT")', "cd"),
        ("SliceThickness >= 1.25", "eab"),
        ("SliceThickness > 1.25 and SliceThickness <= 5", "eb"),
        ("SliceThickness = 5.0", "b"),
        ("SliceThickness != 5", "eac"),
        ("not SliceThickness = 5", "eacd"),
        ("SliceThickness is unknown", "d"),
        ("EchoTime is known", "c"),
        ('ImageType = "DERIVED"', "c"),
        ('ImageType = "PRIMARY" and KVP is unknown', "bcd"),
        ("PixelSpacing = 0.75", "d"),
        # One value is more, and another one less.
        ("PixelSpacing > 0.7 and PixelSpacing < 0.72", "d"),
        ('Modality like "C?"', "eab"),
        ('Modality like "?"', ""),
        ('Modality like "*R"', "cd"),
        ('Modality like "%"', ""),
        ('Modality like "C_"', ""),
        ('Modality like "C\\"', ""),
        ('Modality > "CT"', "cd"),
        ("GantryDetectorTilt = SliceThickness", "e"),
        ("GantryDetectorTilt != SliceThickness", "abc"),
        ('Modality = "\' or 1=1 --"', ""),
        ('Modality = "CT\' or true --"', ""),
        ('Modality in ("CT\'); drop table entries; --", "MR")', "cd"),
        ("SliceThickness < 1e308 and SliceThickness > -1e308", "eabc"),
        ('(Modality = "CT" and (KVP = 80 or KVP = 120)) or EchoTime = 2.5', "eac"),
    ],
)
async def test_what_is_found(server: Server, study: str, query: str, answer: str) -> None:
    assert sorted(await names(server, query, study)) == sorted(answer)


@pytest.mark.usefixtures("way")
async def test_the_values_are_those_of_the_views_bytes(server: Server, study: str) -> None:
    for match in await found(server, "Modality is known", path=study, select=["*"]):
        view = pydicom.dcmread(io.BytesIO(await server.read(match["path"])))
        said = match["values"]
        assert len(said) > 10
        assert match["view"] == "basic"
        for keyword in ("Modality", "SOPInstanceUID", "PatientID", "StudyInstanceUID"):
            assert said[keyword] == [view[keyword].value]
        (again,) = await found(server, f'SOPInstanceUID = "{view.SOPInstanceUID}"', path=study)
        assert again["path"] == match["path"]
        (again,) = await found(server, f'PatientID = "{view.PatientID}"', path=study)
        assert again["path"] == match["path"]


async def test_some_are_selected(server: Server, study: str) -> None:
    (match,) = await found(
        server, "EchoTime is known", path=study, select=["SliceThickness", "KVP", "ImageType"]
    )
    assert match["values"] == {"SliceThickness": [1.0], "ImageType": ["DERIVED", "PRIMARY"]}
    answer = await asked(server, "EchoTime is known", path=study, select=["SliceThickness", "Modality"])
    columns = orjson.loads(answer.body.splitlines()[0])
    number, text = ({"kind": kind, "many": False} for kind in ("number", "text"))
    assert columns == {"columns": {"SliceThickness": number, "Modality": text}}


async def test_a_file_is_asked_about_by_itself(server: Server, study: str) -> None:
    assert await names(server, 'Modality = "CT"', f"{study}/one/a") == "a"
    assert await names(server, 'Modality = "MR"', f"{study}/one/a") == ""
    assert await names(server, 'Modality = "CT"', f"{study}/one") == "ab"


@pytest.mark.usefixtures("way")
async def test_matches_are_put_in_order_by_their_values(server: Server, study: str) -> None:
    known = "Modality is known"
    assert await names(server, known, study, order=["SliceThickness"]) == "caebd"
    assert await names(server, known, study, order=["-SliceThickness"]) == "beacd"
    assert await names(server, known, study, order=["-Modality", "SliceThickness"]) == "cdaeb"
    assert await names(server, known, study, order=["SliceThickness"], limit=2) == "ca"
    first = (await found(server, known, path=study, order=["SliceThickness"], select=["Modality"], limit=1))[
        0
    ]
    assert first["values"] == {"Modality": ["MR"]}


async def test_too_many_to_be_put_in_order_are_told_so(
    server: Server, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "MOST_ORDERED", 3)
    answer = await asked(server, "Modality is known", path=study, order=["SliceThickness"])
    assert answer.tree["type"] == "urn:mdm:error:too-large"
    answer = await asked(server, "Modality is known", path=study, order=["SliceThickness"], limit=4)
    assert answer.tree["type"] == "urn:mdm:error:too-large"
    assert await names(server, "Modality is known", study, order=["SliceThickness"], limit=3) == "cae"
    few = await names(server, 'Modality = "CT"', study, order=["-SliceThickness"], limit=1000)
    assert few == "bea"
    monkeypatch.setattr(ordering, "MOST_KEPT", 3)
    assert await names(server, "Modality is known", study, order=["SliceThickness"], limit=3) == "cae"
    answer = await asked(
        server, "Modality is known", path=study, order=["SliceThickness", "Modality"], limit=3
    )
    assert (answer.status, answer.tree["type"]) == (413, "urn:mdm:error:too-large")


@pytest.mark.usefixtures("way")
async def test_a_page_has_only_so_many_values_and_all_come(
    server: Server, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[int] = []

    async def among(*args: Any) -> Any:
        pages.append(len(args[1]))
        return await real(*args)

    real = rows.matches.among
    monkeypatch.setattr(rows.matches, "among", among)
    monkeypatch.setattr(rows, "_LEAST", 1)
    assert rows.looked_at([]) > 10_000
    monkeypatch.setattr(rows, "_PAGE_BYTES", 2 * (rows._ROW + rows._SAID))
    assert await names(server, 'Modality in ("CT", "MR")', study, select=["Modality"]) == "eabcd"
    assert pages in ([], [2, 2, 1])
    monkeypatch.setattr(rows, "_PAGE_BYTES", 1)
    assert await names(server, 'Modality in ("CT", "MR")', study, select=["*"]) == "eabcd"


@pytest.mark.usefixtures("way")
async def test_an_answer_is_gone_on_with_from_any_cursor(
    server: Server, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "LOOKED_AT", 2)
    whole = await names(server, "Modality is known", study)
    assert sorted(whole) == list("abcde")
    seen, after = "", None
    for _ in range(5):
        answer = await asked(
            server, "Modality is known", path=study, limit=1, **({} if after is None else {"after": after})
        )
        line = orjson.loads(answer.body.splitlines()[1])
        after = line["cursor"]
        seen += line["matches"][0]["path"][-1]
    assert seen == whole
    assert await names(server, "Modality is known", study, after=after) == ""


@pytest.mark.usefixtures("way")
async def test_a_cursor_leads_on_in_a_directory_that_one_traverses_and_does_not_see(server: Server) -> None:
    top = await server.directory()
    await server.srm("mkdir", surl=f"{top}/d")
    name = f"passing{top[2:]}"
    rights = {"/": "x", top: "xl", f"{top}/d": "x"}
    for seed, file in enumerate("abc", 300):
        await server.put(f"{top}/d/{file}", image(seed, Modality="CT"))
        rights[f"{top}/d/{file}"] = "gr"
    try:
        for path, given in rights.items():
            rule = {"principal": f"user:{name}", "rights": given}
            await server.srm("setPermission", surls=[path], permissionType="ADD", rules=[rule])
        passing, stranger = await server.token("", name=name), await server.token("gl", top)
        answer = await asked(server, 'Modality = "CT"', passing, path=top, limit=1)
        after = orjson.loads(answer.body.splitlines()[1])["cursor"]
        assert await names(server, 'Modality = "CT"', top, passing, after=after) == "bc"
        # It leads nowhere beside the directory, and tells nobody else that that is there.
        await server.srm("mkdir", surl=f"{top}/e")
        assert (await asked(server, 'Modality = "CT"', path=f"{top}/e", after=after)).status == 400
        await server.srm("setPermission", surls=[f"{top}/d"], permissionType="SET", rules=[])
        assert (await asked(server, 'Modality = "CT"', passing, path=top, after=after)).status == 400
        assert (await asked(server, 'Modality = "CT"', stranger, path=top, after=after)).status == 200
    finally:  # the server is others' too
        rule = {"principal": f"user:{name}", "rights": "x"}
        await server.srm("setPermission", surls=["/"], permissionType="REMOVE", rules=[rule])


async def test_what_is_no_cursor_leads_nowhere(server: Server, study: str) -> None:
    for after in ("x", "", "AAAA", "A" * 30, "é"):
        answer = await asked(server, "Modality is known", path=study, after=after)
        assert answer.status == 400, after


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"query": "Modalty = 'CT'"}, "is it Modality?"),
        ({"query": "Modality = 3"}, "is text"),
        ({"query": "mine.quality = 3"}, "no such attribute"),
        ({"query": "c.mine.quality = 3"}, "no such attribute"),
        ({"query": " or ".join(["KVP=1"] * 10_000)}, "query"),
        ({"query": "KVP = 1", "select": ["Foo"]}, "not here"),
        ({"query": "KVP = 1", "order": ["Foo"]}, "not here"),
        ({"query": "KVP = 1", "order": ["KVP"], "after": "x"}, "order"),
        ({"query": "KVP = 1", "joins": {"and": "/"}}, "alias"),
        ({"query": "KVP = 1", "joins": {"c": "/"}}, "joined to what"),
        ({"query": "KVP = 1 and c.KVP > KVP", "joins": {"c": "/"}}, "joined to what"),
        ({"query": "KVP = 1", "view": "No"}, "view"),
        ({"query": "KVP = 1", "path": "/@basic/x"}, "view"),
        ({"query": "KVP = 1", "limit": 0}, "limit"),
        ({"query": "KVP = \u0000"}, "NUL"),
    ],
)
async def test_what_cannot_be_asked_is_told_so(server: Server, more: dict[str, Any], told: str) -> None:
    answer = await server.call("POST", "/meta/v1/find", token=server.admin_token, json=more)
    assert answer.status == 400
    assert told in answer.body.decode()


async def test_own_attributes_are_asked_about_beside_those_of_images(
    server: Server, study: str, meta: Meta
) -> None:
    attributes = [{"name": "quality", "kind": "int"}, {"name": "state"}, {"name": "seen", "kind": "date"}]
    await meta("schemas/create", surl=study, name="mine", attributes=attributes)
    for name, quality in (("one/a", 3), ("one/b", 1), ("two", 7)):
        await meta("set", surls=[f"{study}/{name}"], values={"mine.quality": quality, "mine.state": "it's"})
    await meta("set", surls=[f"{study}/e"], values={"mine.seen": "2026-01-31"})
    query = 'Modality = "CT" and SliceThickness < 2 and mine.quality >= 3'
    assert await names(server, query, study) == "a"
    # Without a view, whatever has it.
    matches = await found(server, "mine.quality >= 3", path=study, select=["mine.quality", "Modality"])
    assert [one["path"].removeprefix(study) for one in matches] == ["/two", "/one/a"]
    assert [one["values"] for one in matches] == [
        {"mine.quality": [7]},
        {"mine.quality": [3], "Modality": ["CT"]},
    ]
    assert await names(server, "mine.quality >= 3", study, view="basic") == "a"
    assert await names(server, 'mine.state = "it\'s" and mine.quality < 3', study) == "b"
    assert await names(server, "mine.seen = 20260131", study) == "e"
    assert await names(server, "not mine.quality > 0", study, view="basic") == "ecd"
    assert await names(server, "KVP > mine.quality", study) == "a"
    assert await names(server, "mine.quality is known", study, order=["-mine.quality"], view="basic") == "ab"
    # A nearer collection of the name is another.
    await meta("schemas/create", surl=f"{study}/two", name="mine", attributes=[{"name": "other"}])
    answer = await asked(server, "mine.quality = 3", path=f"{study}/two")
    assert answer.status == 400
    # One that goes while it is asked about is known of nothing.
    await meta("schemas/change", surl=study, name="mine", remove=["seen"])
    assert (await asked(server, "mine.seen = 20260131", path=study)).status == 400


@pytest.fixture
async def clinical(server: Server, study: str, meta: Meta) -> str:
    """Three patients, of whom one has the images a and b."""
    top = await server.directory()
    attributes = [{"name": "patient"}, {"name": "age", "kind": "int"}, {"name": "kvp", "kind": "float"}]
    await meta("schemas/create", surl=top, name="clin", attributes=attributes)
    (a,) = await found(server, "Modality is known", path=f"{study}/one/a", select=["PatientID"])
    (c,) = await found(server, "Modality is known", path=f"{study}/two/c", select=["PatientID"])
    patients = {"p": (a, 61, 120), "q": (a, 33, 1), "r": (c, 70, 2)}
    for name, (one, age, kvp) in patients.items():
        await server.srm("mkdir", surl=f"{top}/{name}")
        values = {"clin.patient": one["values"]["PatientID"][0], "clin.age": age, "clin.kvp": kvp}
        assert (await meta("set", surls=[f"{top}/{name}"], values=values)).status == 200
    return top


@pytest.mark.usefixtures("way")
async def test_collections_are_joined(server: Server, study: str, clinical: str) -> None:
    query = "c.clin.patient = PatientID and c.clin.age > 60"
    more: dict[str, Any] = {"path": study, "joins": {"c": clinical}, "select": ["Modality", "c.clin.age"]}
    matches = await found(server, query, **more)
    assert [(one["path"][-1], one["values"]) for one in matches] == [
        ("a", {"Modality": ["CT"], "c.clin.age": [61]}),
        ("c", {"Modality": ["MR"], "c.clin.age": [70]}),
    ]
    (match,) = await found(server, f'{query} and Modality = "MR"', **more)
    assert match["path"][-1] == "c"
    assert [one["path"][-1] for one in await found(server, f"{query} and c.clin.kvp = KVP", **more)] == ["a"]
    every = await found(server, "PatientID = c.clin.patient", order=["-c.clin.age"], **more)
    assert [one["values"]["c.clin.age"] for one in every] == [[70], [61], [33]]
    both = {**more, "joins": {"c": clinical, "d": clinical}, "select": ["c.clin.age", "d.clin.age"]}
    pairs = await found(
        server,
        "c.clin.patient = PatientID and d.clin.patient = PatientID and c.clin.age < d.clin.age",
        **both,
    )
    assert [one["values"] for one in pairs] == [{"c.clin.age": [33], "d.clin.age": [61]}]


async def test_too_much_to_be_joined_is_told_so(
    server: Server, study: str, clinical: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "MOST_JOINED", 2)
    answer = await asked(server, "c.clin.patient = PatientID", path=study, joins={"c": clinical})
    assert answer.tree["type"] == "urn:mdm:error:too-large"
    narrowed = "c.clin.patient = PatientID and c.clin.age > 60"
    assert len(await found(server, narrowed, path=study, joins={"c": clinical})) == 2
    monkeypatch.setattr(joining, "MOST_JOINED_BYTES", 100)
    answer = await asked(server, narrowed, path=study, joins={"c": clinical})
    assert answer.tree["type"] == "urn:mdm:error:too-large"
