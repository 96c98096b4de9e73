"""Walk an elementary stream: units behind start codes 00 00 01 (ISO 14496-10 Annex B, ISO 13818-2 §5.2.3)."""

import re
from typing import Final

from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.jpeg import Unrecognisable
from mdm_async.dicom.pixels.pulled import Pulled, Steps
from mdm_async.dicom.pixels.video.units import Codec

START: Final = b"\0\0\1"
_ENDS: Final = re.compile(rb"\0\0[\0\1]")
"""Behind a unit follows the next one's start code, or zeros before that: within a unit neither can stand."""


class Elementary:
    """A stream of such units and nothing else."""

    def __init__(self, codec: Codec, findings: Findings) -> None:
        self._codec = codec
        self._findings = findings

    def walk(self, source: Pulled) -> Steps:
        """Raises Unrecognisable."""
        if (yield from source.take(2)) != START[:2]:
            raise Unrecognisable("what is no video stream")
        while True:
            if (yield from source.after_zeros()) != START[2:]:
                raise Unrecognisable("bytes between video units")
            unit = self._codec.unit((yield from source.take(self._codec.header)), self._findings)
            end = b""
            while not end:
                piece, end = yield from source.before(_ENDS, len(START))
                unit.feed(piece, source.taken - len(end) - len(piece))
            unit.end()
            if end == START:
                source.give_back(1)

    def close(self, source: Pulled) -> bytes:
        """What ends the last unit."""
        return START
