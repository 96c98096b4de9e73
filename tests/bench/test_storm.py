"""The worker storm, tiny; a run kept as JSON and as a page; two runs compared."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import orjson
import pytest
from typer.testing import CliRunner

from bench import nginx, orthanc, storm
from bench.__main__ import Scenario, app
from bench.machine import machine
from bench.page import page
from bench.plot import Plot
from bench.report import Finding, Target
from bench.saved import PAGE, RESULT, Saved, compared
from bench.scale import TINY

CLI = CliRunner()


@pytest.fixture
def folder() -> Iterator[Path]:
    """As of the other scenarios."""
    made = Path(tempfile.mkdtemp(prefix="mdm-bench-test-")).resolve()
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def test_a_storm_beside_nginx(folder: Path) -> None:
    assert nginx.executable(), "nginx is not installed: tests/install-peers grid"
    finding = await storm.measure(TINY, folder, workers=(1, 3), peers=["nginx"])
    named = {row["what"]: row for row in finding.rows}
    assert list(named)[:3] == ["clear, 1 workers", "sealed, 1 workers", "nginx, a plain file, 1 workers"]
    assert all(row["files/s"] > 0 for row in finding.rows)
    assert named["clear, 3 workers"]["/ nginx"] > 0
    assert [name for name in named if "open loop" in name] == [
        f"clear, open loop at {share}% of the best" for share in (25, 50, 75)
    ]
    throughput = finding.plots[0]
    assert set(throughput.series) == {"clear", "sealed", "nginx, a plain file"}
    assert [x for x, _ in throughput.series["clear"]] == [1, 3]
    kept = Saved("2026-01-01 00:00 UTC", machine(), [finding])
    (folder / RESULT).write_bytes(kept.to_json())
    assert Saved.read(folder) == kept


async def test_a_peer_that_is_missing_is_told_loudly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orthanc, "executable", lambda: None)
    finding = await storm.measure(TINY, folder, workers=(1,), peers=["orthanc"])
    assert any("ORTHANC IS NOT INSTALLED" in remark for remark in finding.remarks)


def test_a_picture_is_well_formed_whatever_its_points() -> None:
    for line in ([(1.0, 0.0)], [(1.0, 5.0), (128.0, 5.0)], [(0.0, 1e-6), (0.5, 3e6)]):
        for log in (False, True):
            drawn = Plot("a < b", "x & y", 'y"', {"one": line, "<two>": line}, log).svg()
            figure = ElementTree.fromstring(drawn)
            assert len(figure.findall(".//polyline")) == 2
    assert Plot("nothing", "x", "y").svg() == ""


def test_a_page_needs_nothing_from_elsewhere() -> None:
    rows = [{"what": "a <b>", "files/s": 1234.5, "none": None}]
    targets = [Target("promised", "1.2 ×", True), Target("other", "0.4 ×", False), Target("third", "–", None)]
    plots = [Plot("p", "x", "y", {"one": [(1, 2), (3, 4)]})]
    text = page(Saved("today", {"cores": 2}, [Finding("storm", "title", rows, targets, ["a remark"], plots)]))
    assert "a &lt;b&gt;" in text
    assert text.count("<figure>") == 1
    assert all(mark in text for mark in ("not measured", ">met<", ">missed<", "1,234"))
    assert "http" not in text.replace("http-equiv", "")
    assert "src=" not in text


def _run(folder: Path, rate: float, least: float, most: float, cpu: float) -> Path:
    folder.mkdir()
    row = {"what": "clear", "files/s": rate, "least": least, "most": most, "CPU ms": cpu, "/ nginx": None}
    saved = Saved("today", {}, [Finding("storm", "title", [row, {"what": "gone" if rate > 150 else "new"}])])
    (folder / RESULT).write_bytes(saved.to_json())
    return folder


def test_two_runs_are_compared(tmp_path: Path) -> None:
    before, after = _run(tmp_path / "a", 100, 95, 105, 0.50), _run(tmp_path / "b", 200, 180, 210, 0.51)
    changes = compared(Saved.read(before), Saved.read(after))
    assert [(each.column, each.ratio, each.beyond_noise) for each in changes] == [
        ("files/s", 2.0, True),
        ("CPU ms", 1.02, False),
    ]
    shown = CLI.invoke(app, ["compare", str(before), str(after), "--json"])
    assert [each["ratio"] for each in orjson.loads(shown.stdout)] == [2.0, 1.02]
    assert "noise" in CLI.invoke(app, ["compare", str(before), str(after)]).output
    one_round, another = _run(tmp_path / "c", 100, 100, 100, 0.5), _run(tmp_path / "d", 101, 101, 101, 0.5)
    changes = compared(Saved.read(one_round), Saved.read(another))
    assert not any(each.beyond_noise for each in changes)


def test_what_is_asked_wrongly_is_told(tmp_path: Path) -> None:
    (tmp_path / RESULT).write_text('{"began": 1}')
    assert CLI.invoke(app, ["compare", str(tmp_path), str(tmp_path)]).exit_code == 2
    assert CLI.invoke(app, ["compare", str(tmp_path / "none"), str(tmp_path)]).exit_code == 2
    no_folder = str(tmp_path / RESULT / "out")
    for wrong in (["--workers", "0"], ["--workers", "a"], ["--peers", "apache"], ["--out", no_folder]):
        told = CLI.invoke(app, ["run", "storm", *wrong])
        assert told.exit_code == 2, told.output


def test_everything_is_listed() -> None:
    listed = orjson.loads(CLI.invoke(app, ["list", "--json"]).stdout)
    assert [each["scenario"] for each in listed] == list(Scenario)
    assert all(each["measures"] for each in listed)


def test_a_run_writes_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def measured(*_: object, **__: object) -> Finding:
        return Finding("storm", "title", [{"what": "clear", "files/s": 1.0}])

    monkeypatch.setattr(storm, "measure", measured)
    done = CLI.invoke(app, ["run", "storm", "--out", str(tmp_path / "out"), "--peers", ""])
    assert done.exit_code == 0, done.output
    assert {file.name for file in (tmp_path / "out").iterdir()} == {RESULT, PAGE}
