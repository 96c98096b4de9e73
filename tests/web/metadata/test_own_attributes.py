"""Collections and the values that entries carry: made, set, shown, and by whom."""

import asyncio
import io
import random
import time
from typing import Any

import orjson
import pydicom
import pytest

from mdm_async.images.metadata import own_kinds, schemas, values
from mdm_async.images.names.guesses import LETTERS
from mdm_async.images.upkeep.values import forget_values
from mdm_async.postgres.database import Connection
from mdm_async.web.metadata import own_attributes
from tests.conftest import Server
from tests.faults.conditions import until
from tests.web.made_images import made
from tests.web.metadata.conftest import Meta

QUALITY = [
    {"name": "quality", "kind": "int"}, {"name": "note"}, {"name": "weight", "kind": "float"},
    {"name": "reviewed", "kind": "date"}, {"name": "state", "kind": "text", "choices": ["new", "running", "done"]},
]  # fmt: skip


@pytest.fixture
async def schema(meta: Meta, folder: str) -> str:
    """A directory with the collection `mine`."""
    assert (await meta("schemas/create", surl=folder, name="mine", attributes=QUALITY)).status == 201
    return folder


async def own(meta: Meta, surl: str, token: str | None = None) -> dict[str, Any]:
    (file,) = (await meta("get", token, surls=[surl])).tree["files"]
    found: dict[str, Any] = file["own"]
    return found


async def test_values_are_set_shown_changed_and_taken_away(
    server: Server, meta: Meta, schema: str, ct: bytes
) -> None:
    file = f"{schema}/a.dcm"
    await server.put(file, ct)
    given = {
        "mine.quality": "3", "mine.note": "much noise", "mine.weight": 0.5, "mine.reviewed": "20240229",
        "mine.state": "new",
    }  # fmt: skip
    assert (await meta("set", surls=[file], values=given)).status == 200
    told = {
        "quality": 3, "note": "much noise", "weight": 0.5, "reviewed": "2024-02-29", "state": "new",
    }  # fmt: skip
    assert await own(meta, file) == {"mine": told}
    await meta("set", surls=[file], values={"mine.quality": 4, "mine.note": None, "mine.weight": None})
    assert await own(meta, file) == {"mine": {"quality": 4, "reviewed": "2024-02-29", "state": "new"}}


async def test_what_was_compared_with_one_patient_is_not_set_on_the_image_of_another(
    server: Server, meta: Meta, schema: str, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.put(f"{schema}/a.dcm", made())
    await server.put(f"{schema}/b.dcm", ct)
    keep = values.keep

    async def overwritten_meanwhile(db: Connection, attributes: set[int]) -> None:
        async with server.house.database.acquire() as other:
            await other.execute(
                "update entries a set image = b.image from entries b join entries d on d.id = b.parent"
                " where d.name = $1 and a.parent = d.id and a.name = 'a.dcm' and b.name = 'b.dcm'",
                schema[1:],
            )
        await keep(db, attributes)

    monkeypatch.setattr(values, "keep", overwritten_meanwhile)
    name = {"mine.note": "CompressedSamples of CT1"}
    answer = await meta("set", surls=[f"{schema}/a.dcm"], values=name)
    assert "just been overwritten" in answer.body.decode()
    monkeypatch.undo()
    assert await own(meta, f"{schema}/a.dcm") == {}


async def test_directories_have_values_too_and_each_entry_fails_by_itself(
    server: Server, meta: Meta, schema: str
) -> None:
    answer = await meta("set", surls=[schema, f"{schema}/absent"], values={"mine.quality": 3})
    assert [one["status"]["statusCode"] for one in answer.tree["files"]] == [
        "SRM_SUCCESS",
        "SRM_INVALID_PATH",
    ]
    assert await own(meta, schema) == {"mine": {"quality": 3}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mine.quality", value)
        for value in (
            "3.5",
            3.5,
            "three",
            "",
            "9" * 17,
            2**53 + 1,
            1e300,
            "1e3",
            " 3",
            "0x3",
            True,
            "٣",
            "NaN",
        )
    ]
    + [("mine.weight", value) for value in ("heavy", "nan", "inf", "1e999", "", "--1")]
    + [
        ("mine.reviewed", value)
        for value in ("2024-02-30", "2024-2-3", "20240230", "2024-0229", 2024, "today")
    ]
    + [("mine.state", value) for value in ("begun", "New", "new ", 1)]
    + [("mine.note", value) for value in ("", "x" * 1025, "é" * 513, "nul\0", ["a"], {"a": 1})]
    + [
        ("mine.absent", 1),
        ("other.quality", 1),
        ("quality", 1),
        ("mine.quality.more", 1),
        ("", 1),
        ("mine.", 1),
    ],
)
async def test_what_is_no_value_of_its_kind_is_refused_and_changes_nothing(
    meta: Meta, schema: str, name: str, value: Any
) -> None:
    await meta("set", surls=[schema], values={"mine.quality": 1})
    answer = await meta("set", surls=[schema], values={"mine.quality": 2} | {name: value})
    failed = answer.tree["files"][0]["status"] if "files" in answer.tree else answer.tree
    assert answer.status in (400, 404), answer.body
    assert failed.get("remedy") or failed.get("detail")
    assert await own(meta, schema) == {"mine": {"quality": 1}}


@pytest.mark.parametrize(
    "value", ["'; drop table own_values; --", '" or 1=1', "%", "\\", "𝔘𝔫𝔦", "$1", "x" * 1024, "-0", "null"]
)
async def test_text_is_kept_as_it_is(meta: Meta, schema: str, value: str) -> None:
    assert (await meta("set", surls=[schema], values={"mine.note": value})).status == 200
    assert await own(meta, schema) == {"mine": {"note": value}}


async def test_the_nearest_collection_of_a_name_is_in_force(server: Server, meta: Meta, schema: str) -> None:
    inner = f"{schema}/inner"
    await server.srm("mkdir", surl=f"{inner}/deeper", parents=True)
    await meta("set", surls=[inner], values={"mine.quality": 1})
    await meta("schemas/create", surl=inner, name="mine", attributes=[{"name": "quality"}])
    assert await own(meta, inner) == {}
    await meta("set", surls=[f"{inner}/deeper"], values={"mine.quality": "good"})
    assert await own(meta, f"{inner}/deeper") == {"mine": {"quality": "good"}}
    shown = (await meta("schemas/show", surl=f"{inner}/deeper")).tree["schemas"]
    assert [(one["name"], one["at"], len(one["attributes"])) for one in shown] == [("mine", inner, 1)]
    await meta("schemas/drop", surl=inner, name="mine")
    assert await own(meta, inner) == {"mine": {"quality": 1}}


async def test_values_are_seen_where_their_collection_is_in_force(
    server: Server, meta: Meta, schema: str
) -> None:
    elsewhere = await server.directory()
    await server.srm("mkdir", surl=f"{schema}/moved")
    await meta("set", surls=[f"{schema}/moved"], values={"mine.quality": 1})
    await server.srm("mv", fromSURL=f"{schema}/moved", toSURL=f"{elsewhere}/moved")
    assert await own(meta, f"{elsewhere}/moved") == {}
    await server.srm("mv", fromSURL=f"{elsewhere}/moved", toSURL=f"{schema}/back")
    assert await own(meta, f"{schema}/back") == {"mine": {"quality": 1}}


async def test_a_copy_has_them_too(server: Server, meta: Meta, schema: str, ct: bytes) -> None:
    await server.put(f"{schema}/a.dcm", ct)
    await meta("set", surls=[f"{schema}/a.dcm"], values={"mine.quality": 1})
    to = {"Destination": f"{server.url}/dav{schema}/b.dcm"}
    copied = await server.call("COPY", f"/dav{schema}/a.dcm", token=server.admin_token, headers=to)
    assert copied.status == 201
    assert await own(meta, f"{schema}/b.dcm") == {"mine": {"quality": 1}}


async def test_another_image_that_takes_its_place_has_none_of_them(
    server: Server, meta: Meta, schema: str, ct: bytes
) -> None:
    await server.put(f"{schema}/a.dcm", ct)
    await meta("set", surls=[f"{schema}/a.dcm"], values={"mine.quality": 1})
    await server.put(f"{schema}/a.dcm", ct + bytes(2), overwrite=True)
    assert await own(meta, f"{schema}/a.dcm") == {}


async def test_attributes_are_added_and_removed_with_their_values(
    server: Server, meta: Meta, schema: str
) -> None:
    await meta("set", surls=[schema], values={"mine.quality": 1, "mine.note": "x"})
    asked = {"surl": schema, "name": "mine"}
    changed = await meta(
        "schemas/change", **asked, add=[{"name": "quality", "kind": "text"}], remove=["quality"]
    )
    assert changed.status == 200
    assert await own(meta, schema) == {"mine": {"note": "x"}}
    again = await meta("schemas/change", **asked, add=[{"name": "note"}])
    assert (again.status, (await meta("schemas/change", **asked, remove=["absent"])).status) == (409, 404)
    await meta("schemas/drop", **asked)
    assert (await meta("schemas/drop", **asked)).status == 404
    assert await own(meta, schema) == {}


async def test_values_of_what_was_removed_go_from_the_catalog(own_server: Server) -> None:
    server = own_server
    folder = await server.directory()
    await server.srm("mkdir", surl=f"{folder}/a")

    async def call(verb: str, **body: Any) -> None:
        answer = await server.call("POST", f"/meta/v1/{verb}", token=server.admin_token, json=body)
        assert answer.status in (200, 201), answer.body

    async def left() -> int:
        await forget_values(server.house.lanes.bulk, "test")
        async with server.house.database.acquire() as db:
            return int(await db.fetchval("select count(*) from own_values"))

    values = {"mine.quality": 3, "mine.note": "x"}
    await call("schemas/create", surl=folder, name="mine", attributes=QUALITY)
    await call("set", surls=[folder, f"{folder}/a"], values=values)
    await call("schemas/change", surl=folder, name="mine", remove=["quality"])
    assert await left() == 2
    await call("schemas/drop", surl=folder, name="mine")
    assert await left() == 0
    # What was moved out of a directory keeps nothing of its collections when it goes.
    await call("schemas/create", surl=folder, name="mine", attributes=QUALITY)
    await call("set", surls=[f"{folder}/a"], values=values)
    await server.srm("mv", fromSURL=f"{folder}/a", toSURL="/moved-out")
    await server.srm("rmdir", surl=folder)
    await server.house.sweeper.destroy()
    assert await left() == 0


async def test_text_that_tells_who_the_patient_is_is_refused(own_server: Server, ct: bytes) -> None:
    server = own_server
    image = pydicom.dcmread(io.BytesIO(ct))
    image.PatientID, image.PatientBirthDate = "12345678", "19690720"
    written = io.BytesIO()
    image.save_as(written)
    folder = await server.directory()
    await server.put(f"{folder}/a.dcm", written.getvalue())

    async def call(verb: str, **body: Any) -> tuple[int, Any]:
        answer = await server.call("POST", f"/meta/v1/{verb}", token=server.admin_token, json=body)
        return answer.status, answer.tree

    await call("schemas/create", surl=folder, name="mine", attributes=QUALITY)
    name = str(image.PatientName).partition("^")[0]
    assert len(name) > 3
    for given in (
        {"mine.note": f"scan of {name.lower()}"}, {"mine.quality": 12345678}, {"mine.weight": 12345678.5},
        {"mine.reviewed": "1969-07-20"},
    ):  # fmt: skip
        status, told = await call("set", surls=[f"{folder}/a.dcm"], values=given | {"mine.state": "new"})
        assert status == 400, told
        assert "identifiers of the file's patient" in told["detail"]
    assert (await call("get", surls=[f"{folder}/a.dcm"]))[1]["files"][0]["own"] == {}
    assert (await call("set", surls=[folder], values={"mine.quality": 12345678}))[0] == 200
    await until(lambda: not server.house.refusals._queue)
    async with server.house.database.acquire() as db:
        refused = await db.fetch(
            "select act from audit where outcome = 'refused' and details ->> 'right' = 'i'"
        )
    assert refused


async def test_many_guesses_at_a_patients_name_cost_as_many_hits(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a request every guess that matches counts, nothing is set, and how much may be guessed is bounded."""
    server = own_server
    folder = await server.directory()
    image = pydicom.dcmread(io.BytesIO(ct))
    name = str(image.PatientName).partition("^")[0]
    await server.put(f"{folder}/a.dcm", ct)
    attributes = [{"name": f"n{n}"} for n in range(30)]

    async def call(verb: str, **body: Any) -> tuple[int, Any]:
        answer = await server.call("POST", f"/meta/v1/{verb}", token=server.admin_token, json=body)
        return answer.status, answer.tree

    async def tried(surls: list[str], *texts: str) -> tuple[int, str]:
        values = {f"mine.n{n}": text for n, text in enumerate(texts)}
        status, told = await call("set", surls=surls, values=values)
        return status, str(told)

    most = 20
    refused = server.house.names_refused
    monkeypatch.setattr(refused, "rate", most / 3600)
    monkeypatch.setattr(refused, "burst", most)
    await call("schemas/create", surl=folder, name="mine", attributes=attributes)
    both = [f"{folder}/a.dcm", folder]
    status, told = await tried(both, "quiet", f"{name} 1", f"{name} 2", f"{name} 3")
    assert (status, "identifiers of the file's patient" in told) == (400, True)
    assert (await call("get", surls=both))[1]["files"][1]["own"] == {}
    (owed,) = (one - time.monotonic() for one in refused._full.values())
    assert owed * most / 3600 == pytest.approx(3, abs=0.4)
    assert (await tried(both, *(f"{name} {n}" for n in range(most))))[0] == 400
    assert (await tried(both, "quiet"))[0] == 403

    refused._full.clear()
    side_by_side = await asyncio.gather(*(tried(both, f"{name} {n}") for n in range(3 * most)))
    assert sum(status == 400 for status, _ in side_by_side) <= most
    monkeypatch.setattr(refused, "rate", 0)
    monkeypatch.setattr(server.house.guesses, "limited", True)
    letters = random.Random(1)
    guesses = [
        ["".join(letters.choices("abcdefghijklm", k=1000)) for _ in range(LETTERS // 2500)] for _ in range(3)
    ]
    assert [(await tried(both, *some))[0] for some in guesses] == [200, 200, 403]
    assert (await tried([folder], *guesses[2]))[0] == 200


async def test_what_was_compared_with_a_patient_lately_may_be_set_as_often_as_one_likes(
    own_server: Server, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server
    folder = await server.directory()
    file = f"{folder}/a.dcm"
    await server.put(file, ct)
    monkeypatch.setattr(server.house.guesses, "limited", True)

    async def call(verb: str, **body: Any) -> tuple[int, Any]:
        answer = await server.call("POST", f"/meta/v1/{verb}", token=server.admin_token, json=body)
        return answer.status, answer.tree

    attributes = [{"name": "state", "choices": ["new", "running"]}, {"name": "worker"}, {"name": "note"}]
    await call("schemas/create", surl=folder, name="mine", attributes=attributes)
    at_work = {"mine.state": "running", "mine.worker": "node seventeen " * 60, "mine.note": "begun " * 160}
    new = 'mine.state = "new"'
    for _ in range(LETTERS // 1800 + 2):
        assert (await call("set", surls=[file], values={"mine.state": "new"}))[0] == 200
        status, told = await call("take", query=new, path=folder, values=at_work)
        assert (status, [one["path"] for one in told.get("taken", ())]) == (200, [file])
        assert (await call("set", surls=[file], values={"mine.note": at_work["mine.note"]}))[0] == 200

    def other(n: int) -> dict[str, str]:
        return {"mine.note": "".join(random.Random(n).choices("abcdefghijklm", k=1000))}

    tried = [(await call("set", surls=[file], values=other(n)))[0] for n in range(LETTERS // 1000)]
    assert set(tried) == {200, 403}
    assert tried == sorted(tried)
    # Whoever may try nothing new goes on with what he has tried.
    assert (await call("set", surls=[file], values=at_work | {"mine.state": "new"}))[0] == 200
    assert (await call("take", query=new, path=folder, values=at_work))[1]["taken"]
    assert (await call("set", surls=[file], values=at_work | other(LETTERS)))[0] == 403


async def test_it_takes_g_to_see_s_to_set_and_d_to_take_away(server: Server, meta: Meta, schema: str) -> None:
    await meta("set", surls=[schema], values={"mine.quality": 1})
    sees, sets = await server.token("xlg", schema), await server.token("xlgs", schema)
    nothing, lists = await server.token("r", "/elsewhere"), await server.token("xl", schema)
    assert await own(meta, schema, sees) == {"mine": {"quality": 1}}
    assert (await meta("get", lists, surls=[schema])).status == 403
    hidden = await meta("get", nothing, surls=[schema])
    free = await meta("get", nothing, surls=[f"{schema}x"])
    assert (hidden.status, free.status) == (404, 404)
    assert hidden.tree["files"][0]["status"] == free.tree["files"][0]["status"]
    values = {"mine.quality": 2}
    assert (await meta("set", sees, surls=[schema], values=values)).status == 403
    assert (await meta("set", sets, surls=[schema], values=values)).status == 200
    new = {"surl": schema, "name": "theirs"}
    assert (await meta("schemas/create", sees, **new)).status == 403
    assert (await meta("schemas/create", sets, **new)).status == 201
    assert (await meta("schemas/create", sets, **new)).status == 409
    assert (await meta("schemas/drop", sets, **new)).status == 403
    assert (await meta("schemas/change", sets, surl=schema, name="mine", remove=["note"])).status == 403
    both = await server.token("xlgsd", schema)
    assert (await meta("schemas/drop", both, **new)).status == 200


async def test_a_schema_has_bounds(server: Server, meta: Meta, folder: str, ct: bytes) -> None:
    async def made(**body: Any) -> int:
        return (await meta("schemas/create", **{"surl": folder, "name": "a"} | body)).status

    many = [{"name": f"a{n}"} for n in range(201)]
    assert await made(attributes=many) == 400
    assert await made(attributes=[{"name": "a", "kind": "blob"}]) == 400
    assert await made(attributes=[{"name": "a", "kind": "int", "choices": ["1"]}]) == 400
    assert await made(attributes=[{"name": "a", "choices": []}]) == 400
    assert await made(attributes=[{"name": "a", "choices": [str(n) for n in range(101)]}]) == 400
    assert await made(attributes=[{"name": "a"}, {"name": "a"}]) == 409
    for name in ("", "1a", "a b", "a.b", "a'", "é", "a" * 64, "a\n", '"'):
        assert await made(name=name) == 400, name
        assert await made(attributes=[{"name": name}]) == 400, name
    assert await made(attributes=many[:200]) == 201
    assert (await meta("schemas/change", surl=folder, name="a", add=[{"name": "more"}])).status == 400
    await server.put(f"{folder}/a.dcm", ct)
    assert await made(surl=f"{folder}/a.dcm") == 409


async def test_a_directory_has_a_bounded_number_of_collections(
    meta: Meta, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mdm_async.images.metadata.schemas.MOST_COLLECTIONS", 3)
    made = await asyncio.gather(*(meta("schemas/create", surl=folder, name=f"c{n}") for n in range(9)))
    assert sorted(one.status for one in made) == [201] * 3 + [400] * 6


async def test_what_is_done_is_in_the_audit_without_values(server: Server, meta: Meta, schema: str) -> None:
    await meta("set", surls=[schema], values={"mine.note": "of nobody"})
    guid = (await meta("get", surls=[schema])).tree["files"][0]["guid"]
    async with server.house.database.acquire() as db:
        rows = await db.fetch("select act, details from audit where guid = $1 order by id", guid)
    assert [row["act"] for row in rows][-2:] == ["make collection", "set metadata"]
    assert rows[-1]["details"] == {"attributes": ["mine.note"]}


async def test_who_locks_a_name_keeps_others_from_setting_values(
    server: Server, meta: Meta, schema: str
) -> None:
    lock = (
        b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
        b"<D:locktype><D:write/></D:locktype></D:lockinfo>"
    )
    locked = await server.call("LOCK", f"/dav{schema}", token=server.admin_token, data=lock)
    assert locked.status == 200
    answer = await meta("set", surls=[schema], values={"mine.quality": 1})
    assert answer.tree["files"][0]["status"]["statusCode"] == "SRM_FILE_BUSY"
    await server.call(
        "UNLOCK",
        f"/dav{schema}",
        token=server.admin_token,
        headers={"Lock-Token": locked.headers["Lock-Token"]},
    )


async def test_one_request_sets_and_is_told_only_so_much(
    meta: Meta, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_kinds, "MOST_SET", 3)
    many = await meta("set", surls=[schema, schema], values={"mine.quality": 1, "mine.note": "a"})
    assert (many.status, many.tree["type"]) == (413, "urn:mdm:error:too-large")
    taken = await meta("take", query="mine.quality = 1", path=schema, values={"mine.quality": 2}, count=4)
    assert taken.status == 413
    assert (await meta("set", surls=[schema], values={"mine.quality": 1, "mine.note": "a"})).status == 200
    monkeypatch.setattr(own_attributes, "_LEAST_BYTES", 100)
    monkeypatch.setattr(own_attributes, "_DESCRIBED_BYTES", 100)
    told = await meta("get", surls=[schema])
    assert (told.status, told.tree["type"]) == (413, "urn:mdm:error:too-large")
    monkeypatch.setattr(own_attributes, "_LEAST_BYTES", 129)
    assert await own(meta, schema) == {"mine": {"quality": 1, "note": "a"}}
    monkeypatch.setattr(own_kinds, "_MOST_SET_BYTES", 9)
    assert (await meta("set", surls=[schema], values={"mine.note": "a" * 10})).status == 413


async def test_as_many_attributes_are_told_as_may_be_chosen(server: Server, meta: Meta, folder: str) -> None:
    names = [f"a{number}" for number in range(100)]
    await meta("schemas/create", surl=folder, name="many", attributes=[{"name": name} for name in names])
    await server.srm("mkdir", surl=f"{folder}/x")
    values = {f"many.{name}": name for name in names}
    await meta("set", surls=[f"{folder}/x"], values=values)
    answer = await meta("find", query="many.a0 is known", path=folder, select=list(values))
    (match,) = orjson.loads(answer.body.splitlines()[1])["matches"]
    assert match["values"] == {name: [value] for name, value in values.items()}


async def test_what_is_said_of_collections_is_bounded(
    meta: Meta, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "MOST_SCHEMA_BYTES", 2000)
    large = [{"name": "large", "choices": ["x" * 1000, "y" * 1000]}]
    made = await meta("schemas/create", surl=schema, name="other", attributes=large)
    assert (made.status, "KiB" in made.tree["detail"]) == (400, True)
    assert (await meta("schemas/change", surl=schema, name="mine", add=large)).status == 400
    small = [{"name": "small", "choices": ["x" * 800]}]
    assert (await meta("schemas/change", surl=schema, name="mine", add=small)).status == 200
    again = await meta("schemas/change", surl=schema, name="mine", add=small, remove=["small"])
    assert again.status == 200
    assert (await meta("schemas/create", surl=schema, name="other", attributes=small)).status == 400
