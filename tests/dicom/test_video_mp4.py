"""MP4 files: texts in every box that can hold one are overwritten, or the file is refused."""

import struct
from collections.abc import Callable

import pytest

from tests.dicom.made_videos import SYNTAX, cleaned, looked_into, stream, syntax
from tests.dicom.videos_with_texts import CANARY, SEI, is_clean, refusal


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
