"""Dates are moved by a patient's whole days: intervals stay, legal values stay legal, nothing else is let through."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.dicom.profile import Profile
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.dicom.scrub import PixelFacts, scrub
from mdm_async.dicom.scrubbing.dates import shifted
from tests.pipeline import read

KEY = bytes(range(32))
NO_PIXELS = PixelFacts(False, 0, False, ())
MODIFIED = Profile("dates", options=frozenset({"retain_longitudinal_modified_dates"}))
FULL = Profile("dates", options=frozenset({"retain_longitudinal_full_dates"}))
days = st.integers(366, 3653)


def scrubbed(data: bytes, profile: Profile = MODIFIED, key: bytes = KEY):
    return read(scrub(data, b"", profile=profile, key=key, pixels=NO_PIXELS).head)


@given(st.dates(date(1100, 1, 1)), st.dates(date(1100, 1, 1)), days)
def test_intervals_between_dates_stay(first, second, moved):
    one, other = (
        datetime.strptime(shifted(b"DA", f"{day:%Y%m%d}".encode(), moved).decode(), "%Y%m%d").date()
        for day in (first, second)
    )
    assert other - one == second - first
    assert first - one == timedelta(days=moved)


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        (b"DA", b"20240301", b"20230301"),  # 366 days, over a leap day
        (b"DA", b"1997.04.24", b"1996.04.23"),
        (b"DA", b"20240301\\20240302 ", b"20230301\\20230302"),
        (b"DA", b"20240301\\\\20240302", b"20230301\\\\20230302"),
        (b"DA", b"", b""),
        (b"DT", b"20240301", b"20230301"),
        (b"DT", b"202403", b"202303"),
        (b"DT", b"2024", b"2023"),
        (b"DT", b"20240301101112.123456+0130", b"20230301101112.123456+0130"),
        (b"DT", b"2024030110-0500\0", b"2023030110-0500"),
        (b"DT", b"2024+0100", b"2023+0100"),
        (b"TM", b"101112.5 ", b"101112.5"),
        (b"TM", b"10:11:12", b"10:11:12"),
        (b"TM", b"235960", b"235960"),
    ],
)
def test_what_is_legal_is_moved_in_its_own_form(vr, value, expected):
    assert shifted(vr, value, 366) == expected


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        (b"DA", b"20230229"),
        (b"DA", b"00010101"),
        (b"DA", b"2023"),
        (b"DA", b"20230101-20240101"),
        (b"DA", b"1997.0424"),
        (b"DA", b"MEYER^^"),
        (b"DA", b"20240301\\JANE"),
        (b"DA", "２０２４０３０１".encode()),
        (b"DT", b"20240301251112"),
        (b"DT", b"20240301101112.1234567"),
        (b"DT", b"20240301 born"),
        (b"DT", b"20240301+9900"),
        (b"TM", b"DOE^JANE"),
        (b"TM", b"2460"),
        (b"TM", b"\xff\xfe"),
    ],
)
def test_what_is_no_legal_date_is_none(vr, value):
    assert shifted(vr, value, 366) is None


@given(st.sampled_from([b"DA", b"DT", b"TM"]), st.binary(max_size=30), days)
def test_nothing_raises_and_nothing_but_digits_comes_out(vr, value, moved):
    found = shifted(vr, value, moved)
    assert found is None or set(found) <= set(b"0123456789.:+-\\")


def test_days_are_a_patients_and_a_keys_own():
    ours = Pseudonyms(KEY)
    of = {ours.days(b"%d" % number, b"", b"", b"") for number in range(500)}
    assert len(of) > 400
    assert min(of) >= 366
    assert max(of) <= 3653
    assert ours.days(b"17 ", b"A", b"B", b"C") == ours.days(b"17\0", b"", b"", b"D")
    assert ours.days(b"", b"DOE^J^^ ", b"1", b"C") == ours.days(b" ", b"DOE^J", b"1", b"D")
    assert ours.days(b"", b"DOE^J", b"1", b"") != ours.days(b"", b"DOE^J", b"2", b"")
    assert (
        ours.days(b"", b"", b"", b"1.2")
        == ours.days(b"", b"", b"", b"1.2\0")
        != Pseudonyms(b"k" * 16).days(b"", b"", b"", b"1.2")
    )


def test_the_same_days_for_one_patient_everywhere(write):
    def study(day: bytes, patient: bytes) -> bytes:
        body = write.element(0x00080020, "DA", day) + write.element(0x0008002A, "DT", day + b"1011")
        nested = write.element(0x00080020, "DA", day) + write.element(0x00080030, "TM", b"1011")
        body += write.sequence(0x00082218, nested) + write.element(0x00100020, "LO", patient)
        return write.file(body + write.element(0x00100030, "DA", b"19520412"))

    first, second = (scrubbed(study(day, b"17")) for day in (b"20240101", b"20240217"))
    other = scrubbed(study(b"20240101", b"18"))
    moved = Pseudonyms(KEY).days(b"17", b"", b"", b"")
    expected = f"{date(2024, 1, 1) - timedelta(days=moved):%Y%m%d}"
    assert first.StudyDate == expected
    assert first.AcquisitionDateTime == expected + "1011"
    assert first.AnatomicRegionSequence[0].StudyDate == expected
    assert first.AnatomicRegionSequence[0].StudyTime == "1011"
    assert datetime.strptime(second.StudyDate, "%Y%m%d") - datetime.strptime(
        first.StudyDate, "%Y%m%d"
    ) == timedelta(47)
    assert other.StudyDate != first.StudyDate
    # The option does not name the birth date.
    assert first.PatientBirthDate == ""
    assert first.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [code.CodeValue for code in first.DeidentificationMethodCodeSequence] == ["113100", "113107"]


def test_a_date_that_is_none_becomes_a_dummy_and_an_empty_one_stays_empty(write):
    body = write.element(0x00080020, "DA", b"MUELLER ") + write.element(0x00080021, "DA", b"")
    found = scrubbed(write.file(body + write.element(0x00080030, "TM", b"HANS")))
    assert (found.StudyDate, found.SeriesDate, found.StudyTime) == ("19000101", "", "000000")


def test_dates_written_under_another_vr_are_moved_or_become_dummies(write):
    body = write.element(0x00080020, "LO", b"20240101") + write.element(0x00080021, "UN", b"HANS")
    found = scrubbed(write.file(body))
    moved = Pseudonyms(KEY).days(b"", b"", b"", b"")
    assert found.StudyDate == f"{date(2024, 1, 1) - timedelta(days=moved):%Y%m%d}"
    assert (found["StudyDate"].VR, found.SeriesDate) == ("DA", "19000101")


def test_full_dates_stay_and_it_is_said(write):
    found = scrubbed(write.file(write.element(0x00080020, "DA", b"20240101")), FULL)
    assert (found.StudyDate, found.LongitudinalTemporalInformationModified) == ("20240101", "UNMODIFIED")
