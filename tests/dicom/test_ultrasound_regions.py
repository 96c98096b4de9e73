"""Everything outside of an ultrasound image's own regions is blanked, in every frame; else the view is refused."""

import io
import warnings
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.ultrasound import outside
from mdm_async.dicom.profile import PixelRule, Profile, Region, basic
from tests.dicom.test_burned_in import STORAGE, picture, refusal
from tests.pipeline import deidentified, read

BLANKING = Profile("us", pixel_rules=(PixelRule(((0x00080060, "US"),), blank_outside="ultrasound regions"),))
ROWS, COLUMNS, FRAMES = 6, 8, 3


def region(x0: int, y0: int, x1: int, y1: int, form: int = 1) -> Dataset:
    one = Dataset()
    one.RegionSpatialFormat, one.RegionDataType, one.RegionFlags = form, 1, 0
    one.RegionLocationMinX0, one.RegionLocationMinY0 = x0, y0
    one.RegionLocationMaxX1, one.RegionLocationMaxY1 = x1, y1
    return one


def scan(*regions: Dataset, **more: object) -> bytes:
    """Three frames, each pixel 0x55; `more` may leave the regions out."""
    said = {
        "sop_class": STORAGE + "3.1",
        "Modality": "US",
        "Rows": ROWS,
        "Columns": COLUMNS,
        "NumberOfFrames": FRAMES,
        "SequenceOfUltrasoundRegions": list(regions),
        "PixelData": b"\x55" * (ROWS * COLUMNS * FRAMES),
    }
    return picture(**{**said, **more})


def seen(data: bytes) -> set[tuple[int, int, int]]:
    """(frame, x, y) of pixels that are not black."""
    pixels = read(data).PixelData
    places = product(range(FRAMES), range(ROWS), range(COLUMNS))
    return {(f, x, y) for (f, y, x), value in zip(places, pixels, strict=False) if value}


def inside(x0: int, y0: int, x1: int, y1: int) -> set[tuple[int, int, int]]:
    return {(f, x, y) for f in range(FRAMES) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1)}


def test_only_the_regions_stay_in_every_frame():
    made = deidentified(scan(region(1, 2, 5, 4), region(6, 0, 7, 0, form=3)), BLANKING)
    assert seen(made) == inside(1, 2, 5, 4) | inside(6, 0, 7, 0)
    found = read(made)
    assert found.BurnedInAnnotation == "NO"
    assert "113101" in [code.CodeValue for code in found.DeidentificationMethodCodeSequence]
    assert found.SequenceOfUltrasoundRegions[0].RegionLocationMaxX1 == 5


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_however_the_file_is_written(syntax):
    said: dict[str, object] = {"syntax": syntax}
    if syntax == ExplicitVRBigEndian:  # in words: pixels of 8 bits could be read in two ways
        said |= {"BitsAllocated": 16, "PixelData": b"\x00\x55" * (ROWS * COLUMNS * FRAMES)}
    if syntax == RLELossless:
        image = dcmread(io.BytesIO(scan(region(1, 2, 5, 4))))
        image.compress(RLELossless)
        said["PixelData"] = image.PixelData
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = read(deidentified(scan(region(1, 2, 5, 4), **said), BLANKING)).pixel_array
    assert {(f, x, y) for f, y, x in zip(*shown.nonzero(), strict=True)} == inside(1, 2, 5, 4)


def test_a_last_pixel_that_is_the_first_outside_is_taken_as_the_edge():
    assert seen(deidentified(scan(region(4, 0, COLUMNS, ROWS)), BLANKING)) == inside(4, 0, 7, 5)


NO_CORNER = region(1, 1, 2, 2)
del NO_CORNER.RegionLocationMaxX1
REFUSED = {
    "no sequence": (scan(SequenceOfUltrasoundRegions=None), "there is no Sequence"),
    "none": (scan(), "names none"),
    "graphics alone": (scan(region(1, 1, 3, 3, form=5)), "names none"),
    "everything": (scan(region(0, 0, COLUMNS - 1, ROWS - 1)), "cover the whole"),
    "two halves": (
        scan(region(0, 0, 3, ROWS - 1), region(4, 0, COLUMNS - 1, ROWS - 1)),
        "cover the whole",
    ),
    "too wide": (scan(region(0, 0, COLUMNS + 1, 2)), "does not lie on the picture"),
    "far away": (scan(region(0, 0, 0xFFFFFFFF, 2)), "does not lie on the picture"),
    "turned round": (scan(region(5, 0, 2, 2)), "does not lie on the picture"),
    "no corner": (scan(NO_CORNER), "cannot be understood"),
    "too many": (scan(*[region(0, 0, 1, 1)] * 40), "cannot be understood"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(
    "profile", [BLANKING, Profile("us", "basic", pixel_rules=BLANKING.pixel_rules, burned_in="quarantine")]
)
def test_what_cannot_be_blanked_is_refused_with_the_reason(name, profile):
    data, reason = REFUSED[name]
    assert reason in refusal(data, profile)


def test_two_sequences_are_one_too_many_also_when_one_comes_after_the_pixels(write):
    data = scan(region(1, 2, 5, 4))
    wider = write.sequence(
        0x00186011,
        write.element(0x00186012, "US", b"\1\0")
        + b"".join(
            write.element(tag, "UL", value.to_bytes(4, "little"))
            for tag, value in ((0x00186018, 0), (0x0018601A, 0), (0x0018601C, 7), (0x0018601E, 4))
        ),
    )
    at = data.index(b"\x28\x00\x02\x00US")
    assert "two Sequences" in refusal(data[:at] + wider + data[at:], BLANKING)
    assert "anew" in refusal(data + wider, BLANKING)


def test_other_devices_are_not_touched_and_known_pages_are_still_refused():
    slices = picture()
    assert deidentified(slices, BLANKING) == deidentified(slices, Profile("us"))
    page = scan(region(1, 2, 5, 4), SeriesDescription="Worksheet")
    assert "report page" in refusal(page, BLANKING)
    assert "ultrasound" in refusal(scan(region(1, 2, 5, 4)), basic())


rectangles = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 7), st.integers(1, 10), st.integers(1, 8)).map(
        lambda one: Region(one[0], one[1], min(one[2], 10 - one[0]), min(one[3], 8 - one[1]))
    ),
    min_size=1,
    max_size=6,
).map(tuple)


@settings(max_examples=200)
@given(regions=rectangles)
def test_outside_and_inside_are_the_whole_picture_and_do_not_meet(regions):
    layout = Layout(8, 10, 1, 1, 8, 8, 7, False, False, "MONOCHROME2")

    def points(some):
        return [(x, y) for r in some for x in range(r.x, r.x + r.width) for y in range(r.y, r.y + r.height)]

    left, why = outside([regions], layout)
    outer = points(left)
    assert len(outer) == len(set(outer))
    assert set(outer) | set(points(regions)) == {(x, y) for x in range(10) for y in range(8)}
    assert not set(outer) & set(points(regions))
    assert bool(why) is not bool(left)
