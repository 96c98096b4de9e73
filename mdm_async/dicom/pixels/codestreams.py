"""Walk the codestreams in fragments, one after the other: JPEG and its kin (PS3.5 §A.4.1, §A.4.3, §A.4.4)."""

import re
from collections.abc import Callable
from typing import Final

from mdm_async.dicom.pixels import jpeg, jpeg2000, jpeg_xl
from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.frames import NO_END_MARKER, Frames
from mdm_async.dicom.pixels.jpeg import NO_END, Unrecognisable
from mdm_async.dicom.pixels.pulled import Pulled, Steps

Walk = Callable[[Pulled, Findings], Steps]

AFTER_THE_END: Final = "bytes after the end of a codestream"
_SECOND: Final = "a second codestream in a fragment"
_STARTS: Final = (b"\xff\xd8", b"\xff\x4f")
_SIGNATURES: Final = (
    *(b"\xff\xd8\xff", b"\xff\x4f\xff\x51", jpeg2000.JP2_SIGNATURE),
    *(jpeg_xl.SIGNATURE, jpeg_xl.CONTAINER),
)
_TEXT_LAST: Final = re.compile(rb"[ -~]{6,}\Z")
"""Of coded data, one in four hundred ends like this."""
_LAST: Final = 64
CLEANABLE: Final = jpeg.CLEANABLE | jpeg2000.CLEANABLE | jpeg_xl.CLEANABLE | {AFTER_THE_END}


class Codestreams:
    """Each begins with a fragment, and may go on over several."""

    def __init__(self, walk: Walk, frames: Frames, findings: Findings) -> None:
        self._walk = walk
        self._frames = frames
        self._findings = findings
        self._fed = 0
        self._source = Pulled()
        self._start: bytes | None = None
        """The first two bytes of a fragment, gathered where they tell whether it begins a codestream."""
        self._last = b""
        """The latest bytes."""
        self._ended, self._lost = True, False

    def begins(self, start: bytes) -> bool:
        return start.startswith(_SIGNATURES)

    def next_fragment(self, length: int) -> None:
        """It begins another codestream if the last one has ended, and goes on with that if not."""
        if self._start:
            self._send(self._start)
        self._start = None
        if self._ended:
            self._begin()
        elif self._source.lacks:
            self._start = b""

    def feed(self, some: bytes) -> None:
        if self._start is not None:
            some, self._start = self._start + some, None
            if len(some) < 2:
                self._start = some
                return
            if some.startswith(_STARTS):
                self._end_early()
                self._begin()
        self._send(some)

    def close(self) -> None:
        if self._start:
            self._send(self._start)
            self._start = None
        if self._ended or self._lost:
            return
        if self._source.lacks:
            self._end_early()
        else:
            self._findings.note(NO_END)

    def _begin(self) -> None:
        self._frames.begin(self._fed)
        self._ended = False
        self._source = Pulled(self._fed)
        self._steps = self._one(self._source)
        next(self._steps)

    def _send(self, some: bytes) -> None:
        self._fed += len(some)
        self._last = (self._last + some[-_LAST:])[-_LAST:]
        self._steps.send(some)

    def _end_early(self) -> None:
        """Only the marker at the end is missing, and it can be written.

        But not where coded data seem to end with a text: without the marker nothing tells where they do end.
        """
        source, end = self._source, self._source.ends_at
        if end is None and _TEXT_LAST.search(self._last.replace(b"\0", b"")):
            self._findings.note(NO_END)
        else:
            self._findings.note(NO_END_MARKER)
            self._frames.end(self._fed if end is None else end, source.lacks)
        self._ended = True

    def _one(self, source: Pulled) -> Steps:
        try:
            yield from self._walk(source, self._findings)
        except Unrecognisable as what:
            self._findings.note(str(what))
            self._lost = True
            while True:  # where the next codestream begins cannot be told any more
                yield from source.rest()
        self._ended = True
        self._frames.end(source.taken)
        start = b""
        while True:
            some = yield from source.rest()
            self._findings.wipe(source.taken - len(some), source.taken)
            # Padding to even length is one NUL, of some writers more, of others one FF: too little to hide anything.
            after = (start + some).lstrip(b"\0")
            start = after[:2]
            if after[:1] not in (b"", b"\xff") or after[1:].strip(b"\0"):
                self._findings.note(_SECOND if start in _STARTS else AFTER_THE_END)
