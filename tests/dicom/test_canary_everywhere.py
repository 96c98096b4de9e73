"""Something identifying in every attribute of the dictionary, under its own VR and others: none of it comes out."""

from functools import cache

import pytest

from mdm_async.dicom.profile import OPTIONS, Profile, basic
from tests.canary import Canary
from tests.canary_everywhere import EVERYTHING
from tests.pipeline import deidentified

SEED = 2026


@cache
def planted_as(name: str) -> Canary:
    return EVERYTHING[name](SEED)


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_marker_is_found_before_scrubbing(name):
    planted = planted_as(name)
    assert len(planted.markers) > 5000
    assert planted.survivors(planted.data) == planted.markers


@pytest.mark.parametrize("name", EVERYTHING)
def test_nothing_survives_whatever_the_table_says_of_its_attribute(name):
    planted = planted_as(name)
    assert [str(one) for one in planted.survivors(deidentified(planted.data, basic()))] == []


@pytest.mark.parametrize("name", ["own VR, explicit", "written as LO", "in sequences, explicit"])
def test_nor_where_all_that_can_be_cleaned_is_kept_cleaned(name):
    profile = Profile("cleaned", options=frozenset(one for one in OPTIONS if one.startswith("clean_")))
    planted = planted_as(name)
    assert [str(one) for one in planted.survivors(deidentified(planted.data, profile))] == []
