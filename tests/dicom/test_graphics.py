"""Graphics that may stay under their option: regions of interest and shapes, never drawn or written text."""

import pytest

from mdm_async.dicom.profile import Profile
from mdm_async.dicom.scrub import PixelFacts, scrub
from tests.pipeline import read

KEY = bytes(range(32))
NO_PIXELS = PixelFacts(False, 0, False, ())


def scrubbed(data: bytes, *options: str):
    profile = Profile("graphics", options=frozenset(options))
    made = scrub(data, b"", profile=profile, key=KEY, pixels=NO_PIXELS).head
    assert b"SECRET" not in made
    return read(made)


def overlay(write, *types: bytes, group: int = 0x6000) -> bytes:
    first = group << 16
    body = write.element(first | 0x0010, "US", b"\2\0") + write.element(first | 0x0011, "US", b"\2\0")
    body += write.element(first | 0x0022, "LO", b"lesion SECRET")
    body += b"".join(write.element(first | 0x0040, "CS", one) for one in types)
    body += write.element(first | 0x0100, "US", b"\1\0") + write.element(first | 0x0102, "US", b"\0\0")
    return body + write.element(first | 0x3000, "OW", b"\x5a\xa5")


def test_an_overlay_that_is_a_region_of_interest_stays(write):
    found = scrubbed(write.file(overlay(write, b"R ")), "clean_graphics", "clean_descriptors")
    assert found[0x60003000].value == b"\x5a\xa5"
    assert (found[0x60000010].value, found[0x60000040].value, found[0x60000022].value) == (2, "R", "lesion")


@pytest.mark.parametrize("types", [(b"G ",), (), (b"R ", b"G "), (b"R\\G ",), (b"RG",)])
def test_an_overlay_that_may_be_drawn_text_goes_whole(write, types):
    body = overlay(write, *types) + overlay(write, b"R ", group=0x6002)
    found = scrubbed(write.file(body), "clean_graphics")
    assert {tag.group for tag in found.keys() if tag.group >> 8 == 0x60} == {0x6002}  # noqa: SIM118


def test_an_overlay_longer_than_its_bits_goes_whole(write):
    whole, data = overlay(write, b"R "), write.element(0x60003000, "OW", b"\x5a\xa5")
    for body in (
        whole.replace(data, write.element(0x60003000, "OW", b"\x5a\xa5SECRET")),
        whole + data,
        write.element(0x60000040, "CS", b"R ") + data,
        whole.replace(write.element(0x60000010, "US", b"\2\0"), write.element(0x60000010, "LO", b"ABCD")),
        write.element(0x60000015, "IS", b"9" * 12) * 2 + whole,
    ):
        found = scrubbed(write.file(body), "clean_graphics")
        assert not any(tag.group >> 8 == 0x60 for tag in found.keys())  # noqa: SIM118


def test_without_the_option_every_overlay_goes(write):
    found = scrubbed(write.file(overlay(write, b"R ")))
    assert not any(tag.group >> 8 == 0x60 for tag in found.keys())  # noqa: SIM118


def test_overlays_in_items_are_judged_there(write):
    body = write.sequence(0x00082218, overlay(write, b"G "), overlay(write, b"R "), undefined=True)
    drawn, region = scrubbed(write.file(body), "clean_graphics").AnatomicRegionSequence
    assert len(drawn) == 0
    assert region[0x60003000].value == b"\x5a\xa5"


def test_graphic_annotations_keep_their_shapes_and_lose_their_texts(write):
    text = write.element(0x00700006, "ST", b"SECRET")
    graphic = write.element(0x00700023, "CS", b"POLYLINE")
    ticks = write.sequence(0x00700287, write.element(0x00700289, "SH", b"SECRET"))
    annotation = write.element(0x00700002, "CS", b"LAYER") + write.sequence(0x00700008, text)
    annotation += write.sequence(0x00700009, graphic) + write.sequence(0x00700209, text + ticks)
    body = write.sequence(0x00700001, annotation)
    (found,) = scrubbed(write.file(body), "clean_graphics").GraphicAnnotationSequence
    assert found.TextObjectSequence[0].UnformattedTextValue == "REMOVED"
    assert found.GraphicObjectSequence[0].GraphicType == "POLYLINE"
    assert found.CompoundGraphicSequence[0].UnformattedTextValue == "REMOVED"
    assert found.CompoundGraphicSequence[0].MajorTicksSequence[0].TickLabel == "REMOVED"
    (dummy,) = scrubbed(write.file(body)).GraphicAnnotationSequence
    assert "TextObjectSequence" not in dummy
    assert dummy.GraphicObjectSequence[0].GraphicType == "POINT"
