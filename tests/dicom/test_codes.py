"""Codes of published schemes: what is published is known, and neither a name nor a patient's number has their shape."""

import random

import pytest

from mdm_async.dicom.scrubbing.code_items import PUBLIC_SCHEMES
from mdm_async.dicom.values.codes import has_shape, published_meanings


@pytest.mark.parametrize(
    ("scheme", "value", "meaning"),
    [
        (b"DCM", b"121322", b"Source image for image processing operation"),
        (b"SCT", b"10200004", b"Liver"),
        (b"SRT", b"T-62000", b"Liver"),
        (b"SNM3", b"T-62000", b"Liver"),
        (b"UCUM", b"cm", b"cm"),
        (b"UCUM", b"ml/100g/min", b"ml/100g/min"),
        (b"SCPECG", b"5.6.3-9-1", b"Lead I (Einthoven)"),
        (b"RADLEX", b"RID11327", b"Beam-hardening artifact"),
    ],
)
def test_a_published_code_has_its_meaning(scheme, value, meaning):
    assert published_meanings(scheme, value)[0] == meaning
    assert has_shape(scheme, value)


@pytest.mark.parametrize(
    ("scheme", "value"),
    [(b"DCM", b"999999"), (b"99SITE", b"121322"), (b"SRT", b"T-99999"), (b"SCT", b""), (b"", b"")],
)
def test_other_codes_have_none(scheme, value):
    assert published_meanings(scheme, value) == ()


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        (b"SCT", b"22298006"),
        (b"SCT", b"900000000000207008"),
        (b"LN", b"2160-0"),
        (b"LN", b"11525-3"),
        (b"RADLEX", b"RID58"),
        (b"NCIt", b"C4872"),
        (b"I10", b"C34.1"),
        (b"RFC5646", b"en-US"),
        *(
            (b"UCUM", unit)
            for unit in (b"1", b"mm", b"mm2", b"mg/mL", b"{ratio}", b"10*3/uL", b"[hnsf'U]", b"%")
        ),
        *(
            (b"UCUM", unit)
            for unit in (b"g/mL{SUVbw}", b"mm[Hg]", b"kg/m2", b"umol/min/mL", b"10*-6.mm2/s", b"/min")
        ),
    ],
)
def test_codes_that_no_dictionary_here_holds_are_known_by_their_shape(scheme, value):
    assert has_shape(scheme, value)


@pytest.mark.parametrize("scheme", sorted(PUBLIC_SCHEMES))
def test_no_name_and_hardly_a_number_has_the_shape_of_a_code(scheme):
    people = [
        b"Smith",
        b"SMITH",
        b"Smith^John",
        b"john",
        b"Mary Ann",
        b"smith.john",
        b"LEE",
        b"lee",
        b"A1234567",
    ]
    assert [name for name in people if has_shape(scheme, name)] == []
    of = random.Random(scheme)
    numbers = [
        str(of.randint(10 ** (n - 1), 10**n - 1)).encode() for n in (6, 7, 8, 9, 10, 12) for _ in range(500)
    ]
    days = [b"19600101", b"1960-01-01", b"010160", b"196001011200"]
    # SNOMED CT has a check digit and a fixed partition: one number in five hundred.
    assert sum(has_shape(scheme, number) for number in numbers) <= len(numbers) // 100
    assert [day for day in days if has_shape(scheme, day)] == []


@pytest.mark.parametrize("scheme", sorted(PUBLIC_SCHEMES))
def test_no_day_is_a_code_though_its_check_digit_fits(scheme):
    days = (
        b"%04d%02d%02d" % (year, month, day)
        for year in (1960, 2011)
        for month in range(1, 13)
        for day in range(1, 29)
    )
    assert [day for day in days if has_shape(scheme, day)] == []


@pytest.mark.parametrize(
    "unit",
    [
        b"mm{Smith}",
        b"{John}",
        b"{12345}",
        b"1234567",
        b"Smith",
        b"smith/john",
        b"mm2345",
        b"cm{",
        b"a b",
        b"19.60.01.01",
        b"555.123.4567",
    ],
)
def test_a_unit_says_nothing_else(unit):
    assert not has_shape(b"UCUM", unit)
