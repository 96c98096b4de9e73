"""Pictures of frames: shades as PS3.3 has them, colours as they are, the part that is asked for, and nothing beside."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from PIL import Image
from pydicom import Dataset, Sequence, dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

from mdm_async.dicom.byte_order import swapped
from mdm_async.dicom.part10 import Kind, Splitter
from mdm_async.dicom.pictures.asked import JPEG, PNG, Picture, Shape, Window
from mdm_async.dicom.pictures.drawing import drawn
from mdm_async.dicom.pictures.viewport import Viewport
from mdm_async.dicom.pixels.placed import placed
from mdm_async.errors import ScrubRefused

FILES = Path(pydicom.data.__file__).parent / "test_files"
WHOLE = Picture(PNG, 90, Viewport())


def ct(**values: Any) -> Dataset:
    image = dcmread(FILES / "CT_small.dcm")
    for keyword, value in values.items():
        setattr(image, keyword, value)
    return image


def head_and_pixels(data: bytes) -> tuple[bytes, bytes]:
    splitter = Splitter(force=True)
    pieces = [*splitter.stream(data), *splitter.close()]
    head, pixels = (
        b"".join(piece.data for piece in pieces if piece.kind is kind) for kind in (Kind.HEAD, Kind.PIXELS)
    )
    return head, pixels


def picture(image: Dataset, asked: Picture = WHOLE, number: int = 1) -> bytes:
    written = io.BytesIO()
    image.save_as(written)
    head, pixels = head_and_pixels(written.getvalue())
    where = placed(head, pixels[:12], len(head) + len(pixels))
    assert where.layout is not None
    if where.length is None:
        frame = list(generate_frames(image.PixelData, number_of_frames=where.layout.frames))[number - 1]
    else:
        start = where.start - len(head) + (number - 1) * where.layout.frame_size
        frame = pixels[start : start + where.layout.frame_size]
    return drawn(head, [swapped(frame, where.word)], where.in_little, number, asked)


def shown(image: Dataset, asked: Picture = WHOLE, number: int = 1) -> Any:
    return np.asarray(Image.open(io.BytesIO(picture(image, asked, number))))


def test_a_window_is_of_real_values() -> None:
    image = ct()
    real = apply_modality_lut(image.pixel_array, image)
    for center, width in ((40, 400), (-600, 1500), (0, 1), (100.5, 2)):
        if width == 1:
            expected = (real > center - 0.5) * 255.0
        else:
            expected = np.clip((real - (center - 0.5)) / (width - 1) + 0.5, 0, 1) * 255
        found = shown(image, Picture(PNG, 90, Viewport(), Window(center, width)))
        assert np.abs(found - expected).max() <= 0.5
        image.WindowCenter, image.WindowWidth = [center, 1], [width, 2]
        assert (shown(image) == found).all()
    exact = shown(image, Picture(PNG, 90, Viewport(), Window(40, 400, Shape.LINEAR_EXACT)))
    assert np.abs(exact - np.clip((real - 40) / 400 + 0.5, 0, 1) * 255).max() <= 0.5
    curve = shown(image, Picture(PNG, 90, Viewport(), Window(40, 400, Shape.SIGMOID)))
    assert np.abs(curve - 255 / (1 + np.exp(-4 * (real - 40) / 400))).max() <= 0.51


def test_without_a_window_all_values_of_the_picture_are_told_apart() -> None:
    image = ct()
    found = shown(image)
    assert (found.min(), found.max()) == (0, 255)
    image.PhotometricInterpretation = "MONOCHROME1"
    assert (shown(image) == 255 - found).all()
    image.PhotometricInterpretation = "MONOCHROME2"
    pixels = image.pixel_array.copy()
    pixels[0, 0] = image.PixelPaddingValue = -32768
    image["PixelPaddingValue"].VR = "SS"
    image.PixelData = pixels.tobytes()
    assert np.abs(shown(image)[1:].astype(int) - found[1:]).max() <= 1


def test_a_voi_lut_is_before_a_window() -> None:
    image = ct()
    table = Dataset()
    table.LUTDescriptor = [2, 0, 8]
    table["LUTDescriptor"].VR = "US"
    table.LUTData = [7, 200]
    table["LUTData"].VR = "US"
    image.VOILUTSequence = Sequence([table])
    image.WindowCenter, image.WindowWidth = 40, 400
    assert set(np.unique(shown(image))) == {7, 200}


def test_frames_have_windows_of_their_own() -> None:
    image = ct(NumberOfFrames=2)
    image.PixelData *= 2
    for name in ("RescaleSlope", "RescaleIntercept"):
        delattr(image, name)
    groups = []
    for center in (500, 2000):
        window, frame = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = center, 100
        frame.FrameVOILUTSequence = [window]
        groups.append(frame)
    image.PerFrameFunctionalGroupsSequence = groups
    shared, rescale = Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 1, 10
    shared.PixelValueTransformationSequence = [rescale]
    image.SharedFunctionalGroupsSequence = [shared]
    for number, center in ((1, 490), (2, 1990)):
        expected = shown(ct(RescaleIntercept=0, WindowCenter=center, WindowWidth=100))
        assert (shown(image, number=number) == expected).all()


STRIPES = ("SC_rgb_jpeg_dcmtk", "SC_rgb_rle", "SC_rgb_rle_16bit", "SC_rgb_jls_lossy_line", "SC_rgb_dcmtk_+eb+cy+s4",
           "SC_ybr_full_422_uncompressed", "SC_rgb_jpeg_gdcm", "SC_rgb_gdcm_KY")  # fmt: skip


@pytest.mark.parametrize("name", STRIPES)
def test_colours_are_red_green_and_blue(name: str) -> None:
    found = shown(dcmread(FILES / f"{name}.dcm"))
    stripes = [(255, 0, 0), (255, 128, 128), (0, 255, 0), (128, 255, 128), (0, 0, 255), (128, 128, 255), (0, 0, 0),
               (64, 64, 64), (192, 192, 192), (255, 255, 255)]  # fmt: skip
    for place, colour in enumerate(stripes):
        assert np.abs(found[place * 10 + 5, 50].astype(int) - colour).max() <= 5, place


def test_palettes_and_single_bits() -> None:
    palette = dcmread(FILES / "examples_palette.dcm")
    expected = apply_color_lut(palette.pixel_array, palette)
    assert (shown(palette) == (expected >> 8 if expected.itemsize > 1 else expected)).all()
    mask = dcmread(FILES / "liver_1frame.dcm")
    assert (shown(mask) == mask.pixel_array * 255).all()


@pytest.mark.parametrize(
    "name",
    ["MR_small_jp2klossless", "MR_small_RLE", "MR_small_jpeg_ls_lossless", "MR_small_bigendian", "MR_small_implicit"],
)  # fmt: skip
def test_transfer_syntaxes_make_no_difference(name: str) -> None:
    assert (shown(dcmread(FILES / f"{name}.dcm")) == shown(dcmread(FILES / "MR_small.dcm"))).all()


def test_nothing_stands_beside_the_pixels() -> None:
    image = dcmread(FILES / "SC_rgb_jpeg_dcmtk.dcm")
    image.PatientName, image.ImageComments, image.ICCProfile = "Canary^Name", "Canary", b"Canary" * 10
    png = picture(image)
    chunks, at = [], 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4])
        chunks.append(png[at + 4 : at + 8])
        at += 12 + size
    assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}
    jpeg = picture(image, Picture(JPEG, 50, Viewport()))
    segments, at = [], 2
    while jpeg[at + 1] != 0xDA:
        segments.append(jpeg[at + 1])
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    assert set(segments) <= {0xE0, 0xDB, 0xC0, 0xC4}
    assert segments.count(0xE0) == 1
    assert jpeg[2:20] == bytes.fromhex("ffe000104a46494600010100000100010000")


def test_quality_is_that_of_jpeg() -> None:
    small, large = (picture(ct(), Picture(JPEG, quality, Viewport())) for quality in (5, 95))
    assert len(small) < len(large) / 3


def test_a_part_is_shown_in_the_size_that_is_asked_for() -> None:
    whole = shown(ct())
    part = shown(ct(), Picture(PNG, 90, Viewport(None, None, 10, 20, 30, 40)))
    assert (part == whole[20:60, 10:40]).all()
    mirrored = shown(ct(), Picture(PNG, 90, Viewport(None, None, 0, 0, -128, -128)))
    assert (mirrored == whole[::-1, ::-1]).all()
    assert shown(ct(), Picture(PNG, 90, Viewport(64, 32))).shape == (32, 32)
    assert shown(ct(), Picture(PNG, 90, Viewport(512, 300))).shape == (300, 300)


@pytest.mark.parametrize(
    ("viewport", "frame", "box", "size"),
    [
        (Viewport(), (640, 480), (0, 0, 640, 480), (640, 480)),
        (Viewport(100, 100), (640, 480), (0, 0, 640, 480), (100, 75)),
        (Viewport(100, None), (640, 480), (0, 0, 640, 480), (100, 75)),
        (Viewport(1000, 1000, enlarges=False), (10, 20), (0, 0, 10, 20), (10, 20)),
        (Viewport(1000, 1000), (10, 20), (0, 0, 10, 20), (500, 1000)),
        (Viewport(50, 50, 600, 0, 100, 100), (640, 480), (600, 0, 640, 100), (20, 50)),
        (Viewport(50, 50, -20, -20, 40, 40), (640, 480), (0, 0, 20, 20), (50, 50)),
        (Viewport(1, 1), (65535, 1), (0, 0, 65535, 1), (1, 1)),
    ],
)  # fmt: skip
def test_viewports(viewport: Viewport, frame: tuple[int, int], box: object, size: object) -> None:
    found = viewport.box(*frame)
    assert found == box
    assert found is not None
    assert viewport.size(found) == size


def test_a_viewport_beside_the_frame_shows_nothing() -> None:
    for one in (
        Viewport(9, 9, 640),
        Viewport(9, 9, 0, 480),
        Viewport(9, 9, -50, 0, 50, 50),
        Viewport(9, 9, 0, 0, 0.5),
    ):
        assert one.box(640, 480) is None


@pytest.mark.parametrize("bits", [4, 12, 64])
def test_samples_of_odd_widths_are_refused(bits: int) -> None:
    with pytest.raises(ScrubRefused):
        picture(ct(BitsAllocated=bits, BitsStored=min(bits, 16), HighBit=min(bits, 16) - 1))


def test_a_frame_that_is_cut_short_is_refused() -> None:
    image = ct()
    image.PixelData = image.PixelData[:-2]
    with pytest.raises(ScrubRefused):
        picture(image)
