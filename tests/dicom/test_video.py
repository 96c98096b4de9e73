"""Video streams as encoders write them: frames stay, texts go, what is not certain is refused."""

import hashlib

import pytest

from tests.dicom.made_videos import CLEAN, DIGESTS, SYNTAX, cleaned, looked_into, stream, syntax
from tests.dicom.videos_with_texts import refusal


@pytest.mark.parametrize("name", CLEAN)
def test_what_is_left_decodes_to_the_same_frames(name: str) -> None:
    """ffmpeg was asked when the digests were stored (`made_videos`)."""
    digests = dict(line.split("  ")[::-1] for line in DIGESTS.read_text().splitlines())
    clean = cleaned(stream(name), syntax(name))
    assert hashlib.sha256(clean).hexdigest() == digests[name]


@pytest.mark.parametrize("name", CLEAN)
def test_what_encoders_and_multiplexers_write_is_gone(name: str) -> None:
    assert looked_into(stream(name), syntax(name))
    clean = cleaned(stream(name), syntax(name))
    assert not looked_into(clean, syntax(name))
    assert not [word for word in (b"DOE", b"MRN", b"x26", b"Lav", b"andler", b"deu") if word in clean]


@pytest.mark.parametrize(("piece", "fragments"), [(5, 1), (187, 3), (1000, 40)])
@pytest.mark.parametrize("name", [*CLEAN, "sound.mp4", "sound.ts", "timecode.mov", "fragmented.mp4"])
def test_pieces_and_fragments_make_no_difference(name: str, piece: int, fragments: int) -> None:
    video = stream(name)
    for transfer_syntax in (syntax(name), syntax(name) + ".1"):
        assert looked_into(video, transfer_syntax, piece=piece, fragments=fragments) == looked_into(
            video, syntax(name)
        )
    assert cleaned(video, syntax(name), piece=piece, fragments=fragments) == cleaned(video, syntax(name))


@pytest.mark.parametrize(
    ("name", "number", "reason"),
    [
        ("sound.mp4", "102", "an audio track in the video"),
        ("sound.ts", "102", "an audio track in the video"),
        ("timecode.mov", "102", "a track that is no video"),
        ("fragmented.mp4", "102", "a fragmented MP4 file"),
        ("avc.mp4", "107", "a video of another kind than the transfer syntax"),
        ("avc.mp4", "100", "a video of another kind than the transfer syntax"),
        ("avc.ts", "107", "a video of another kind than the transfer syntax"),
        ("mpeg2.ts", "102", "a video of another kind than the transfer syntax"),
        ("mpeg2.m2v", "102", "what is no video unit"),
        ("avc.h264", "100", "an MPEG-2 header with more than it has to say"),
    ],
)
def test_what_is_not_certain_is_refused(name: str, number: str, reason: str) -> None:
    assert refusal(stream(name), SYNTAX + number) == reason


@pytest.mark.parametrize(
    "video",
    [
        b"\0\0",
        b"RIFF\0\0\0\0AVI LIST",
        b"\x1aE\xdf\xa3matroska",
        b"\0\0\1\xba" + bytes(10),  # a program stream
        b"\0\0\0\x0cjP  \r\n\x87\n",
        bytes(4) + stream("avc-begin.mp4"),
        b"\0" * 4 + stream("avc.ts"),
    ],
)
def test_other_containers_are_refused(video: bytes) -> None:
    assert refusal(video, SYNTAX + "102")
