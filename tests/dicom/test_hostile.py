"""Hostile input costs little and ends in a named error."""

import io
import time
import warnings

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdm_async.dicom.elements import IMPLICIT_LITTLE
from mdm_async.dicom.identifiers import identifying_values
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.profile import OPTIONS, Profile, basic
from mdm_async.dicom.profiles.attribute_rules import Action
from mdm_async.dicom.profiles.safe_private import PrivateKey
from mdm_async.dicom.scrub import PixelFacts, scrub
from mdm_async.dicom.values.kept_text import passes
from mdm_async.dicom.values.lexical import is_legal
from mdm_async.dicom.values.terms import is_term
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


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
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


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from([basic(), ALL]))
def test_any_bytes_as_data_set(write, head, tail, profile):
    try:
        scrubbed(write.file(head), tail, profile)
    except (MdmError, ScrubRefused):
        return


@pytest.mark.parametrize("vr", b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
@pytest.mark.parametrize("start", [b"", b"1", b"1.2", b"20100101", b"\x80"])
def test_blanks_before_what_is_not_legal_are_read_once(vr, start):
    started = time.process_time()
    for blanks in (b" " * 200_000, (b" " * 60 + b"\\") * 3000, (b" " * 500 + b"\x80\\") * 500):
        assert not is_legal(vr, start + blanks + b"\x01")
    assert time.process_time() - started < 1


def test_identifiers_nested_in_each_other_are_refused_at_the_depth_of_all_else(writer):
    write, body = writer(IMPLICIT_LITTLE), b""
    for _ in range(5000):
        body = write.sequence(0x00101002, body)
    with pytest.raises(Malformed, match="deeper than 64"):
        identifying_values(write.file(body, "1.2.840.10008.1.2"))


def test_zeros_in_an_item_are_looked_through_once(writer):
    write = writer(IMPLICIT_LITTLE)
    file = write.file(
        write.sequence(0x00101002, bytes(800_000) + write.element(0x00100020, "LO", b"AB12")),
        "1.2.840.10008.1.2",
    )
    started = time.process_time()
    with pytest.raises(Malformed, match="zeros at byte"):
        identifying_values(file)
    assert time.process_time() - started < 1


def test_values_that_are_too_long_are_not_remembered():
    # The scrubbing processes live long: a few files of many megabytes each would fill their memory.
    before = (
        passes.__globals__["_one"].cache_info().currsize,
        is_term.__globals__["_of_words"].cache_info().currsize,
    )
    for number in range(50):
        assert not passes("kernel", b"B30f %d" % number * 1000)
        assert not is_term(0x00080060, b"MR %d" % number * 1000)
    after = (
        passes.__globals__["_one"].cache_info().currsize,
        is_term.__globals__["_of_words"].cache_info().currsize,
    )
    assert before == after


def test_more_numbers_of_its_own_than_any_patient_has_let_no_digit_stay(write):
    def cleaned(numbers: int) -> bytes:
        own = b"\\".join(b"77%05d" % number for number in range(numbers))
        return scrubbed(
            write.file(
                write.element(0x00081030, "LO", b"head 3 mm t1") + write.element(0x00101000, "LO", own)
            ),
            profile=ALL,
        )

    assert b"head 3 mm t1" in cleaned(1000)
    many = cleaned(1001)
    assert b"head" not in many
    assert b"mm" not in many


@pytest.mark.parametrize(
    ("tag", "site"), [(0x00082218, ()), (0x00191001, ((PrivateKey("ACME", 0x19, 1), Action.KEEP, None),))]
)
def test_what_has_to_be_gone_through_twice_is_not_so_at_each_depth(write, tag, site):
    body = write.element(0x00180050, "DS", b"1") * 20_000
    for _ in range(60):
        start = write.element(0x00190010, "LO", b"ACME") if site else b""
        body = start + write.undefined(tag, "SQ", write.item(body, undefined=True))
    started = time.process_time()
    if site:
        with pytest.raises(Malformed, match="nested in each other too deep"):
            scrubbed(write.file(body), profile=Profile("site", site=site))
    else:
        scrubbed(write.file(body))
    assert time.process_time() - started < 1


def test_private_groups_in_each_other_a_few_deep_stay(write):
    site = ((PrivateKey("ACME", 0x19, 1), Action.KEEP, None),)
    body = write.element(0x00180050, "DS", b"1 ")
    for _ in range(6):
        body = write.element(0x00190010, "LO", b"ACME") + write.undefined(
            0x00191001, "SQ", write.item(body, undefined=True)
        )
    assert body in scrubbed(write.file(body), profile=Profile("site", site=site))
