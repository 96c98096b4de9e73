"""Look for what is no picture inside pixels, while they stream by and without decoding them.

Native pixels have no place for it but after the last frame (`refusals`). Encapsulated JPEG, JPEG-LS and JPEG 2000 do:
comments, application segments, bytes after the end of a codestream. RLE has no markers.
"""

from collections.abc import Callable
from typing import Final

from mdm_async.dicom.elements import ITEM, UNDEFINED, Buffer, encoding_of
from mdm_async.dicom.jpeg import NO_END, Unrecognisable, walk_jpeg
from mdm_async.dicom.jpeg2000 import walk_jpeg2000
from mdm_async.dicom.pulled import Pulled, Steps

Walk = Callable[[Pulled, dict[str, None]], Steps]

_JPEG: Final = "1.2.840.10008.1.2.4."
_WALKS: Final[dict[str, Walk]] = {
    **{f"{_JPEG}{number}": walk_jpeg for number in (*range(50, 67), 70, 80, 81)},
    **{f"{_JPEG}{number}": walk_jpeg2000 for number in (90, 91, 92, 93, 201, 202, 203)},
}
_RLE: Final = "1.2.840.10008.1.2.5"
_NATIVE: Final = frozenset(
    {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
)


class Inspector:
    """Fed the PIXELS pieces of one file, tag and all, in chunks of any size; keeps a few bytes of them."""

    def __init__(self, transfer_syntax: str) -> None:
        self._transfer_syntax = transfer_syntax
        self._findings: dict[str, None] = {}
        self._parse = self._element(Pulled())
        self._codestreams: _Codestreams | None = None
        next(self._parse)

    def feed(self, chunk: Buffer) -> None:
        """Take the next bytes of the pixels."""
        self._parse.send(bytes(chunk))

    def findings(self) -> tuple[str, ...]:
        """Distinct reasons, without their content, in the order found; ask when all has been fed."""
        if self._codestreams:
            self._codestreams.close()
        return tuple(self._findings)

    def _element(self, source: Pulled) -> Steps:
        """Read the pixel element: fragments go to the codestreams' walk, all else is let pass."""
        encoding = encoding_of(self._transfer_syntax)
        header = yield from source.take(8)
        if encoding.header_size(header, 0, 12) == 12:
            header += yield from source.take(4)
        if encoding.header(header, 0, len(header))[3] != UNDEFINED:
            if self._transfer_syntax not in _NATIVE:
                self._findings["native pixels under a transfer syntax of compressed ones"] = None
        elif self._transfer_syntax in _WALKS:
            self._codestreams = _Codestreams(_WALKS[self._transfer_syntax], self._findings)
            yield from self._fragments(source, self._codestreams)
        elif self._transfer_syntax != _RLE:
            self._findings["compressed pixels of a transfer syntax that is not looked into"] = None
        while True:
            yield from source.rest()

    def _fragments(self, source: Pulled, codestreams: "_Codestreams") -> Steps:
        encoding = encoding_of(self._transfer_syntax)
        first = True
        while True:
            tag, _, _, length = encoding.header((yield from source.take(8)), 0, 8)
            if tag != ITEM:
                return
            if first and length % 4:
                self._findings["an offset table that is none"] = None
            if first:
                yield from source.skip(length)
            while not first and length:
                some = yield from source.rest(length)
                length -= len(some)
                codestreams.feed(some)
            if not first:
                codestreams.end_of_fragment()
            first = False


class _Codestreams:
    """Walks one codestream after another; each begins with a fragment, and may go on over several."""

    def __init__(self, walk: Walk, findings: dict[str, None]) -> None:
        self._walk = walk
        self._findings = findings
        self._begin()

    def feed(self, some: bytes) -> None:
        self._fresh = False
        self._steps.send(some)

    def end_of_fragment(self) -> None:
        """The next fragment begins another codestream if this one has ended, and goes on with it if not."""
        if self._ended:
            self._begin()

    def close(self) -> None:
        """There are no more fragments."""
        if not self._fresh and not self._ended and not self._lost:
            self._findings[NO_END] = None

    def _begin(self) -> None:
        self._fresh, self._ended, self._lost = True, False, False
        self._steps = self._one(Pulled())
        next(self._steps)

    def _one(self, source: Pulled) -> Steps:
        try:
            yield from self._walk(source, self._findings)
        except Unrecognisable as what:
            self._findings[str(what)] = None
            self._lost = True
            while True:  # where the next codestream begins cannot be told any more
                yield from source.rest()
        self._ended = True
        after = b""
        while True:
            # Padding to even length is one NUL, of some writers more, of others one FF: too little to hide anything.
            after = (after + (yield from source.rest()).strip(b"\0"))[:2]
            if after not in (b"", b"\xff"):
                self._findings["bytes after the end of a codestream"] = None
