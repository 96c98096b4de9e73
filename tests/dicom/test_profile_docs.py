"""docs/profiles.md: what it shows is what profiles say; and profiles of three projects, as curators write them."""

import re
import tomllib
from pathlib import Path

import pytest

from mdm_async.dicom.profiles.conditions import CONDITION_ATTRIBUTES
from mdm_async.dicom.profiles.file import KEYS, dump_profile, parse_profile
from mdm_async.dicom.scrub import begin, finish
from mdm_async.dicom.scrubbing.generalising import VOCABULARY, vrs_of
from mdm_async.errors import Malformed, NotDicom, ScrubRefused, Truncated
from tests.dicom.conftest import KEY

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "profiles.md").read_text()
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
PROJECTS = sorted((ROOT / "tests" / "profiles").glob("*.toml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_is_a_profile(example):
    text = example if example.startswith("name = ") else 'name = "x"\n' + example
    profile = parse_profile(text)
    assert parse_profile(dump_profile(profile)) == profile


def test_every_key_word_and_attribute_of_conditions_is_described():
    shown = {key for example in EXAMPLES for key in tomllib.loads(example)}
    assert set(KEYS) == shown
    prose = re.sub(r"\s+", " ", DOCS)
    for keyword in CONDITION_ATTRIBUTES.values():
        assert keyword in prose, keyword
    for words in re.findall(r'^\| `"([^|]*?)"', DOCS, re.MULTILINE):
        assert all(vrs_of(one) for one in words.split('"`, `"') if one), words
    for words in VOCABULARY:
        assert re.sub(r"\d+", "", words) in re.sub(r"\d+", "", prose), words


@pytest.mark.parametrize("path", PROJECTS, ids=[path.stem for path in PROJECTS])
def test_a_projects_profile_is_made_of_every_file_or_refused_with_a_reason(path, samples, split):
    profile = parse_profile(path.read_text())
    assert parse_profile(dump_profile(profile)) == profile
    served, refused = 0, set()
    for sample in samples:
        if sample.stat().st_size > 300_000:
            continue
        try:
            parts = split(sample.read_bytes())
            begun = begin(parts.head, profile=profile, key=KEY)
            finish(begun, parts.tail, profile=profile, key=KEY, pixels=parts.facts)
            served += 1
        except (NotDicom, Malformed, Truncated):
            continue
        except ScrubRefused as why:
            refused.update(str(why).split("; "))
    assert served > 20
    assert refused
