"""Walk an MPEG transport stream: put the video of its packets together, and clean packets and tables in place.

Packets that carry neither video nor its tables become null packets: lengths and clocks stay true.
"""

from typing import Final

from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.jpeg import Unrecognisable
from mdm_async.dicom.pixels.pulled import Pulled, Steps
from mdm_async.dicom.pixels.video import tables
from mdm_async.dicom.pixels.video.carried import Carried
from mdm_async.dicom.pixels.video.packets import (
    NULL,
    NULL_PACKET,
    OTHERS,
    PRIVATE,
    SIZE,
    TABLES,
    Packet,
    PesHeader,
)
from mdm_async.dicom.pixels.video.start_codes import START, Elementary
from mdm_async.dicom.pixels.video.units import Codec

_PROGRAMS: Final = 0
_RESERVED: Final = range(1, 0x20)
"""Packets of service names, times of day and the like."""


class Transport:
    """One program with one stream of video."""

    def __init__(self, codec: Codec, findings: Findings) -> None:
        self._codec = codec
        self._findings = findings
        self._table: tuple[bytes, int] | None = None
        self._streams: tables.Streams | None = None
        self._carried = Carried(findings)
        self._video = Pulled()
        self._elementary = Elementary(codec, self._carried).walk(self._video)
        next(self._elementary)
        self._begun = False
        self._left: int | None = None
        """Bytes that the PES packet still has; None when that is not told."""

    def walk(self, source: Pulled) -> Steps:
        """Raises Unrecognisable."""
        while True:
            packet = Packet((yield from source.take(SIZE)))
            at = source.taken - SIZE
            clean, video = self._cleaned(packet)
            if clean != packet.data:
                self._findings.wipe(at, at + SIZE, by=clean)
            if video < SIZE:
                self._carried.carry(at + video, SIZE - video)
                self._elementary.send(packet.data[video:])

    def close(self, source: Pulled) -> bytes:
        """Nothing has to be read yet. Raises Unrecognisable."""
        if source.left.strip(b"\0") or len(source.left) > 1:
            raise Unrecognisable("bytes after the last transport packet")
        if not self._begun:
            raise Unrecognisable("a transport stream without video")
        self._elementary.send(START)
        return b""

    def _cleaned(self, packet: Packet) -> tuple[bytes, int]:
        """The packet without what is no video; and where its video begins."""
        if packet.pid == _PROGRAMS:
            return self._programs(packet), SIZE
        if self._table and packet.pid == self._table[1]:
            return self._program(packet), SIZE
        if self._streams and packet.pid == self._streams.video:
            return self._piece(packet)
        if self._streams and packet.pid == self._streams.clock and packet.payload == SIZE:
            return self._without_private_data(packet), SIZE
        if not self._streams and packet.pid not in _RESERVED and packet.pid != NULL:
            raise Unrecognisable("transport packets before the table that explains them")
        null = NULL_PACKET[:3] + bytes([packet.data[3] & 0x0F | 0x10]) + NULL_PACKET[4:]
        if packet.data != null:
            self._findings.note(OTHERS)
        return null, SIZE

    def _programs(self, packet: Packet) -> bytes:
        section, program = tables.programs(self._payload_of_table(packet))
        if self._table and self._table != (section, program):
            raise Unrecognisable("a transport stream whose tables change")
        self._table = section, program
        return self._with_table(packet, section)

    def _program(self, packet: Packet) -> bytes:
        streams = tables.Streams.of(self._payload_of_table(packet))
        if self._streams and self._streams != streams:
            raise Unrecognisable("a transport stream whose tables change")
        if streams.kind not in self._codec.stream_types:
            raise Unrecognisable("a video of another kind than the transfer syntax")
        self._streams = streams
        return self._with_table(packet, streams.section)

    def _payload_of_table(self, packet: Packet) -> bytes:
        payload = packet.data[packet.payload :]
        if not packet.begins or len(payload) < 16:
            raise Unrecognisable("a table of a transport stream that is not looked into")
        return payload

    def _with_table(self, packet: Packet, section: bytes) -> bytes:
        """The packet with this table alone: no pointer to another, stuffing behind it."""
        begin = packet.payload
        clean = (b"\0" + section).ljust(SIZE - begin, b"\xff")
        if packet.data[begin:] != clean:
            self._findings.note(TABLES)
        return self._without_private_data(packet)[:begin] + clean

    def _without_private_data(self, packet: Packet) -> bytes:
        clean = packet.without_private_data()
        if clean != packet.data:
            self._findings.note(PRIVATE)
        return clean

    def _piece(self, packet: Packet) -> tuple[bytes, int]:
        """A packet of the video."""
        clean = self._without_private_data(packet)
        begin = packet.payload
        if begin < SIZE and packet.begins:
            header = PesHeader.of(packet.data[begin:])
            video = begin + len(header.clean)
            if packet.data[begin:video] != header.clean:
                self._findings.note(PRIVATE)
            if self._left:
                raise Unrecognisable("a video packet that is not whole")
            clean = clean[:begin] + header.clean + clean[video:]
            self._begun, self._left, begin = True, header.length, video
        if begin < SIZE and not self._begun:
            raise Unrecognisable("transport packets that carry no video")
        if self._left is not None:
            self._left -= SIZE - begin
            if self._left < 0:
                raise Unrecognisable("bytes after the end of a video packet")
        return clean, begin
