"""`mdm demo`: all of it, on a few images; and its parts."""

import asyncio
import itertools
import os
import shutil
from pathlib import Path

import orjson
import pydicom.data
import pytest

from mdm_async import errors
from mdm_async.cli.demo.images import DemoImage, Scanner, dicom_files, identifiers
from mdm_async.cli.demo.report import Report, percentile
from mdm_async.cli.demo.workers import PHASES, WHOLE_CLEAR, cuts
from tests.cli.conftest import command

FILES = Path(pydicom.data.__file__).parent / "test_files"


@pytest.mark.usefixtures("environment")
async def test_the_demo_compares_every_byte_and_cleans_up(own_folder):
    images = own_folder / "images"
    images.mkdir()
    for name in ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "MR_truncated.dcm", "README.txt"):
        shutil.copy(FILES / name, images)
    process = await asyncio.create_subprocess_exec(
        *command("demo", "--images", images, "--workers", 4, "--json"),
        env=os.environ | {"TMPDIR": str(own_folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    report = orjson.loads(out)
    assert (report["images"], report["stored"]) == (4, 3)
    assert (report["faults"], report["identifiersFound"]) == ([], 0)
    assert report["identifiersSought"] > 10
    assert report["comparisons"] == 3 * len(PHASES)
    assert [refused["source"] for refused in report["refused"]] == ["MR_truncated.dcm"]
    assert [path.name for path in own_folder.iterdir()] == ["images"]


async def test_a_folder_without_images_is_told(run, tmp_path):
    ended = await run("demo", "--images", tmp_path)
    assert ended.code == 1


def test_only_part_10_files_are_taken(tmp_path):
    shutil.copy(FILES / "CT_small.dcm", tmp_path / "anything.bin")
    (tmp_path / "x.dcm").write_bytes(b"short")
    assert dicom_files(tmp_path) == [tmp_path / "anything.bin"]


def test_the_identifiers_of_a_file_are_found_in_that_file():
    path = FILES / "CT_small.dcm"
    values = identifiers(path)
    assert b"CompressedSamples" in values
    assert not any(value.startswith(b"1.2.840.10008.") for value in values)
    scanner = Scanner(values)
    scanner.feed(path.read_bytes())
    assert scanner.found == set(values)


def test_a_value_across_two_chunks_is_found():
    for place in range(1, 12):
        scanner = Scanner((b"PATIENT",))
        text = b"xxxPATIENTxx"
        scanner.feed(text[:place])
        scanner.feed(text[place:])
        assert scanner.found == {b"PATIENT"}


def test_cuts_cover_everything_once():
    for size in (1, 2, 3, 4, 100_000):
        ranges = cuts(size, "seed")
        assert [ranges[0][0], ranges[-1][1]] == [0, size]
        assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))


def image(**fields):
    whole = {phase.name: "sha" if phase.identified else "view" for phase in PHASES}
    return DemoImage(Path("x.dcm"), "/x", 1, "sha", (b"name",), stored=True, digests=whole, **fields)


def judged(image):
    report = Report([image], 1)
    report.judge()
    return report


def test_what_is_right_is_judged_right():
    assert judged(image()).flawless


@pytest.mark.parametrize("phase", PHASES, ids=[phase.name for phase in PHASES])
def test_any_stream_that_differs_is_a_fault(phase):
    wrong = image()
    wrong.digests[phase.name] = "other"
    assert not judged(wrong).flawless


def test_a_found_identifier_is_a_fault_but_is_not_printed():
    report = judged(image(found=[b"secretname"]))
    assert not report.flawless
    assert "secretname" not in str(report.faults)


def test_a_failed_pull_and_different_checksums_are_faults():
    assert not judged(image(failures={WHOLE_CLEAR.name: errors.Unavailable()})).flawless
    assert not judged(image(adlers={PHASES[0].name: "1", PHASES[1].name: "2"})).flawless


def test_nothing_compared_is_a_fault():
    assert not judged(DemoImage(Path("x.dcm"), "/x", 1, "sha", ())).flawless


def test_percentiles_are_nearest_ranks():
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, p) for p in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([], 50) == 0
    assert percentile([7.0], 1) == 7


def test_a_number_within_a_longer_one_is_another():
    for text, found in ((b"2.25.39900071", False), (b"1.99000.2", True), (b"LO\5\x0099000 ", True)):
        scanner = Scanner((b"99000",))
        scanner.feed(text)
        assert bool(scanner.found) is found
