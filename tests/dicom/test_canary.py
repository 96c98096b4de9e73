"""Something identifying is planted wherever a file can hold it; what comes out holds what the profile allows."""

import io
from collections.abc import Iterator
from dataclasses import replace

import pydicom
import pytest

from mdm_async.dicom.profile import Profile, basic
from tests.canary import ENCODINGS, Canary, canary
from tests.canary_fates import FULL_DATES, MODIFIED_DATES, OPTIONS, Fate, fate
from tests.canary_planter import Planter, joined
from tests.canary_values import EXPLICIT
from tests.pipeline import assembled, cut, deidentified

SEED = 2025
CHOICES = {
    "basic": (),
    **{option: (option,) for option in OPTIONS},
    "all with full dates": tuple(option for option in OPTIONS if option != MODIFIED_DATES),
    "all with modified dates": tuple(option for option in OPTIONS if option != FULL_DATES),
}


@pytest.fixture(scope="module", params=ENCODINGS)
def planted(request):
    return canary(SEED, request.param)


def test_every_marker_is_found_before_scrubbing(planted):
    assert len(planted.markers) > 3100
    assert planted.survivors(planted.data) == planted.markers


@pytest.mark.parametrize("options", CHOICES.values(), ids=CHOICES)
def test_what_is_left_is_what_the_options_allow(planted, options):
    out = deidentified(planted.data, Profile("canary", options=frozenset(options)))
    survivors = set(planted.survivors(out))
    fates = {marker: fate(marker, options) for marker in planted.markers}
    assert [str(one) for one in survivors if fates[one] is Fate.GONE] == []
    lost = [str(one) for one, due in fates.items() if due is Fate.KEPT and one not in survivors]
    assert lost == []
    assert not options or Fate.KEPT in fates.values() or "clean" in options[0]


def test_what_is_written_is_legal_for_its_vr(planted, monkeypatch):
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.RAISE)
    for options in ((), CHOICES["all with full dates"], CHOICES["all with modified dates"]):
        out = deidentified(planted.data, Profile("canary", options=frozenset(options)))
        found = pydicom.dcmread(io.BytesIO(out))
        assert [tag for tag, _ in illegal(found)] == []


def illegal(data: pydicom.Dataset) -> Iterator[tuple[pydicom.tag.BaseTag, str]]:
    """Elements whose value pydicom does not take, at any depth."""
    for tag in data.keys():  # noqa: SIM118
        try:
            element = data[tag]
        except ValueError as why:
            yield tag, str(why)
            continue
        for item in element.value if element.VR == "SQ" else ():
            yield from illegal(item)


def test_a_real_ct_in_which_everything_is_planted_once_more(ct):
    """Behind its own elements, out of order and so many of them twice."""
    planter, parts = Planter(SEED, EXPLICIT), cut(ct)
    more = planter.data_set((), range(0x00080001, 0x7FE00010))
    more[0x00280301] = EXPLICIT.element(0x00280301, "CS", b"NO")  # a digitiser is planted too
    head = parts.head + joined(more)
    out = assembled(replace(parts, head=head, tail=parts.tail + planter.tail()), basic())
    left = Canary(b"", planter.markers).survivors(out)
    assert [str(one) for one in left if fate(one, ()) is Fate.GONE] == []
    own = (
        b"1CT1",
        b"CompressedSamples",
        b"JFK IMAGING",
        b"20040119",
        b"1.3.6.1.4.1.5962.1.2.1.20040119072730",
    )
    assert all(one in ct for one in own)
    assert not any(one in out for one in own)
