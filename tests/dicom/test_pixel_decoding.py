"""Compressed pixels are decoded so that regions can be blanked; without a decoder the reason says what is missing."""

import io
import struct
from dataclasses import replace

import pydicom
import pytest
from pydicom.pixels import pixel_array
from pydicom.pixels.decoders import base as decoders

from mdm_async.dicom.pixels.decoding import decode
from mdm_async.dicom.pixels.plan import PixelPlan, describe, plan
from mdm_async.dicom.profile import PixelRule, Region, basic
from mdm_async.errors import MdmError, ScrubRefused
from tests.dicom.test_inspector import BASELINE, FRAME, JFIF, jpeg
from tests.dicom.test_refusals import image, overlay

BANNER = Region(0, 0, 40, 3)
RLE = "1.2.840.10008.1.2.5"
# Broken on purpose, or of a kind that no installed decoder knows.
UNDECODABLE = {
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "JPEG-lossy.dcm",
}


def planned(head: bytes) -> PixelPlan:
    about, sop_class, syntax = describe(head)
    return plan(about, sop_class, syntax, replace(basic(), pixel_rules=(PixelRule((), blank=(BANNER,)),)))


@pytest.mark.filterwarnings("ignore")
def test_decoded_samples_show_the_same_picture_but_for_the_regions(sample, split):
    try:
        parts = split(sample.read_bytes())
        todo = planned(parts.head)
    except MdmError:
        return
    if not todo.decode or not parts.splitter.encapsulated:
        return
    if sample.name in UNDECODABLE:
        with pytest.raises(ScrubRefused):
            list(decode(parts.head, parts.pixels, todo)[1])
        return
    edits, pieces = decode(parts.head, parts.pixels, todo)
    element = b"".join(pieces)
    original = io.BytesIO(parts.head + parts.pixels + parts.tail)
    expected = pixel_array(original, raw=True).copy()
    changed = pydicom.dcmread(original)
    for tag, value in edits.values:
        number = int.from_bytes(value, "little")
        changed[tag] = pydicom.DataElement(
            tag, pydicom.datadict.dictionary_VR(tag), value.decode().strip() if tag == 0x00280004 else number
        )
    vr, length = struct.unpack("<4x2s2xL", element[:12])
    changed.file_meta.TransferSyntaxUID = edits.transfer_syntax
    changed.add_new(0x7FE00010, vr.decode(), element[12:])
    assert length == len(element) - 12
    assert length % 2 == 0
    shown = pixel_array(changed, raw=True)
    assert shown.shape == expected.shape
    frames = int(changed.get("NumberOfFrames", 1))
    black = {"YBR_FULL": [0, 128, 128]}.get(changed.PhotometricInterpretation.strip(), 0)
    every = expected if frames > 1 else expected[None]
    every[:, :3, :40] = black
    assert (shown == expected).all()
    assert edits == decode(parts.head, parts.pixels, todo)[0]


def run_length_encoded(write, *frames: bytes, syntax: str = RLE, **description) -> tuple[bytes, bytes]:
    """(head, pixels) of 8-bit frames of one sample, each less than 128 bytes long."""
    head = image(write, frames=str(len(frames)).encode(), syntax=syntax, **description)
    encoded = (
        struct.pack("<16L", 1, 64, *[0] * 14)
        + bytes([len(frame) - 1])
        + frame
        + b"\0" * (len(frame) % 2 == 0)
        for frame in frames
    )
    pixels = write.undefined(0x7FE00010, "OB", b"".join(map(write.item, (b"", *encoded))))
    return head, pixels


def test_run_length_encoding_needs_no_plug_in(write, monkeypatch):
    monkeypatch.setattr(decoders.RLELosslessDecoder, "_available", dict(pydicom_only()))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    frame = bytes(range(1, 10))
    edits, pieces = decode(
        *run_length_encoded(write, frame, frame, frame), PixelPlan((Region(1, 1, 2, 1),), decode=True)
    )
    blanked = frame[:4] + b"\0\0" + frame[6:]
    assert b"".join(pieces) == write.element(0x7FE00010, "OB", blanked * 3)
    assert edits.transfer_syntax == "1.2.840.10008.1.2.1"
    assert dict(edits.values)[0x00280004] == b"MONOCHROME2 "
    assert dict(edits.values)[0x00280100] == b"\x08\0"


def pydicom_only():
    available = decoders.RLELosslessDecoder._available
    return {"pydicom": available["pydicom"]}


def test_overlays_in_decoded_bits_are_cleared(write):
    head, pixels = run_length_encoded(write, b"\xff" * 9, stored=6)
    head = head + overlay(write, 7, 8)
    about, sop_class, syntax = describe(head)
    todo = plan(about, sop_class, syntax, basic())
    assert todo.decode
    assert b"".join(decode(head, pixels, todo)[1]) == write.element(0x7FE00010, "OB", b"\x3f" * 9)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.110", "1.2.3.4"])
def test_without_a_decoder_the_reason_names_the_transfer_syntax(write, syntax):
    head, pixels = run_length_encoded(write, bytes(9), syntax=syntax)
    with pytest.raises(ScrubRefused, match=rf"{syntax} .*install"):
        decode(head, pixels, PixelPlan((BANNER,), decode=True))


def test_without_numpy_jpeg_is_refused(write, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    head, pixels = run_length_encoded(write, bytes(9), syntax=BASELINE)
    with pytest.raises(ScrubRefused, match="numpy"):
        decode(head, pixels, PixelPlan((BANNER,), decode=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", [BASELINE, RLE, "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"])
@pytest.mark.parametrize(
    "content", [b"", b"DOE^JANE", bytes(64) + b"DOE^JANE", jpeg(JFIF).replace(FRAME, bytes(9))]
)
def test_what_a_decoder_stumbles_over_is_refused_and_not_told(write, syntax, content, caplog):
    head, _ = run_length_encoded(write, bytes(9), syntax=syntax)
    pixels = write.undefined(0x7FE00010, "OB", write.item(b"") + write.item(content))
    with pytest.raises(ScrubRefused) as refused:
        list(decode(head, pixels, PixelPlan((BANNER,), decode=True))[1])
    assert str(refused.value) == "the compressed pixels cannot be decoded"
    assert refused.value.__suppress_context__
    assert "DOE" not in caplog.text


class PanicError(BaseException):
    """As the bridge between Python and Rust raises it."""


def test_a_decoder_that_panics_is_a_decoder_that_fails(write, monkeypatch, caplog):
    def panic(source, runner):
        raise PanicError("index out of bounds: DOE^JANE")

    monkeypatch.setattr(decoders.RLELosslessDecoder, "_available", {"panicking": panic})
    with pytest.raises(ScrubRefused) as refused:
        list(decode(*run_length_encoded(write, bytes(9)), PixelPlan((BANNER,), decode=True))[1])
    assert str(refused.value) == "the compressed pixels cannot be decoded"
    assert refused.value.__suppress_context__
    assert "DOE" not in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_is_not_about_the_pixels_is_passed_on(write, monkeypatch, error):
    def interrupted(source, runner):
        raise error

    monkeypatch.setattr("pydicom.pixels.decoders.base.DecodeRunner._decode_frame", interrupted)
    with pytest.raises(error):
        list(decode(*run_length_encoded(write, bytes(9)), PixelPlan((BANNER,), decode=True))[1])


def test_fewer_frames_than_described_are_refused(write):
    head, pixels = run_length_encoded(write, bytes(9), bytes(9))
    three = head.replace(b"IS\x02\x002 ", b"IS\x02\x003 ")
    assert three != head
    with pytest.raises(ScrubRefused):
        list(decode(three, pixels, PixelPlan((BANNER,), decode=True))[1])


@pytest.mark.parametrize("description", [{"photometric": b"HSV"}, {"bits": 16, "stored": 17}])
def test_what_is_not_described_is_not_decoded(write, description):
    head, pixels = run_length_encoded(write, bytes(9), **description)
    with pytest.raises(ScrubRefused, match="description"):
        decode(head, pixels, PixelPlan((BANNER,), decode=True))


def test_more_than_a_value_can_hold_is_refused(write):
    head, pixels = run_length_encoded(write, bytes(9))
    many = head.replace(b"IS\x02\x001 ", b"IS\x0a\x00999999999 ")
    with pytest.raises(ScrubRefused, match="longer than DICOM allows"):
        decode(many, pixels, PixelPlan((BANNER,), decode=True))
