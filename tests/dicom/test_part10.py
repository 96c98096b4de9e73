"""The splitter finds head, pixels and tail in a stream, whatever its chunks are."""

import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import UID

from mdm_async.dicom.elements import EXPLICIT_BIG, IMPLICIT_LITTLE
from mdm_async.dicom.part10 import INFLATE_STEP, Kind, Splitter
from mdm_async.errors import Malformed, MdmError, NotDicom, Truncated

REJECTED = {
    "SC_rgb_jpeg.dcm",  # implicit VR under a transfer syntax that says explicit
    "MR_truncated.dcm",
    "rtplan_truncated.dcm",
    "meta_missing_tsyntax.dcm",
    *("no_meta.dcm", "rtstruct.dcm", "ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm"),
    *("README", "zipMR.gz", "crayons.icc", "rtplan.dump", "rtstruct.dump"),
}
DEFLATED = "1.2.840.10008.1.2.1.99"
PIXELS = 0x7FE00010


def test_every_sample_comes_together_again_or_is_rejected_with_a_reason(sample, split):
    data = sample.read_bytes()
    try:
        parts = split(data)
    except MdmError as refused:
        reason = refused.detail
    else:
        reason = ""
    if reason:
        assert sample.name in REJECTED or sample.name.startswith("DICOMDIR")
        return
    whole = parts.head + parts.pixels + parts.tail
    assert (parts.original or whole) == data
    assert UID(parts.splitter.transfer_syntax).is_transfer_syntax
    if parts.pixels:
        assert parts.pixels[:2] in (b"\x7f\xe0", b"\xe0\x7f")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_chunks_do_not_matter(split, samples, data):
    path = data.draw(st.sampled_from([one for one in samples if one.stat().st_size < 60_000]))
    sizes = data.draw(st.lists(st.integers(1, 700), min_size=1, max_size=40))
    content = path.read_bytes()
    try:
        expected = split(content)
    except MdmError as error:
        with pytest.raises(type(error)):
            split(content, sizes)
        return
    got = split(content, sizes)
    assert (got.head, got.pixels, got.tail, got.original) == (
        expected.head,
        expected.pixels,
        expected.tail,
        expected.original,
    )
    assert got.splitter.pixel_value_length == expected.splitter.pixel_value_length


def test_the_facts_of_native_pixels(ct, split):
    splitter = split(ct).splitter
    assert splitter.transfer_syntax == "1.2.840.10008.1.2.1"
    assert splitter.sop_class == "1.2.840.10008.5.1.4.1.1.2"
    assert splitter.pixel_value_length == 128 * 128 * 2
    assert not splitter.encapsulated
    assert not splitter.deflated


def test_nothing_is_known_before_the_meta_is_complete(ct):
    splitter = Splitter()
    assert splitter.feed(ct[:200]) == []
    assert splitter.transfer_syntax is None
    assert splitter.sop_class is None


@pytest.mark.parametrize("size", [1, 5, 64, 1 << 20])
def test_a_deflated_file_gives_its_original_and_its_inflated_parts(write, split, size):
    head = write.element(0x00100010, "PN", b"A^B")
    pixels = write.element(PIXELS, "OW", bytes(range(256)) * 40)
    tail = write.element(0xFFFCFFFC, "OB", bytes(4))
    plain = write.file(head + pixels + tail)
    start = plain.index(b"\x08\x00\x16\x00UI")
    meta = write.file(b"", DEFLATED)
    meta = meta[: meta.index(b"\x08\x00\x16\x00UI")]
    deflater = zlib.compressobj(wbits=-15)
    data = meta + deflater.compress(plain[start:]) + deflater.flush()
    parts = split(data, [size])
    assert parts.original == data
    assert parts.head == meta + plain[start : plain.index(pixels)]
    assert (parts.pixels, parts.tail) == (pixels, tail)
    assert parts.splitter.deflated
    with pytest.raises(Truncated):
        split(data[:-1])
    with pytest.raises(Malformed, match="after the end"):
        split(data + b"hidden")


def test_a_deflated_bomb_costs_steps_not_memory(write):
    meta = write.file(b"", DEFLATED)
    meta = meta[: meta.index(b"\x08\x00\x16\x00UI")]
    deflater = zlib.compressobj(9, wbits=-15)
    body = [deflater.compress(write.header(PIXELS, "OW", 1 << 28))]
    body += [deflater.compress(bytes(1 << 20)) for _ in range(256)]
    splitter = Splitter()
    largest = total = 0
    for piece in splitter.stream(meta + b"".join(body) + deflater.flush()):
        if piece.kind is not Kind.ORIGINAL:
            largest, total = max(largest, len(piece.data)), total + len(piece.data)
    splitter.close()
    assert total > 1 << 28
    assert largest <= INFLATE_STEP


def test_fragments_end_at_their_delimiter_not_at_bytes_that_look_like_one(write, split):
    trap = write.delimiter(0xFFFEE0DD) + write.element(0x00100010, "PN", b"no tail")
    body = write.item(b"") + write.item(trap) + write.item(trap * 2)
    pixels, tail = write.undefined(PIXELS, "OB", body), write.element(0xFFFCFFFC, "OB", b"\1\1")
    parts = split(write.file(pixels + tail, "1.2.840.10008.1.2.4.50"), [3])
    assert (parts.pixels, parts.tail) == (pixels, tail)
    assert parts.splitter.encapsulated
    assert parts.splitter.pixel_value_length == len(pixels) - 12


@pytest.mark.parametrize("undefined", [False, True])
def test_pixels_inside_a_sequence_are_head(write, split, undefined):
    icon = write.sequence(0x00880200, write.element(PIXELS, "OW", bytes(8)), undefined=undefined)
    pixels = write.element(PIXELS, "OW", bytes(16))
    data = write.file(icon + pixels)
    parts = split(data, [2])
    assert parts.head.endswith(icon)
    assert parts.pixels == pixels


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009])
def test_float_pixels_are_pixels(write, split, tag):
    pixels = write.element(tag, "OF", bytes(16))
    assert split(write.file(pixels)).pixels == pixels


def test_undefined_lengths_in_undefined_lengths(writer, split):
    for encoding, syntax in ((IMPLICIT_LITTLE, "1.2.840.10008.1.2"), (EXPLICIT_BIG, "1.2.840.10008.1.2.2")):
        write = writer(encoding)
        body = write.element(0x00081155, "UI", b"1.2.3")
        for _ in range(60):
            body = write.sequence(0x00082218, body, b"", undefined=True)
        pixels = write.element(PIXELS, "OW", bytes(16))
        parts = split(write.file(body + pixels, syntax), [7])
        assert parts.pixels == pixels


def test_un_of_undefined_length_holds_implicit_items(write, writer, split):
    implicit = writer(IMPLICIT_LITTLE)
    for inside in (implicit, write):
        item = inside.item(inside.element(0x00100010, "PN", b"A^B"), undefined=True)
        pixels = write.element(PIXELS, "OW", bytes(16))
        parts = split(write.file(write.undefined(0x00091001, "UN", item) + pixels), [1])
        assert parts.pixels == pixels


def test_elements_after_the_pixels_in_any_order_are_tail(write, split):
    tail = write.element(0x00100010, "PN", b"late") + write.element(PIXELS, "OW", b"second")
    parts = split(write.file(write.element(PIXELS, "OW", bytes(4)) + tail))
    assert parts.tail == tail


def test_a_file_that_is_no_image_is_all_head(write, split):
    data = write.file(write.element(0x00100010, "PN", b"A^B"))
    parts = split(data)
    assert (parts.head, parts.pixels, parts.tail) == (data, b"", b"")


@pytest.mark.parametrize("at", [*range(0, 600, 37), 5000, 39_000])
def test_a_stream_that_ends_early_is_told(ct, split, at):
    try:
        parts = split(ct[:at])
    except NotDicom:
        return
    # The cut fell between two elements, where nothing tells that more was to come.
    assert parts.head == ct[:at]


def test_truncation_names_its_place(write, split):
    data = write.file(write.header(0x00091001, "OB", 1 << 30) + b"short")
    with pytest.raises(Truncated, match=f"at byte {len(data)}, {(1 << 30) - 5} bytes before"):
        split(data)
    with pytest.raises(Truncated, match="inside an element's header"):
        split(write.file(b"\x10\x00\x10"))
    with pytest.raises(Truncated, match="without their delimiter"):
        split(write.file(write.header(0x00082218, "SQ", 0xFFFFFFFF) + write.item(b"")))


def test_what_is_no_dicom_is_refused_with_a_reason(write, split):
    with pytest.raises(NotDicom, match="no DICM prefix"):
        split(b"%PDF" + bytes(300))
    with pytest.raises(NotDicom, match="shorter"):
        split(b"tiny")
    with pytest.raises(NotDicom, match="DICOMDIR"):
        split(write.file(b"").replace(b"1.2.840.10008.5.1.4.1.1.4\0", b"1.2.840.10008.1.3.10\0\0\0\0\0\0"))
    with pytest.raises(Malformed, match="no transfer syntax"):
        split(bytes(128) + b"DICM" + write.element(0x00020001, "OB", b"\0\1"))
    with pytest.raises(Malformed, match="is no UID"):
        split(bytes(128) + b"DICM" + write.element(0x00020010, "UI", b"DOE^JANE"))


def test_broken_structure_is_refused_with_its_offset(write, writer, split):
    start = len(write.file(b""))
    with pytest.raises(Malformed, match=f"at byte {start}"):
        split(write.file(write.item(b"stray")))
    with pytest.raises(Malformed, match=f"no known VR at byte {start + 4}"):
        split(write.file(b"\x10\x00\x10\x00\2\0\0\0AB"))
    with pytest.raises(Malformed, match="implicit VR data set under"):
        split(writer(IMPLICIT_LITTLE).file(b"", "1.2.840.10008.1.2.1"))
    with pytest.raises(Malformed, match="neither an item"):
        split(write.file(write.undefined(0x00082218, "SQ", write.element(0x00100010, "PN", b"A"))))
    with pytest.raises(Malformed, match="allows none"):
        split(write.file(write.undefined(0x00081234, "UT", b"")))
    deep = write.header(0x00082218, "SQ", 0xFFFFFFFF) + write.delimiter(0xFFFEE000, 0xFFFFFFFF)
    with pytest.raises(Malformed, match="deeper than 64"):
        split(write.file(deep * 10_000))


def test_garbage_after_the_end_is_refused(ct, split):
    with pytest.raises(NotDicom, match="byte"):
        split(ct + b"garbage after the last element")


def test_a_meta_without_end_is_refused(write):
    splitter = Splitter()
    start = bytes(128) + b"DICM"
    splitter.feed(start)
    for _ in range(15):
        splitter.feed(write.element(0x00020102, "OB", bytes(64 << 10)))
    with pytest.raises(Malformed, match="larger than"):
        splitter.feed(write.element(0x00020102, "OB", bytes(64 << 10)))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 39_000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=8))
def test_mutations_never_raise_anything_but_named_errors(ct, split, changes):
    data = bytearray(ct)
    for at, what in changes:
        data[at : at + len(what)] = what
    try:
        parts = split(bytes(data), [4096])
    except MdmError:
        return
    assert (parts.original or parts.head + parts.pixels + parts.tail) == bytes(data)
