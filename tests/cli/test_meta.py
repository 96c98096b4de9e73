"""`mdm meta`: attributes of one's own, from the command line."""

from pathlib import Path
from typing import Any

import pytest

from mdm_async.client.metadata import Metadata
from mdm_async.errors import BadRequest, Forbidden, MdmError, Unavailable
from tests.cli.conftest import Run


@pytest.fixture
async def study(mdm: Run, folder: str, ct: bytes, tmp_path: Path) -> str:
    """A directory with the collection `mine` and an image."""
    (tmp_path / "a.dcm").write_bytes(ct)
    assert (await mdm("put", tmp_path / "a.dcm", f"{folder}/a.dcm")).code == 0
    made = await mdm(
        "meta",
        "schema",
        "create",
        "mine",
        "--at",
        folder,
        "quality:int",
        "note:text",
        "state=new,running,done",
    )
    assert (made.code, made.text) == (0, ""), made.err
    return folder


async def test_values_are_set_and_shown(mdm: Run, study: str) -> None:
    file = f"{study}/a.dcm"
    done = await mdm("meta", "set", file, study, "mine.quality=3", "mine.note=a = b")
    assert (done.code, done.text) == (0, ""), done.err
    shown = await mdm("meta", "get", file)
    assert shown.text.splitlines()[0] == file
    assert {"  mine.quality = 3", "  mine.note = a = b"} <= set(shown.text.splitlines())
    (told,) = (await mdm("meta", "get", file, "--json")).json
    assert (told["path"], told["own"]) == (file, {"mine": {"quality": 3, "note": "a = b"}})
    assert (await mdm("meta", "set", file, "--unset", "mine.note", "--json")).json == [{"path": file}]
    assert (await mdm("meta", "get", file, "--json")).json[0]["own"] == {"mine": {"quality": 3}}


async def test_a_schema_is_shown_changed_and_dropped(mdm: Run, study: str) -> None:
    assert (await mdm("meta", "schema", "add", "mine", "--at", study, "reviewed:date")).code == 0
    assert (await mdm("meta", "schema", "remove", "mine", "--at", study, "note")).code == 0
    shown = await mdm("meta", "schema", "show", f"{study}/a.dcm")
    assert shown.text.splitlines() == [
        f"mine  {study}", "  quality:int", "  reviewed:date", "  state=new,running,done",
    ]  # fmt: skip
    (told,) = (await mdm("meta", "schema", "show", study, "--json")).json
    assert (told["name"], told["at"], len(told["attributes"])) == ("mine", study, 3)
    assert (await mdm("meta", "schema", "drop", "mine", "--at", study, "--json")).code == 0
    assert (await mdm("meta", "schema", "show", study)).text == ""


async def test_what_is_wrong_is_told_with_a_remedy(mdm: Run, study: str) -> None:
    for words, code, told in (
        (("set", study, "mine.quality=good"), 2, "that is no int for quality; give a whole number"),
        (
            ("set", study, "mine.absent=1"),
            3,
            "no collection in force here has an attribute mine.absent; mdm meta",
        ),
        (("set", study, "mine.state=begun"), 2, "that is none of the choices of state; mdm meta schema show"),
        (("set", study), 2, "no value is given; write COLLECTION.ATTRIBUTE=VALUE"),
        (("set", "mine.quality=1"), 2, "nothing is named"),
        (("schema", "create", "mine", "--at", study), 1, "the directory has a collection of that name"),
        (
            ("schema", "drop", "other", "--at", study),
            3,
            "the directory has no collection of that name; mdm meta",
        ),
    ):
        ended = await mdm("meta", *words)
        assert told in ended.err, words
        assert ended.code == code, words


async def test_sequences_are_made_taken_from_listed_and_removed(mdm: Run, folder: str) -> None:
    assert (await mdm("meta", "sequence", "create", "run", "--at", folder, "--start", 5)).code == 0
    assert (await mdm("meta", "sequence", "next", "run", "--at", folder)).text == "5\n"
    assert (await mdm("meta", "sequence", "next", "run", "--at", folder, "--count", 2, "--json")).json == {
        "numbers": [6, 7]
    }
    assert (await mdm("meta", "sequence", "list", folder)).text == "run  8  step 1\n"
    assert (await mdm("meta", "sequence", "remove", "run", "--at", folder)).code == 0
    gone = await mdm("meta", "sequence", "next", "run", "--at", folder)
    assert (gone.code, gone.err.startswith(f"mdm: {folder}: the directory has no sequence")) == (3, True)


async def test_queries_are_kept_listed_shown_and_removed(mdm: Run, folder: str) -> None:
    query = 'Modality = "CT"'
    assert (
        await mdm("meta", "query", "save", "ct", query, "--at", folder, "--select", "Rows, Columns")
    ).code == 0
    assert (await mdm("meta", "query", "list", folder)).text == f"ct  {query}\n"
    assert (await mdm("meta", "query", "show", "ct", "--at", folder)).text == f"{query}\n"
    assert (await mdm("meta", "query", "show", "ct", "--at", folder, "--json")).json["select"] == [
        "Rows",
        "Columns",
    ]
    assert (await mdm("meta", "query", "remove", "ct", "--at", folder)).code == 0
    assert (await mdm("meta", "query", "list", folder, "--json")).json == []


async def test_values_come_from_a_table(mdm: Run, study: str, tmp_path: Path) -> None:
    table = tmp_path / "values.csv"
    table.write_text(
        f'\ufeffpath,mine.quality,mine.note\r\n{study}/a.dcm,3,"much, noise"\r\n\r\n{study},3,\r\n', "utf-8"
    )
    done = await mdm("meta", "set", "--csv", table)
    assert (done.code, done.text) == (0, ""), done.err
    told = (await mdm("meta", "get", f"{study}/a.dcm", study, "--json")).json
    assert [one["own"]["mine"] for one in told] == [{"quality": 3, "note": "much, noise"}, {"quality": 3}]
    table.write_text(f"path,mine.quality\n{study}/a.dcm,4\n{study}/gone.dcm,4\n{study},none\n")
    some = await mdm("meta", "set", "--csv", table)
    assert some.code == 3
    assert f"{study}/gone.dcm: no such file" in some.err
    assert f"{study}: that is no int" in some.err
    assert (await mdm("meta", "get", f"{study}/a.dcm", "--json")).json[0]["own"]["mine"]["quality"] == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "begin with a line such as"),
        ("path,quality\n", "begin with a line such as"),
        ("path,mine.a\n/x,1,Doe\n", "line 2 of"),
        ("path,mine.a\n/x,1\n/x,2\n", "line 3 of"),
        ("path,mine.a\n/x/y,Doe\n\n/x//y/,Doe\n", "line 4 of"),
        ("path,mine.a\n/x/y,Doe\nsrm://host/srm/managerv2?SFN=/@basic/x/./y,Doe\n", "line 3 of"),
        ("path,mine.a,mine.b,mine.a\n/x,1,2,Doe\n", "line 1 of"),
        ("path,mine.a\n/Doe/../x,1\n/Doe/../x,2\n", "line 3 of"),
        ('path,mine.a\n/x,"Doe\n', "begin with a line such as"),
    ],
)
async def test_a_table_that_is_none_is_told_without_its_values(
    mdm: Run, tmp_path: Path, text: str, told: str
) -> None:
    table = tmp_path / "values.csv"
    table.write_text(text)
    ended = await mdm("meta", "set", "--csv", table)
    assert (ended.code, told in ended.err, "Doe" in ended.err) == (2, True, False), ended.err


async def test_a_table_that_meets_a_refusal_tells_of_which_row(
    mdm: Run, study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "values.csv"
    table.write_text(f"path,mine.quality\n{study}/a.dcm,5\n{study},6\n{study}/gone.dcm,7\n")
    before = Metadata.set

    async def refused(self: Metadata, names: Any, values: Any) -> None:
        if values == {"mine.quality": "6"}:
            raise why
        await before(self, names, values)

    monkeypatch.setattr(Metadata, "set", refused)
    why: MdmError = BadRequest("the text holds identifiers")
    ended = await mdm("meta", "set", "--csv", table)
    assert f"{study}: the text holds identifiers" in ended.err
    assert f"{study}/gone.dcm: no such file" in ended.err
    why = Forbidden("too much text of this patient", remedy="try again tomorrow")
    ended = await mdm("meta", "set", "--csv", table)
    assert f"{study}: too much text of this patient" in ended.err
    assert f"{study}/gone.dcm: no such file" in ended.err
    why = Unavailable("the database is away", remedy="try again")
    ended = await mdm("meta", "set", "--csv", table)
    assert "try again; 1 of 3 rows were set; the same table may be set again" in ended.err
    assert "gone.dcm" not in ended.err


async def test_an_empty_text_is_told_how_a_value_is_taken_away(mdm: Run, study: str) -> None:
    ended = await mdm("meta", "set", f"{study}/a.dcm", "mine.note=")
    assert (ended.code, "--unset" in ended.err) == (2, True)
