"""Bases, and code strings of a site's own."""

import io

import pydicom
import pytest

from mdm_async.dicom.profiles.file import dump_profile, parse_profile
from mdm_async.dicom.profiles.in_words import in_words
from mdm_async.dicom.scrub import begin
from mdm_async.errors import BadRequest
from tests.dicom.conftest import KEY

IMAGE_TYPE, BODY_PART = 0x00080008, 0x00180015


def viewed(write, profile: str):
    body = write.element(IMAGE_TYPE, "CS", b"ORIGINAL\\PRIMARY\\SMITH RECON") + write.element(
        BODY_PART, "CS", b"CHEST"
    )
    begun = begin(write.file(body), profile=parse_profile(profile), key=KEY)
    return pydicom.dcmread(io.BytesIO(begun.head))


def test_a_term_of_the_sites_own_is_kept_and_no_other(write):
    assert "SMITH RECON" not in viewed(write, 'name = "x"').ImageType
    own = 'name = "x"\n[terms]\nImageType = ["SMITH RECON"]\n'
    assert "SMITH RECON" in viewed(write, own).ImageType
    assert "SMITH RECON" not in viewed(write, own.replace("ImageType", "BodyPartExamined")).ImageType


def test_bases_keep_more_or_less(write):
    assert "BodyPartExamined" in viewed(write, 'name = "x"')
    only = 'name = "x"\nbase = "keep-only"\n'
    assert "BodyPartExamined" not in viewed(write, only)
    assert viewed(write, only + '[attributes]\nBodyPartExamined = "K"').BodyPartExamined == "CHEST"
    assert (
        len(
            {
                parse_profile(f'name = "x"\nbase = "{base}"').digest
                for base in ("basic", "ps3.15", "keep-only")
            }
        )
        == 3
    )


def test_they_survive_being_written_out_and_are_told_in_words():
    profile = parse_profile(
        'name = "x"\nbase = "ps3.15"\n[terms]\nModality = ["XX", "ACME"]\n"0008,0008" = ["XX"]'
    )
    assert parse_profile(dump_profile(profile)) == profile
    assert profile.digest != parse_profile('name = "x"\nbase = "ps3.15"').digest
    said = list(in_words(profile))
    assert "the term XX may stand in Modality (0008,0060)" in said
    assert "what the standard's table does not name stays" in said
    assert any("free text" in warning for warning in profile.warnings)
    assert not parse_profile('name = "x"\nbase = "keep-only"').warnings


def terms(line: str) -> str:
    return f'name = "x"\n[terms]\n{line}'


REFUSED = {
    "no table": ('name = "x"\nterms = 1', "terms", "no table"),
    "no base": ('name = "x"\nbase = "ps315"', "base", "not known"),
    "no attribute": (terms('ImagesType = ["X"]'), "terms.ImagesType", "no attribute"),
    "a text": (terms('StudyDescription = ["X"]'), "terms.StudyDescription", "has the VR LO"),
    "one word": (terms('ImageType = "X"'), "terms.ImageType", "no list"),
    "none": (terms("ImageType = []"), "terms.ImageType", "no list"),
    "small letters": (terms('ImageType = ["recon"]'), "terms.ImageType[0]", "no code string"),
    "two in one": (terms('ImageType = ["A\\\\B"]'), "terms.ImageType[0]", "no code string"),
    "a number": (terms('ImageType = ["A", 1]'), "terms.ImageType[1]", "no code string"),
    "twice": (terms('ImageType = ["A", "A"]'), "terms.ImageType[1]", "already"),
}


@pytest.mark.parametrize(("text", "key", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_base_or_term_is_refused(text, key, what):
    with pytest.raises(BadRequest) as refused:
        parse_profile(text)
    where, _, said = refused.value.detail.partition(": ")
    assert key in where
    assert what in said
    assert refused.value.remedy
