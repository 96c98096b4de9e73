"""Elementary streams: texts in every unit that can hold one. They are put in before each unit, and after the last."""

import itertools
from collections.abc import Iterator

import pytest

from tests.dicom.made_videos import SYNTAX, cleaned, looked_into, stream, syntax
from tests.dicom.videos_with_texts import CANARY, SEI, UNKNOWN, is_clean, refusal


def starts(video: bytes) -> list[int]:
    """Where the start codes are."""
    places, at = [], video.find(b"\0\0\1")
    while at >= 0:
        places.append(at)
        at = video.find(b"\0\0\1", at + 3)
    return places


def with_unit(video: bytes, unit: bytes) -> Iterator[bytes]:
    for at in (*starts(video)[1:], len(video)):
        yield video[:at] + b"\0\0\1" + unit + video[at:]


USER_DATA = bytes([5, 16 + len(CANARY)]) + bytes(range(1, 17)) + CANARY
PICTURE_TIMING = bytes([1, len(CANARY)]) + CANARY
RECOVERY_POINT = bytes([6, 1, 0xC4])


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (b"\x06" + USER_DATA + b"\x80", SEI),
        (b"\x06" + PICTURE_TIMING + b"\x80", SEI),
        (b"\x06" + RECOVERY_POINT + USER_DATA + b"\x80", SEI),
        (b"\x06" + b"\xff\x05" + bytes([len(CANARY)]) + CANARY + b"\x80", SEI),
        (b"\x06" + CANARY, SEI),
        (b"\x0c" + b"\xff\xff" + CANARY + b"\x80", UNKNOWN),
        (b"\x09\xf0" + CANARY, UNKNOWN),
        (b"\x0b" + CANARY, UNKNOWN),
        *((bytes([kind]) + CANARY + b"\x80", UNKNOWN) for kind in (0, 16, 18, 22, 24, 31)),
    ],
)
@pytest.mark.parametrize("zeros", [0, 1, 3])
def test_units_of_h264_that_are_no_picture(unit: bytes, expected: str, zeros: int) -> None:
    for video in with_unit(stream("avc.h264"), unit + bytes(zeros)):
        is_clean(video, SYNTAX + "102", expected)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (b"\x4e\x01" + USER_DATA + b"\x80", SEI),
        (b"\x50\x01" + USER_DATA + b"\x80", SEI),
        (b"\x4c\x01" + CANARY + b"\x80", UNKNOWN),
        (b"\x46\x01" + CANARY, UNKNOWN),
        *((bytes([kind << 1, 1]) + CANARY + b"\x80", UNKNOWN) for kind in (10, 22, 31, 41, 47, 48, 63)),
    ],
)
def test_units_of_hevc_that_are_no_picture(unit: bytes, expected: str) -> None:
    for video in with_unit(stream("hevc.hevc"), unit):
        is_clean(video, SYNTAX + "107", expected)


@pytest.mark.parametrize("size", range(1, 10))
def test_short_units_hide_nothing_either(size: int) -> None:
    for kind, left in ((0x09, 1), (0x0A, 0), (0x18, 0), (0x0C, 0), (0x06, 0)):
        unit = bytes([kind]) + b"DOE^JANE*"[:size]
        for video in with_unit(stream("avc.h264"), unit):
            assert (unit in cleaned(video, SYNTAX + "102")) == (size <= left), unit


@pytest.mark.parametrize("name", ["avc.h264", "avc-interlaced.h264", "hevc.hevc", "hevc-broadcast.hevc"])
def test_parameter_sets_say_what_they_have_to_say_and_no_more(name: str) -> None:
    """Text behind any unit but a slice goes, or is a reason to refuse."""
    video = stream(name)
    places = [*starts(video), len(video)]
    refused = 0
    for start, stop in itertools.pairwise(places):
        kind = video[start + 3] & 0x1F if "264" in name else video[start + 3] >> 1
        if kind in ((1, 2, 5) if "264" in name else range(32)):
            continue
        end = start + len(video[start:stop].rstrip(b"\0"))
        changed = video[:end] + CANARY + video[end:]
        why = refusal(changed, syntax(name))
        if kind in (7, 8, 32, 33, 34):
            assert why == "a video parameter set with more than it has to say"
            refused += 1
        else:
            assert not why
            assert CANARY not in cleaned(changed, syntax(name))
    assert refused >= 2


@pytest.mark.parametrize("name", ["avc.h264", "hevc.hevc", "mpeg2.m2v"])
def test_bytes_between_units_are_refused(name: str) -> None:
    video = stream(name)
    for at in starts(video):
        assert refusal(video[:at] + bytes(3) + CANARY + video[at:], syntax(name)) in (
            "bytes between video units",
            "a video container that is not looked into",
        )


def test_a_recovery_point_alone_stays_for_decoders_begin_there() -> None:
    unit = b"\x06" + RECOVERY_POINT + b"\x80"
    for video in with_unit(cleaned(stream("avc.h264"), SYNTAX + "102"), unit):
        assert not looked_into(video, SYNTAX + "102")
    longer = b"\x06" + bytes([6, 4]) + b"DOE\xc4" + b"\x80"
    for video in with_unit(stream("avc.h264"), longer):
        assert b"DOE" not in cleaned(video, SYNTAX + "102")


@pytest.mark.parametrize("size", [*range(1, 14), 255, 70_000, 200_001])
@pytest.mark.parametrize("piece", [1 << 16, 997])
def test_supplemental_information_of_any_size_becomes_messages_of_filler(size: int, piece: int) -> None:
    text = (CANARY * (size // len(CANARY) + 1))[:size]
    video = stream("avc.h264")
    clean = cleaned(video + b"\0\0\1\x06" + text + b"\0\0\1\x0a", SYNTAX + "102", piece=piece)
    filler = clean[len(video) + 4 : -4]
    assert clean.endswith(b"\0\0\1\x0a")
    assert len(filler) == size
    if size > 2:
        assert filler[-1] == 0x80
        at = 0
        while at < size - 1:
            assert filler[at] == 3
            at += 2 + filler[at + 1]
        assert at == size - 1


# MPEG-2


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (b"\xb2" + CANARY, "MPEG-2 user data"),
        (b"\xb2GA94" + CANARY, "MPEG-2 user data"),
        (b"\xb5\x48" + CANARY[:10], "MPEG-2 user data"),
    ],
)
def test_user_data_of_mpeg2(unit: bytes, expected: str) -> None:
    for video in with_unit(stream("mpeg2.m2v"), unit):
        assert expected in looked_into(video, SYNTAX + "100")
        assert not refusal(video, SYNTAX + "100")
        clean = cleaned(video, SYNTAX + "100")
        assert unit[1:] not in clean
        assert not looked_into(clean, SYNTAX + "100")


def test_the_time_code_of_mpeg2_goes() -> None:
    video = stream("mpeg2.m2v")
    assert "an MPEG-2 time code" in looked_into(video, SYNTAX + "100")
    clean = cleaned(video, SYNTAX + "100")
    groups = [clean[at + 4 : at + 7] for at in starts(clean) if clean[at + 3] == 0xB8]
    assert groups
    assert set(groups) == {b"\0\x08\0"}


@pytest.mark.parametrize("code", [0x00, 0xB3, 0xB5, 0xB7, 0xB8])
def test_headers_of_mpeg2_say_what_they_have_to_say_and_no_more(code: int) -> None:
    video = stream("mpeg2.m2v")
    video += b"\0\0\1\xb7" if code == 0xB7 else b""
    places = [*starts(video), len(video)]
    for start, stop in itertools.pairwise(places):
        if video[start + 3] == code:
            changed = video[:stop] + CANARY + video[stop:]
            assert refusal(changed, SYNTAX + "100") == "an MPEG-2 header with more than it has to say"


@pytest.mark.parametrize("unit", [b"\xb5\x90" + CANARY, b"\xb4", b"\xb0", b"\xbd" + CANARY, b"\xe0" + CANARY])
def test_other_units_of_mpeg2_are_refused(unit: bytes) -> None:
    assert refusal(stream("mpeg2.m2v") + b"\0\0\1" + unit, SYNTAX + "100")


def test_information_in_a_slice_header_is_refused() -> None:
    video = bytearray(stream("mpeg2.m2v"))
    (first, *_) = (at for at in starts(bytes(video)) if video[at + 3] == 1)
    video[first + 4] |= 4
    video[first + 5] |= 2
    assert refusal(bytes(video), SYNTAX + "100") == "an MPEG-2 header with more than it has to say"
    video[first + 5] &= ~2
    alone = bytes(video[: first + 40])
    for piece in (1, 2, 3):
        assert looked_into(alone, SYNTAX + "100", piece=piece) == looked_into(alone, SYNTAX + "100")
