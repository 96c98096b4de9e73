"""`mdm profile report`: counts by rule for images and studies, refusals with reasons, and a page to print."""

import html
import io
import re
from datetime import UTC, datetime

import pydicom
import pytest

from mdm_async.cli.profile.report import surl_of
from mdm_async.cli.profile.report_page import page
from mdm_async.cli.profile.studies import by_study
from mdm_async.dicom.profile import basic
from mdm_async.dicom.scrub import REVISION
from mdm_async.errors import BadRequest
from tests.cli.test_profile_try import png_like_capture, written

HOSTILE = "<script>alert(1)</script>&\"'"


def touched(tag="(0010,0010)", name="Patient's Name", action="Z", count=1):
    return {"tag": tag, "name": name, "action": action, "because": "PS3.15 basic", "count": count}


def stayed(tag="(0018,1210)", name="Convolution Kernel", because="no rule", count=1):
    return {"tag": tag, "name": name, "action": "K", "because": because, "count": count}


def ready(study, *lines, pixels="original", kept=()):
    return {
        "guid": "g",
        "state": "ready",
        "reason": None,
        "study": study,
        "pixels": pixels,
        "touched": list(lines),
        "stayed": list(kept),
        "warnings": [],
    }


def withheld(guid, state="refused", reason="an identifying payload"):
    of_nobody = {"study": None, "pixels": None, "touched": [], "stayed": [], "warnings": []}
    return {"guid": guid, "state": state, "reason": reason, **of_nobody}


def told(*files):
    options = ["retain_uids"]
    rules = {"base": "basic", "edition": "2025e", "digest": "d" * 64, "revision": 3, "options": options}
    return {"view": "cardio", **rules, "files": list(files)}


@pytest.fixture
async def study(server, folder, ct):
    """Two images of a study, one of another, and one that is refused."""
    for number, study in enumerate(("1.2.3", "1.2.3", "1.2.4")):
        dataset = pydicom.dcmread(io.BytesIO(ct))
        dataset.StudyInstanceUID = study
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        await server.put(f"{folder}/{number}.dcm", written(dataset))
    await server.put(f"{folder}/sc.dcm", png_like_capture())
    return folder


async def test_one_image_has_a_line_for_each_attribute_and_no_value(mdm, server, folder, ct):
    await server.put(f"{folder}/a.dcm", ct)
    text = (await mdm("profile", "report", f"{folder}/a.dcm")).text
    assert (
        text.splitlines()[0]
        == f"view basic, digest {basic().digest}, scrubber revision {REVISION}, no options"
    )
    (line,) = [line for line in text.splitlines() if "(0010,0010)" in line]
    assert re.split(r"\s{2,}", line.strip()) == [
        "(0010,0010)",
        "Patient's Name",
        "Z pseudonym, or emptied",
        "PS3.15 basic",
        "1",
    ]
    assert "pixels as they are: 1" in text
    lines = text.splitlines()
    (rows,) = [number for number, line in enumerate(lines) if "(0028,0010)" in line]
    (name,) = [number for number, line in enumerate(lines) if "(0010,0010)" in line]
    assert lines.index("went:") < name < lines.index("stayed:")
    assert lines.index("stayed:") < rows
    assert "K kept" in lines[rows]
    assert "CompressedSamples" not in text


async def test_a_directory_is_summed_up_by_study_with_refusals_by_reason(mdm, study):
    text = (await mdm("profile", "report", study)).text
    heads = [line for line in text.splitlines() if line.startswith(("study ", "images without"))]
    assert sorted(head.rpartition(": ")[2] for head in heads) == ["1 ready", "1 refused", "2 ready"]
    assert heads[-1] == "images without this view: 1 refused"
    assert all(head.startswith("study 2.25.") for head in heads[:-1])
    assert "1 refused: secondary capture without Burned In Annotation NO" in text


async def test_json_is_all_that_the_server_tells(mdm, study):
    tree = (await mdm("profile", "report", study, "--json")).json
    assert (tree["view"], tree["digest"]) == ("basic", basic().digest)
    assert sorted(file["state"] for file in tree["files"]) == ["ready", "ready", "ready", "refused"]


async def test_the_page_is_one_file_that_says_it_all(mdm, study, tmp_path):
    out = tmp_path / "report.html"
    ended = await mdm("profile", "report", study, "--view", "basic", "--page", out)
    assert ended.code == 0, ended.err
    assert ended.text.endswith(f"page: {out}\n")
    text = html.unescape(out.read_text())
    for said in (
        basic().digest,
        "3 ready, 1 refused",
        "Patient's Name",
        "What went",
        "What stayed",
        "Rows",
        "secondary capture without",
        "Equal pixels link",
        "faces are not removed",
    ):
        assert said in text
    assert study not in text
    assert not re.search(r"<script|<link|<img|https?://|\son\w+=", out.read_text())


async def test_what_has_no_report_is_told(mdm, folder, tmp_path):
    assert (await mdm("profile", "report", f"{folder}/none.dcm")).code == 3
    ended = await mdm("profile", "report", folder, "--view", "identified")
    assert ended.code == 2
    assert "--view basic" in ended.err
    ended = await mdm("profile", "report", folder, "--page", tmp_path / "no-folder" / "x.html")
    assert (ended.code, ended.out) == (1, b"")
    assert "cannot be written" in ended.err


def test_counts_are_summed_by_attribute_action_and_rule():
    name, date = touched(count=2), touched("(0008,0020)", "Study Date", "S")
    first, second, rest = by_study(
        [
            withheld("a"),
            ready("2.25.2", date),
            ready("2.25.1", name, date),
            ready("2.25.1", name, pixels="cleaned-0123", kept=[stayed(), stayed(count=2)]),
        ]
    )
    assert first.uid == "2.25.1"
    assert [(line.tag, count) for line, count in first.went.items()] == [
        ("(0008,0020)", 1),
        ("(0010,0010)", 4),
    ]
    assert [(line.name, line.because, count) for line, count in first.stayed.items()] == [
        ("Convolution Kernel", "no rule", 3)
    ]
    assert first.pixels == {"cleaned-0123": 1, "original": 1}
    assert (second.uid, rest.uid) == ("2.25.2", None)
    assert rest.withheld == (("a", "refused", "an identifying payload"),)


def test_nothing_on_the_page_is_taken_for_markup():
    line = touched(HOSTILE, HOSTILE, HOSTILE) | {"because": HOSTILE}
    files = [ready(HOSTILE, line, pixels=HOSTILE, kept=[line]), withheld(HOSTILE, "refused", HOSTILE)]
    report = told(*files) | {"view": HOSTILE, "digest": HOSTILE, "options": [HOSTILE]}
    text = page(report, by_study(files), datetime(2026, 1, 2, tzinfo=UTC))
    assert HOSTILE not in text
    assert "<script" not in text
    assert text.count(html.escape(HOSTILE)) >= 13
    assert "2026-01-02 00:00 UTC" in text


def test_a_view_is_named_in_the_surl():
    assert surl_of("/vo/a", None) == "/vo/a"
    assert surl_of("/vo/a", "cardio") == "/@cardio/vo/a"
    assert surl_of("/@basic/vo/a", "cardio") == "/@cardio/vo/a"
    with pytest.raises(BadRequest):
        surl_of("/vo/a", "no view")
