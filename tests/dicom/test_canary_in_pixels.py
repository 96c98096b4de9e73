"""Nothing planted beside the picture survives, wherever pixels and their tables have a place for it."""

import pytest

from tests.canary_in_pixels import in_pixels
from tests.pipeline import deidentified

PLACES = in_pixels(1)


@pytest.mark.parametrize("place", PLACES)
def test_nothing_planted_beside_the_picture_survives(place):
    planted = PLACES[place]
    assert planted.survivors(planted.data) == planted.markers
    assert planted.survivors(deidentified(planted.data)) == []
