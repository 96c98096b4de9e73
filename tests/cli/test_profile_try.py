"""`mdm profile try`: what it says is what scrubbing does, and it tells no original."""

import io
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import SecondaryCaptureImageStorage

from mdm_async.cli.profile.trial_file import try_file
from mdm_async.dicom.profiles.file import parse_profile
from tests.pipeline import KEY, cut

FILES = Path(pydicom.data.__file__).parent / "test_files"
ALL_OPTIONS = (
    'name = "all"\noptions = ["retain_safe_private", "clean_descriptors", "clean_structured_content",'
    ' "clean_graphics", "retain_longitudinal_modified_dates"]\nburned_in = "quarantine"\n'
)


def ct_dataset() -> Dataset:
    return pydicom.dcmread(FILES / "CT_small.dcm")


def written(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def png_like_capture() -> bytes:
    """A secondary capture that does not say whether a name is burned in."""
    dataset = ct_dataset()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    return written(dataset)


@pytest.fixture
def file(tmp_path):
    dataset = ct_dataset()
    dataset.PatientName = "Doe^Jane"
    dataset.StudyDescription = "chest of Doe"
    request = Dataset()
    request.RequestedProcedureDescription = "Doe again"
    request.RequestedProcedureID = "R1"
    request.ScheduledProcedureStepID = "S1"
    dataset.RequestAttributesSequence = Sequence([request])
    inner = Dataset()
    inner.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    inner.ReferencedSOPInstanceUID = "1.2.3.4"
    dataset.SourceImageSequence = Sequence([inner])
    path = tmp_path / "in.dcm"
    path.write_bytes(written(dataset))
    return path


async def test_each_attribute_is_told_with_its_rule_and_what_comes_out(run, file):
    (tried,) = (await run("profile", "try", file, "--json")).json
    by_tag = {(row["tag"], row["depth"]): row for row in tried["attributes"]}
    name = by_tag["(0010,0010)", 0]
    assert (name["name"], name["vr"], name["action"], name["because"]) == (
        "Patient's Name",
        "PN",
        "Z",
        "PS3.15 basic",
    )
    assert name["becomes"].startswith("MDM")
    assert by_tag["(0008,1030)", 0]["action"] == "X"
    assert by_tag["(0008,1030)", 0]["becomes"] is None
    assert by_tag["(0008,0060)", 0]["unchanged"] is True
    assert by_tag["(0012,0062)", 0] | {"action": "+", "becomes": "YES"} == by_tag["(0012,0062)", 0]
    assert by_tag["(0008,1155)", 1]["becomes"].startswith("2.25.")
    assert (tried["verdict"], tried["reasons"], tried["pixels"]) == ("served", [], "as they are")
    assert sum(tried["went"].values()) == sum(row["action"] not in "K+" for row in tried["attributes"])
    assert sum(tried["stayed"].values()) == sum(row["action"] == "K" for row in tried["attributes"]) > 0


async def test_no_original_is_printed_unless_asked_for(run, file):
    for arguments in ([], ["--json"]):
        quiet = await run("profile", "try", file, *arguments)
        assert "Doe" not in quiet.text
        assert "Doe^Jane" in (await run("profile", "try", file, "--show-values", *arguments)).text


async def test_the_table_has_a_line_for_each_attribute_nested_ones_indented(run, file):
    lines = (await run("profile", "try", file)).text.splitlines()
    assert lines[0] == str(file)
    assert lines[-1] == "served"
    (went,), (stayed,) = (
        [line for line in lines if line.startswith(half)] for half in ("went: ", "stayed: ")
    )
    assert lines.index(went) < lines.index(stayed)
    (nested,) = [line for line in lines if "(0008,1155)" in line]
    assert nested.startswith("   (0008,1155)")
    assert "U UID replaced" in nested


async def test_nothing_is_written(run, file):
    before = file.read_bytes()
    await run("profile", "try", file)
    assert list(file.parent.iterdir()) == [file]
    assert file.read_bytes() == before


async def test_a_profile_from_a_file_is_tried(run, file, tmp_path):
    profile = tmp_path / "p.toml"
    profile.write_text(
        'name = "p"\n[attributes]\nStudyDescription = { action = "D", value = "Study" }\n'
        '[[pixels]]\nwhen = { Modality = "CT" }\nblank = [[0, 0, 9, 9]]\n'
    )
    (tried,) = (await run("profile", "try", file, "--profile", profile, "--json")).json
    (row,) = [row for row in tried["attributes"] if row["tag"] == "(0008,1030)"]
    assert (row["because"], row["becomes"]) == ("site rule", "Study")
    assert tried["pixels"] == "1 region of every frame blanked"


async def test_a_profile_of_the_server_is_tried(mdm, file, tmp_path):
    profile = tmp_path / "tried.toml"
    profile.write_text('name = "tried"\noptions = ["retain_device_identity"]\n')
    assert (await mdm("profile", "add", profile)).code == 0
    (tried,) = (await mdm("profile", "try", file, "--profile", "tried", "--json")).json
    (row,) = [row for row in tried["attributes"] if row["tag"] == "(0008,1010)"]
    assert (row["because"], row["unchanged"]) == ("option retain_device_identity", True)
    assert (await mdm("profile", "try", file, "--profile", "not-there")).code == 3


async def test_a_refusal_is_told_with_every_reason_and_quarantine_where_it_is_one(run, tmp_path):
    dataset = pydicom.dcmread(io.BytesIO(png_like_capture()))
    dataset.BurnedInAnnotation = "YES"
    file, profile = tmp_path / "sc.dcm", tmp_path / "q.toml"
    file.write_bytes(written(dataset))
    profile.write_text('name = "q"\nburned_in = "quarantine"\n')
    lines = (await run("profile", "try", file)).text.splitlines()
    verdict = lines.index("refused")
    assert [line.split(" (")[0].strip() for line in lines[verdict + 1 :]] == [
        "Burned In Annotation is YES",
        "secondary capture without Burned In Annotation NO",
    ]
    (tried,) = (await run("profile", "try", file, "--profile", profile, "--json")).json
    assert (tried["verdict"], len(tried["reasons"])) == ("quarantined", 2)


async def test_what_is_no_image_is_one_line_and_the_others_are_tried(run, file, tmp_path):
    (tmp_path / "no.txt").write_text("not an image")
    ended = await run("profile", "try", tmp_path / "no.txt", tmp_path / "none.dcm", file)
    assert ended.code == 1
    no_image, missing = ended.err.splitlines()
    assert no_image.startswith(f"mdm: {tmp_path}/no.txt: shorter than a DICOM preamble; ")
    assert missing.startswith(f"mdm: {tmp_path}/none.dcm: ")
    assert ended.text.endswith("served\n")


async def test_values_cannot_command_the_terminal(run, tmp_path):
    file = tmp_path / "in.dcm"
    file.write_bytes(written(ct_dataset()).replace(b"CS\x04\0FFS ", b"CS\x04\0\x1b]0;"))
    shown = (await run("profile", "try", file, "--show-values")).text
    assert "]0;" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("profile", ['name = "none"\n', ALL_OPTIONS], ids=["basic", "all options"])
@pytest.mark.parametrize(
    "name", ["CT_small", "rtplan", "test-SR", "waveform_ecg", "MR_small_bigendian", "MR_small_RLE"]
)
def test_it_tells_of_exactly_what_scrubbing_reports(name, profile):
    from mdm_async.dicom.scrub import scrub

    file, made = FILES / f"{name}.dcm", parse_profile(profile)
    rows = try_file(file, made).rows
    parts = cut(file.read_bytes())
    told = scrub(parts.head, parts.tail, profile=made, key=KEY, pixels=parts.facts)
    assert told.touched
    assert told.stayed
    for line in (*told.touched, *told.stayed):
        if line.tag == "private":
            same = [
                row
                for row in rows
                if row.name == "private" and not row.because.endswith(("a block", "is kept"))
            ]
        else:
            same = [row for row in rows if row.tag == line.tag]
        found = [row for row in same if (row.action, row.because) == (line.action, line.because)]
        assert len(found) == line.count, line
