"""Video streams: texts in every place where a container or a codec has one are found and overwritten; frames stay."""

import hashlib
import itertools
import struct
from collections.abc import Callable, Iterator

import pytest

from mdm_async.dicom.pixels.inspector import can_be_cleaned
from mdm_async.dicom.pixels.video.packets import NULL_PACKET
from mdm_async.dicom.pixels.video.tables import _checksum
from tests.dicom.made_videos import CLEAN, DIGESTS, SYNTAX, cleaned, looked_into, stream, syntax

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


# Elementary streams. Whatever is put in is put before each unit, and after the last.


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


# MP4


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L4s", 8 + len(content), kind) + content


PARENTS = {
    b"moov": 8,
    b"trak": 8,
    b"edts": 8,
    b"mdia": 8,
    b"minf": 8,
    b"dinf": 8,
    b"stbl": 8,
    b"stsd": 16,
    b"avc1": 86,
    b"hvc1": 86,
}
"""Boxes that hold others, with the bytes before those."""


def edited(data: bytes, path: tuple[bytes, ...], edit: Callable[[bytes], bytes]) -> bytes:
    """The boxes in `data`, with the content of the one at `path` edited, and lengths made true."""
    made, at, hit = b"", 0, 0
    while at < len(data):
        size, kind = struct.unpack_from(">L4s", data, at)
        content = data[at + 8 : at + size]
        if kind == path[0]:
            hit += 1
            skip = PARENTS[kind] - 8 if len(path) > 1 else 0
            content = (
                edit(content) if len(path) == 1 else content[:skip] + edited(content[skip:], path[1:], edit)
            )
        made += box(kind, content)
        at += size
    assert hit == 1, path
    return made


STBL = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
METADATA = "an MP4 metadata box"
TEXT = "texts, times or languages in an MP4 box"
EXTRA = [
    *(
        box(kind, CANARY)
        for kind in (b"free", b"skip", b"udta", b"meta", b"DOE^", b"sgpd", b"iods", b"tref", b"colr")
    ),
    box(b"uuid", bytes(range(16)) + CANARY),
    box(b"udta", box(b"meta", bytes(4) + box(b"ilst", box(b"\xa9nam", CANARY)))),
]
LARGE = struct.pack(">L4sQ", 1, b"free", 16 + len(CANARY)) + CANARY


@pytest.mark.parametrize("extra", EXTRA)
@pytest.mark.parametrize(
    "path", [(), *(STBL[:n] for n in range(1, 6)), (*STBL, b"stsd", b"avc1"), (b"moov", b"trak", b"edts")]
)
def test_metadata_boxes_of_mp4(path: tuple[bytes, ...], extra: bytes) -> None:
    video = stream("avc.mp4")
    if b"avc1" not in path:
        is_clean(
            edited(video, path, lambda body: body + LARGE) if path else video + LARGE,
            SYNTAX + "102",
            METADATA,
        )
    for after in (False, True):
        if not path:
            changed = video + extra
        else:
            skip = PARENTS[path[-1]] - 8
            changed = edited(
                video,
                path,
                lambda body, skip=skip, after=after: (
                    body + extra if after else body[:skip] + extra + body[skip:]
                ),
            )
        is_clean(changed, SYNTAX + "102", TEXT if b"avc1" in path else METADATA)


def at(place: int, text: bytes) -> Callable[[bytes], bytes]:
    """Text in the midst of a box."""
    return lambda body: body[:place] + text + body[place + len(text) :]


@pytest.mark.parametrize(
    ("path", "edit", "text"),
    [
        ((b"ftyp",), lambda body: body + b"DOE^", b"DOE^"),
        ((b"ftyp",), at(0, b"DOE^"), b"DOE^"),
        ((b"ftyp",), at(4, b"DOE^"), b"DOE^"),
        ((b"moov", b"mvhd"), at(4, b"DOE^JANE"), b"DOE^"),
        ((b"moov", b"mvhd"), at(26, CANARY[:10]), CANARY[:10]),
        ((b"moov", b"mvhd"), at(72, CANARY), CANARY),
        ((b"moov", b"trak", b"tkhd"), at(4, b"DOE^JANE"), b"DOE^"),
        ((b"moov", b"trak", b"tkhd"), at(16, b"DOE^"), b"DOE^"),
        ((b"moov", b"trak", b"tkhd"), at(24, b"DOE^JANE"), b"DOE^"),
        ((b"moov", b"trak", b"mdia", b"mdhd"), at(4, b"DOE^JANE"), b"DOE^"),
        ((b"moov", b"trak", b"mdia", b"mdhd"), at(20, b"DOE^"), b"DOE^"),
        ((b"moov", b"trak", b"mdia", b"hdlr"), at(12, CANARY[:12]), CANARY[:12]),
        ((b"moov", b"trak", b"mdia", b"hdlr"), lambda body: body + CANARY, CANARY),
        ((*STBL[:4], b"vmhd"), at(4, b"DOE^JANE"), b"DOE^"),
        ((*STBL, b"stsd"), at(8 + 8, b"DOE^JA"), b"DOE^JA"),
        ((*STBL, b"stsd"), at(8 + 16, CANARY), CANARY),
        ((*STBL, b"stsd"), at(8 + 44, b"DOE^"), b"DOE^"),
        ((*STBL, b"stsd"), at(8 + 50, CANARY), CANARY),
    ],
)
def test_texts_times_and_reserved_fields_of_mp4(
    path: tuple[bytes, ...], edit: Callable[[bytes], bytes], text: bytes
) -> None:
    changed = edited(stream("avc.mp4"), path, edit)
    if path == (b"ftyp",):  # what comes before the media moves them
        moved = len(changed) - len(stream("avc.mp4"))
        changed = edited(
            changed, (*STBL, b"stco"), lambda body: body[:8] + (int.from_bytes(body[8:]) + moved).to_bytes(4)
        )
    assert text in changed
    assert TEXT in looked_into(changed, SYNTAX + "102")
    clean = cleaned(changed, SYNTAX + "102")
    assert text not in clean
    assert not looked_into(clean, SYNTAX + "102")


@pytest.mark.parametrize(
    "path",
    [
        *((b"moov", b"mvhd"), (b"moov", b"trak", b"tkhd"), (b"moov", b"trak", b"edts", b"elst")),
        *((b"moov", b"trak", b"mdia", b"mdhd"), (*STBL[:4], b"vmhd"), (*STBL[:4], b"dinf", b"dref")),
        *((*STBL, kind) for kind in (b"stsd", b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stco")),
        (*STBL, b"stsd", b"avc1", b"avcC"),
    ],
)
def test_boxes_of_mp4_say_what_they_have_to_say_and_no_more(path: tuple[bytes, ...]) -> None:
    changed = edited(stream("avc.mp4"), path, lambda body: body + CANARY)
    clean = cleaned(changed, SYNTAX + "102")
    assert refusal(changed, SYNTAX + "102") or CANARY not in clean
    assert refusal(edited(stream("avc.mp4"), path, lambda body: body[:7]), SYNTAX + "102")


def mp4_table(kind: bytes, count: int, content: bytes) -> bytes:
    return box(kind, struct.pack(">LL", 0, count) + content)


@pytest.mark.parametrize(
    ("path", "kind", "size"),
    [
        (STBL, b"ctts", 8),
        (STBL, b"stts", 8),
        (STBL, b"stss", 4),
        ((b"moov", b"trak", b"edts"), b"elst", 12),
    ],
)
@pytest.mark.parametrize("instead", [False, True])
def test_text_in_tables_of_mp4_is_refused(
    path: tuple[bytes, ...], kind: bytes, size: int, instead: bool
) -> None:
    text = (CANARY * 40)[: size * 40]
    video = stream("avc.mp4")
    if instead:
        made = edited(video, (*path, kind), lambda _: struct.pack(">LL", 0, 40) + text)
    else:
        made = edited(video, path, lambda body: body + mp4_table(kind, 40, text))
    assert refusal(made, SYNTAX + "102")


def test_samples_at_the_end_of_the_world_are_refused() -> None:
    def farther(body: bytes) -> bytes:
        at = body.find(b"stco") - 4
        size = int.from_bytes(body[at : at + 4], "big")
        return body[:at] + mp4_table(b"co64", 1, b"\xff" * 8) + body[at + size :]

    assert refusal(edited(stream("avc-begin.mp4"), STBL, farther), SYNTAX + "102")
    assert refusal(edited(stream("avc.mp4"), STBL, farther), SYNTAX + "102")


def test_lengths_of_units_are_those_that_the_description_says() -> None:
    video = bytearray(stream("avc.mp4"))
    assert video.find(b"mdat") < video.find(b"moov")
    video[video.find(b"avcC") + 8] &= 0xFD
    assert refusal(bytes(video), SYNTAX + "102") == "MP4 samples that are no video units"


@pytest.mark.parametrize("path", [(b"moov",), (b"moov", b"trak"), (b"moov", b"trak", b"mdia")])
def test_boxes_of_mp4_are_there_once(path: tuple[bytes, ...]) -> None:
    kind = {1: b"mvhd", 2: b"tkhd", 3: b"mdhd"}[len(path)]
    video = stream("avc.mp4")
    at = video.find(kind) - 4
    again = video[at:][: int.from_bytes(video[at : at + 4], "big")]
    assert refusal(edited(video, path, lambda body: body + again), SYNTAX + "102") == (
        "an MP4 box that is there twice"
    )


def test_numbers_of_other_boxes_in_a_sample_entry_stay() -> None:
    numbers = box(b"pasp", b"DOE^JANE") + box(b"colr", b"nclx" + bytes(7))
    changed = edited(stream("avc.mp4"), (*STBL, b"stsd", b"avc1"), lambda body: body + numbers)
    assert numbers in cleaned(changed, SYNTAX + "102")
    profile = box(b"colr", b"prof" + CANARY)
    is_clean(
        edited(stream("avc.mp4"), (*STBL, b"stsd", b"avc1"), lambda body: body + profile),
        SYNTAX + "102",
        TEXT,
    )


def test_quicktime_ends_boxes_with_four_zeros() -> None:
    entry = (*STBL, b"stsd", b"avc1")
    assert not refusal(edited(stream("avc.mov"), entry, lambda body: body + bytes(4)), SYNTAX + "102")
    for after in (b"DOE", b"DOE^", bytes(8)):
        changed = edited(stream("avc.mov"), entry, lambda body, after=after: body + after)
        assert refusal(changed, SYNTAX + "102")


def test_bytes_of_the_media_that_no_sample_covers() -> None:
    is_clean(
        edited(stream("avc-begin.mp4"), (b"mdat",), lambda body: body + CANARY),
        SYNTAX + "102",
        "bytes of an MP4 file that are no sample",
    )
    before = edited(stream("avc-begin.mp4"), (b"mdat",), lambda body: CANARY + body)
    moved = edited(
        before, (*STBL, b"stco"), lambda body: body[:8] + (int.from_bytes(body[8:]) + len(CANARY)).to_bytes(4)
    )
    is_clean(moved, SYNTAX + "102", "bytes of an MP4 file that are no sample")
    assert refusal(before, SYNTAX + "102")


def test_media_before_their_tables_have_nothing_between_samples() -> None:
    unit = struct.pack(">L", 1 + len(CANARY)) + b"\x01" + CANARY
    for extra in (CANARY, unit):
        changed = edited(stream("avc.mp4"), (b"mdat",), lambda body, extra=extra: body + extra)
        assert refusal(changed, SYNTAX + "102") in (
            "MP4 samples that are no video units",
            "MP4 samples that are not where the tables say",
        )


def test_media_before_their_tables_are_samples_of_whole_units() -> None:
    def moved(body: bytes) -> bytes:
        first, second = struct.unpack_from(">LL", body, 12)
        return body[:12] + struct.pack(">LL", first - 1, second + 1) + body[20:]

    for name in ("avc.mp4", "avc-begin.mp4"):
        assert refusal(edited(stream(name), (*STBL, b"stsz"), moved), SYNTAX + "102") in (
            "MP4 samples that are not where the tables say",
            "MP4 samples that are no video units",
        )


def test_supplemental_information_in_samples_and_in_configurations() -> None:
    for name, marker in (("avc.mp4", b"x264"), ("avc-begin.mp4", b"x264"), ("hevc.mp4", b"x265")):
        video = stream(name)
        place = video.index(marker)
        changed = video[:place] + CANARY + video[place + len(CANARY) :]
        is_clean(changed, syntax(name), TEXT if "hevc" in name else SEI)


def test_bytes_after_the_last_box_are_refused() -> None:
    assert not refusal(stream("avc.mp4") + bytes(7), SYNTAX + "102")
    for after in (b"DOE", b"DOE^JANE", bytes(8)):
        assert refusal(stream("avc.mp4") + after, SYNTAX + "102")


# Transport streams


def packet(pid: int, payload: bytes, *, begins: bool = False, adaptation: bytes = b"") -> bytes:
    """One packet, with payload padded."""
    field = bytes([len(adaptation)]) + adaptation if adaptation else b""
    head = bytes([0x47, (0x40 if begins else 0) | pid >> 8, pid & 0xFF, 0x30 if adaptation else 0x10])
    return (head + field + payload).ljust(188, b"\xff")


def packets(video: bytes) -> list[bytes]:
    return [video[at : at + 188] for at in range(0, len(video), 188)]


VIDEO, PROGRAM = 0x100, 0x1000
OTHERS = "transport packets beside the video"
TABLES = "descriptions in a transport stream"
PRIVATE = "private data in a transport stream"


@pytest.mark.parametrize("pid", [0x10, 0x11, 0x12, 0x14, 0x1FFF, 0x300])
def test_packets_beside_the_video(pid: int) -> None:
    whole = packets(stream("avc.ts"))
    for place in range(3 if pid == 0x300 else 0, len(whole) + 1):
        is_clean(b"".join([*whole[:place], packet(pid, CANARY), *whole[place:]]), SYNTAX + "102", OTHERS)
    if pid == 0x300:
        assert refusal(packet(pid, CANARY) + stream("avc.ts"), SYNTAX + "102")


def table(section: bytes) -> bytes:
    """A section with its length and checksum made true, as a payload."""
    section = section[:1] + struct.pack(">H", 0xB000 | len(section) + 1) + section[3:]
    return b"\0" + section + _checksum(section).to_bytes(4)


def program(of_program: bytes, of_stream: bytes, more: bytes = b"") -> bytes:
    return packet(
        PROGRAM,
        table(
            b"\x02\0\0\0\1\xc1\0\0"
            + struct.pack(">HH", 0xE000 | VIDEO, 0xF000 | len(of_program))
            + of_program
            + struct.pack(">BHH", 0x1B, 0xE000 | VIDEO, 0xF000 | len(of_stream))
            + of_stream
            + more
        ),
        begins=True,
    )


DESCRIPTOR = bytes([0x0A, len(CANARY)]) + CANARY


@pytest.mark.parametrize(
    "made",
    [
        program(DESCRIPTOR, b""),
        program(b"", DESCRIPTOR),
        program(b"\x05\x04HDMV" + DESCRIPTOR, b"\x28\x04\x64\0\x1f\x3f" + DESCRIPTOR),
        program(bytes([0x05, len(CANARY)]) + CANARY, bytes([0x28, len(CANARY)]) + CANARY),
        program(b"", b"")[:50] + CANARY + bytes(125),
    ],
)
def test_descriptions_in_tables(made: bytes) -> None:
    whole = [made if one[1:3] == b"\x50\x00" else one for one in packets(stream("avc.ts"))]
    assert made in whole
    is_clean(b"".join(whole), SYNTAX + "102", TABLES)
    clean, *_ = (one for one in packets(cleaned(b"".join(whole), SYNTAX + "102")) if one[1:3] == b"\x50\x00")
    length = 3 + (int.from_bytes(clean[6:8]) & 0xFFF)
    assert _checksum(clean[5 : 5 + length]) == 0


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (program(b"", b"", b"\x0f\xe1\x01\xf0\0"), "an audio track in the video"),
        (program(b"", b"", b"\x06\xe1\x01\xf0\0"), "a track that is no video"),
        (program(b"", b"", b"DOE^"), "a track that is no video"),
        (
            program(b"", b"")[:5] + b"\x42" + program(b"", b"")[6:],
            "a table of a transport stream that is not looked into",
        ),
        (program(b"", b"")[:16] + b"\1" + program(b"", b"")[17:], "a damaged table of a transport stream"),
    ],
)
def test_tables_that_are_not_certain_are_refused(made: bytes, reason: str) -> None:
    whole = [made if one[1:3] == b"\x50\x00" else one for one in packets(stream("avc.ts"))]
    assert refusal(b"".join(whole), SYNTAX + "102") == reason


@pytest.mark.parametrize(
    "adaptation",
    [
        b"\x02" + bytes([len(CANARY)]) + CANARY,
        b"\x12" + bytes(6) + bytes([len(CANARY)]) + CANARY,
        b"\x01" + CANARY,
        b"\x00" + CANARY,
        b"\x1c" + bytes(13) + CANARY,
    ],
)
def test_private_data_in_adaptation_fields(adaptation: bytes) -> None:
    whole = packets(stream("avc.ts"))
    size = 188 - 5 - len(adaptation)
    (last,) = [place for place, one in enumerate(whole) if one[1:3] == b"\x41\x00"][-1:]
    found = whole[last]
    assert found[3] & 0x20
    payload = found[5 + found[4] :]
    assert len(payload) <= size
    filled = adaptation + b"\xff" * (size - len(payload))
    whole[last] = found[:4] + bytes([len(filled)]) + filled + payload
    is_clean(b"".join(whole), SYNTAX + "102", PRIVATE)
    clean = cleaned(b"".join(whole), SYNTAX + "102")[last * 188 :][:188]
    assert clean[188 - len(payload) :] == payload
    assert not clean[5] & 0x03
    alone = packet(VIDEO, b"")[:3] + b"\x20\xb7" + (adaptation + bytes(183))[:183]
    is_clean(b"".join([*whole[:-1], alone, whole[-1]]), SYNTAX + "102", PRIVATE)


def test_text_in_a_packet_with_neither_payload_nor_adaptation() -> None:
    whole = packets(stream("avc.ts"))
    alone = packet(VIDEO, b"")[:3] + b"\x20\0" + CANARY.ljust(183, b"*")
    is_clean(b"".join([*whole[:-1], alone, whole[-1]]), SYNTAX + "102", PRIVATE)


def test_private_data_in_headers_of_video_packets() -> None:
    """An extension with 16 bytes of private data, behind the time stamps; then stuffing that is text."""
    whole = packets(stream("avc.ts"))
    clean = packets(cleaned(stream("avc.ts"), SYNTAX + "102"))
    (last,) = [place for place, one in enumerate(whole) if one[1:3] == b"\x41\x00"][-1:]
    found = clean[last]
    begin = 5 + found[4]
    header, video = found[begin : begin + 9 + found[begin + 8]], found[begin + 9 + found[begin + 8] :]
    for flag, more in ((1, b"\x80" + CANARY.ljust(16, b"*")), (0, CANARY), (2, b"^J" + CANARY)):
        longer = (
            header[:4] + b"\0\0" + header[6:7] + bytes([header[7] | flag, header[8] + len(more)]) + header[9:]
        )
        payload = longer + more + video
        assert len(payload) < 180
        stuffing = 188 - 5 - len(payload)
        whole[last] = found[:4] + bytes([stuffing, 0]) + b"\xff" * (stuffing - 1) + payload
        is_clean(b"".join(whole), SYNTAX + "102", PRIVATE)
        assert not cleaned(b"".join(whole), SYNTAX + "102")[188 * last :][188 - len(payload) + 7] & 0x03


def carried(unit: bytes, size: int, between: bytes) -> bytes:
    """A unit in a video packet of its own, over packets with so many bytes each and others between."""
    stretch = b"\0\0\1\xe0\0\0\x80\0\0" + unit
    made = b""
    for at in range(0, len(stretch), size):
        piece = stretch[at : at + size]
        fields = b"\0" + b"\xff" * (188 - 6 - len(piece))
        made += packet(VIDEO, piece, begins=at == 0, adaptation=fields) + between
    return made


@pytest.mark.parametrize("size", [12, 100, 150])
@pytest.mark.parametrize("end", [b"\0\0\1\x0a", b""])
def test_text_across_packets_is_gone(size: int, end: bytes) -> None:
    """A unit that goes over many packets, with packets of others between."""
    unit = b"\0\0\1\x06\x05\xff\xff" + CANARY * 100 + b"\x80" + end
    video = stream("avc.ts") + carried(unit, size, packet(0x11, CANARY))
    found = looked_into(video, SYNTAX + "102")
    assert {SEI, OTHERS} <= set(found)
    clean = cleaned(video, SYNTAX + "102")
    assert not [text for text in (b"DOE", b"JANE", b"1960") if text in clean]
    assert not looked_into(clean, SYNTAX + "102")
    pieces = [one for one in packets(clean[len(stream("avc.ts")) :]) if one[1:3] in (b"\1\0", b"\x41\0")]
    joined = b"".join(one[5 + one[4] :] for one in pieces)
    assert set(joined[13 : len(joined) - len(end) - 4]) <= {0, 3}


def test_a_transport_stream_with_hardly_any_video_is_refused() -> None:
    unit = b"\0\0\1\x06\x05" + CANARY + b"\x80"
    for count, why in ((10, ""), (400, "a transport stream with hardly any video in it")):
        assert refusal(stream("avc.ts") + carried(unit, 14, NULL_PACKET * count), SYNTAX + "102") == why


def test_transport_streams_that_are_not_certain_are_refused() -> None:
    video = stream("avc.ts")
    whole = packets(video)
    scrambled = bytearray(whole[-1])
    scrambled[3] |= 0x80
    for changed in (
        video[:-100],
        video + b"DOE",
        b"".join([*whole[:-1], bytes(scrambled)]),
        b"".join(one for one in whole if one[1:3] != b"\x50\x00"),
        b"".join(b"\0\0\0\0" + one for one in whole),  # of 192 bytes, with a time each
        b"".join([*whole, packet(VIDEO, CANARY, begins=True)]),
        b"".join([*whole, packet(VIDEO, b"\0\0\1\xe0\0\x10\x80\0\0\0\0\1\x0c", begins=True)]),
    ):
        assert refusal(changed, SYNTAX + "102")
