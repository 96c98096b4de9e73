"""`mdm meta find`: names to go on with, documents, tables."""

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from tests.cli.conftest import Run


@pytest.fixture
async def study(mdm: Run, folder: str, ct: bytes, tmp_path: Path) -> str:
    """A directory with two images."""
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / name).write_bytes(ct)
        assert (await mdm("put", tmp_path / name, f"{folder}/{name}")).code == 0
    return folder


async def test_what_a_query_selects_is_pulled(mdm: Run, study: str, tmp_path: Path) -> None:
    shown = await mdm("meta", "find", 'Modality = "CT"', "--path", study)
    assert shown.text.splitlines() == [f"{study}/a.dcm", f"{study}/b.dcm"]
    (tmp_path / "names").write_text(shown.text)
    (tmp_path / "out").mkdir()
    got = await mdm("get", "--files-from", tmp_path / "names", tmp_path / "out")
    assert got.code == 0, got.err
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["a.dcm", "b.dcm"]


async def test_values_are_shown_behind_the_names(mdm: Run, study: str) -> None:
    shown = await mdm(
        "meta", "find", "Rows = 128", "--path", study, "--select", "Modality, PixelSpacing", "--order", "-Rows",
        "--limit", "1",
    )  # fmt: skip
    (line,) = shown.text.splitlines()
    assert line == f"{study}/a.dcm\tCT\t0.661468\\0.661468"


async def test_a_document_has_all_that_the_view_says(mdm: Run, study: str) -> None:
    told = (await mdm("meta", "find", "Rows = 128", "--path", study, "--json")).json
    assert [one["path"] for one in told["matches"]] == [f"{study}/a.dcm", f"{study}/b.dcm"]
    assert told["matches"][0]["values"]["Modality"] == ["CT"]
    assert told["matches"][0]["view"] == "basic"


async def test_what_is_wrong_with_a_query_is_told_in_a_line(mdm: Run, study: str) -> None:
    wrong = await mdm("meta", "find", "Rows = x", "--path", study)
    assert wrong.code != 0
    assert "character 8 of the query: there is no such attribute here" in wrong.err
    assert (await mdm("meta", "find", "Rows = 1", "--join", "c")).code == 2


async def test_a_table_is_written_as_parquet(mdm: Run, study: str, tmp_path: Path) -> None:
    file = tmp_path / "found.parquet"
    done = await mdm("meta", "find", "Rows = 128", "--path", study, "--parquet", file, "--json")
    assert done.json == {"file": str(file), "rows": 2}
    told = parquet.read_table(file)
    assert told.schema.field("PixelSpacing").type == pyarrow.list_(pyarrow.float64())
    first = told.to_pylist()[0]
    document = (await mdm("meta", "find", "Rows = 128", "--path", study, "--json")).json["matches"][0]
    assert {name: first[name] for name in ("path", "guid", "view")} == {
        name: document[name] for name in ("path", "guid", "view")
    }
    for name, values in document["values"].items():
        assert first[name] == (values if isinstance(first[name], list) else values[0]), name
    assert {name for name, said in first.items() if said is not None} == {
        "path", "guid", "view", *document["values"]
    }  # fmt: skip
    again = await mdm("meta", "find", "Rows = 128", "--path", study, "--parquet", file)
    assert "already there" in again.err
    other = tmp_path / "other.parquet"
    assert (await mdm("meta", "find", "Rows = x", "--path", study, "--parquet", other)).code != 0
    assert not list(tmp_path.glob("other*"))


async def test_what_may_be_asked_is_listed(mdm: Run, study: str) -> None:
    await mdm("meta", "schema", "create", "mine", "--at", study, "quality:int")
    lines = (await mdm("meta", "attributes", "--path", study)).text.splitlines()
    assert "SliceThickness  number  series" in lines
    assert "PixelSpacing  number  several values  series" in lines
    assert lines[-1] == "mine.quality  number"
    told = (await mdm("meta", "attributes", "--path", study, "--json")).json["attributes"]
    assert {"name": "PatientID", "kind": "text", "many": False, "level": "patient", "original": True} in told


async def test_where_nothing_is_found_one_is_told_what_that_takes(mdm: Run, study: str) -> None:
    nothing = await mdm("meta", "find", "Rows = 1", "--path", study)
    assert (nothing.code, nothing.out) == (0, b"")
    assert "the right 'g'" in nothing.err
    assert "'x' on all directories above" in nothing.err
    assert (await mdm("meta", "find", "Rows = 1", "--path", study, "--json")).err == ""


async def test_a_view_or_path_that_is_not_there_and_a_mistyped_choice_are_told(mdm: Run, study: str) -> None:
    view = await mdm("meta", "find", "Rows = 128", "--path", study, "--view", "nosuch")
    assert (view.code, "no such view" in view.err) == (2, True)
    path = await mdm("meta", "find", "Rows = 128", "--path", f"{study}/nosuch")
    assert (path.code, f"{study}/nosuch: no such file" in path.err) == (3, True)
    select = await mdm("meta", "find", "Rows = 128", "--path", study, "--select", "Row")
    assert (select.code, "is it Rows?" in select.err) == (2, True)
    own = await mdm("meta", "find", "mine.quality > 2")
    assert "--path" in own.err


async def test_take_names_the_path_that_is_not_there(mdm: Run, study: str) -> None:
    taken = await mdm("meta", "take", "Rows = 1", "--set", "mine.a=1", "--path", f"{study}/nosuch")
    assert (taken.code, f"{study}/nosuch: no such file" in taken.err) == (3, True)


async def test_a_table_in_a_file_says_how_long_it_is(mdm: Run, study: str, tmp_path: Path) -> None:
    file = tmp_path / "found.parquet"
    assert (
        await mdm("meta", "find", "Rows = 128", "--path", study, "--parquet", file)
    ).text == f"{file}: 2 rows\n"
