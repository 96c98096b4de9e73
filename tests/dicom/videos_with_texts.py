"""What tests of videos share: a text that is hidden in them, and what becomes of it."""

from mdm_async.dicom.pixels.inspector import can_be_cleaned
from tests.dicom.made_videos import cleaned, looked_into

CANARY = b"DOE^JANE*1960"
SEI = "supplemental information (SEI) in a video"
UNKNOWN = "a video unit that is no picture"


def is_clean(video: bytes, transfer_syntax: str, expected: str) -> None:
    """The canary is there, is found as expected, and gone; nothing more is found then."""
    assert CANARY in video
    found = looked_into(video, transfer_syntax)
    assert expected in found
    assert all(map(can_be_cleaned, found)), found
    clean = cleaned(video, transfer_syntax)
    assert len(clean) == len(video)
    assert b"DOE^" not in clean
    assert b"1960" not in clean
    assert not looked_into(clean, transfer_syntax)


def refusal(video: bytes, transfer_syntax: str) -> str:
    """What cannot be cleaned."""
    left = [finding for finding in looked_into(video, transfer_syntax) if not can_be_cleaned(finding)]
    return left[0] if left else ""
