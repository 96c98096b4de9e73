"""Something identifying in every attribute of the dictionary, under its own VR and others."""

import pytest

from tests.canary_everywhere import everything

SEED = 2026
FILES = everything(SEED)


@pytest.mark.parametrize("name", FILES)
def test_every_marker_is_found_before_scrubbing(name):
    planted = FILES[name]
    assert len(planted.markers) > 5000
    assert planted.survivors(planted.data) == planted.markers
