"""Transport streams: texts in every packet and table that can hold one are overwritten."""

import struct

import pytest

from mdm_async.dicom.pixels.video.packets import NULL_PACKET
from mdm_async.dicom.pixels.video.tables import _checksum
from tests.dicom.made_videos import SYNTAX, cleaned, looked_into, stream
from tests.dicom.videos_with_texts import CANARY, SEI, is_clean, refusal


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
