"""Hostile input costs little and ends in a named error."""

import io
import time
import warnings

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdm_async.dicom.identifiers import identifying_values
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.profile import OPTIONS, Profile, basic
from mdm_async.dicom.scrub import PixelFacts, scrub
from mdm_async.errors import Malformed, MdmError, ScrubRefused

NO_PIXELS = PixelFacts(False, 0, False, ())


ALL = Profile("all", options=frozenset(OPTIONS) - {"retain_longitudinal_full_dates"})


def scrubbed(head: bytes, tail: bytes = b"", profile: Profile | None = None) -> bytes:
    made = scrub(head, tail, profile=profile or basic(), key=bytes(32), pixels=NO_PIXELS)
    return made.head + made.tail


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("tag", [0x00082218, 0x00091001, 0x00880200])
def test_ten_thousand_items_in_each_other(write, split, undefined, tag):
    if undefined:
        body = (write.header(tag, "SQ", 0xFFFFFFFF) + write.delimiter(0xFFFEE000, 0xFFFFFFFF)) * 10_000
        body += (write.delimiter(0xFFFEE00D) + write.delimiter(0xFFFEE0DD)) * 10_000
        with pytest.raises(Malformed, match="deeper than 64"):
            split(write.file(body))
    else:
        parts = []
        for level in range(10_000, 0, -1):
            parts += [write.header(tag, "SQ", 20 * level - 12), write.delimiter(0xFFFEE000, 20 * level - 20)]
        body = b"".join(parts)
        assert split(write.file(body)).head == write.file(body)
    if undefined or tag == 0x00082218:
        with pytest.raises(Malformed, match="deeper than 64"):
            scrubbed(write.file(body))
    else:
        assert len(scrubbed(write.file(body))) < 1000


@pytest.mark.parametrize("length", [0xFFFFFFFE, 1 << 30, 0x7FFFFFFF])
def test_a_gigabyte_that_is_announced_is_not_believed(write, length):
    for body in (
        write.header(0x00082218, "SQ", length),
        write.header(0x00091001, "OB", length) + b"x",
        write.sequence(0x00082218, write.header(0x00420011, "OB", length)),
        write.element(0x00082218, "SQ", write.delimiter(0xFFFEE000, length)),
    ):
        with pytest.raises(Malformed, match="at byte"):
            scrubbed(write.file(body))


def test_many_small_elements_take_no_more_than_their_number(write):
    body = write.element(0x00100010, "PN", b"") * 200_000
    started = time.process_time()
    scrubbed(write.file(body))
    assert time.process_time() - started < 20


def test_more_kinds_of_elements_than_any_image_has_are_refused(write):
    kinds = b"".join(write.element(group << 16 | 0x10, "LO", b"") for group in range(0x1000, 0x1100, 2))
    many = (write.element(0x10001 + 2 * number, "LO", b"") for number in range(0x10001))
    assert len(scrubbed(write.file(kinds))) < 1000
    with pytest.raises(Malformed, match="more than 65536 kinds"):
        scrubbed(write.file(b"".join(many)))


def test_orphans_of_fragments_and_endless_overlays_are_removed(write):
    fragments = write.delimiter(0xFFFEE000, 4) + b"ABCD"
    body = write.undefined(0x00091001, "OB", fragments) + write.undefined(0x60003000, "OW", fragments)
    assert b"ABCD" not in scrubbed(write.file(body), profile=ALL)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutations_never_raise_anything_but_named_errors(samples, split, data):
    path = data.draw(
        st.sampled_from([one for one in samples if one.suffix == ".dcm" and one.stat().st_size < 20_000])
    )
    content = bytearray(path.read_bytes())
    profile = data.draw(st.sampled_from([basic(), ALL]))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        what = data.draw(
            st.binary(min_size=1, max_size=8)
            | st.sampled_from([b"\xff" * 4, b"SQ", b"UN\0\0\xff\xff\xff\xff"])
        )
        content[at : at + len(what)] = what
    try:
        parts = split(bytes(content), [1000])
        inspector = Inspector(parts.splitter.transfer_syntax)
        inspector.feed(parts.pixels)
        inspector.findings()
        identifying_values(parts.head)
        made = scrub(parts.head, parts.tail, profile=profile, key=bytes(32), pixels=parts.facts)
    except (MdmError, ScrubRefused):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pydicom.dcmread(io.BytesIO(made.head + parts.pixels + made.tail))
    assert found.PatientIdentityRemoved == "YES"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from([basic(), ALL]))
def test_any_bytes_as_data_set(write, head, tail, profile):
    try:
        scrubbed(write.file(head), tail, profile)
    except (MdmError, ScrubRefused):
        return
