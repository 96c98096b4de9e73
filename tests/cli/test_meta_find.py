"""`mdm meta find`: names to go on with, documents, tables."""

from pathlib import Path

import pytest

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
