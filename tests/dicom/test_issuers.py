"""Equal Patient IDs of two hospitals are two patients: they share neither a pseudonym nor a shift of dates."""

import io

import pydicom
import pytest

from mdm_async.dicom.issuers import issued, issuer_of
from mdm_async.dicom.pixels.description import PixelFacts
from mdm_async.dicom.profiles.file import parse_profile
from mdm_async.dicom.scrub import begin, finish
from tests.web.made_images import made

KEY = bytes(range(32))
PROFILE = parse_profile("""
name = "dates"
base = "basic"
options = ["retain_longitudinal_modified_dates"]
""")


def file(issuer: str = "", charset: str = "ISO_IR 100") -> bytes:
    image = pydicom.dcmread(io.BytesIO(made(seed=7, pixels=None)))
    image.SpecificCharacterSet = charset
    if issuer:
        image.IssuerOfPatientID = issuer
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()


def scrubbed(head: bytes, issued_by: str | None) -> tuple[str, str, str]:
    """Patient ID, Study Date, Study Instance UID."""
    begun = begin(head, profile=PROFILE, key=KEY, issued_by=issued_by)
    made = finish(begun, b"", profile=PROFILE, key=KEY, pixels=PixelFacts(False, 0, False, ()))
    view = pydicom.dcmread(io.BytesIO(made.head))
    return str(view.PatientID), str(view.StudyDate), str(view.StudyInstanceUID)


def test_where_no_issuer_counts_nothing_is_other_than_without_one() -> None:
    begun = begin(file("A"), profile=PROFILE, key=KEY)
    assert scrubbed(file("A"), None) == scrubbed(file(), None)
    assert begun.patient.decode() == scrubbed(file("A"), None)[0]


def test_equal_ids_of_two_issuers_share_no_pseudonym_and_no_shift_and_one_issuers_do() -> None:
    of_none, of_a, of_b = (scrubbed(file(), one) for one in (None, "A", "B"))
    assert len({one[0] for one in (of_none, of_a, of_b)}) == 3
    assert len({one[1] for one in (of_none, of_a, of_b)}) == 3
    assert len({one[2] for one in (of_none, of_a, of_b)}) == 1
    assert of_a == scrubbed(file(), "A")


def test_whom_the_file_names_counts_before_whom_the_settings_name() -> None:
    assert scrubbed(file("B"), "A") == scrubbed(file(), "B")
    for charset in ("ISO_IR 100", "ISO_IR 192"):
        assert issuer_of(file("Köln", charset), "A") == "Köln"
    assert issuer_of(file("Köln"), None) == ""


@pytest.mark.parametrize("empty", [b"", b" ", b"\0"])
def test_who_has_no_id_is_nobody_of_any_issuer(empty: bytes) -> None:
    assert issued(empty, "A").strip(b"\0 ") == b""
    assert issued(b"7", "") == b"7"
    assert len({issued(b"7 ", "A"), issued(b"7", "A"), issued(b"7\0", "A")}) == 1
