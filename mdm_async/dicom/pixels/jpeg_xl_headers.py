"""Read the headers of a JPEG XL codestream, bit by bit, to know where it ends (ISO 18181-1 Annexes D to F).

It has no marker for that: only the last frame's table of sections tells. What would need more than headers is decoded
(colour profiles, sections in an order of their own), and what says more than a picture needs (names, extensions), is
not looked into.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.pixels.jpeg import Unrecognisable
from mdm_async.dicom.pixels.pulled import Check, Count, Pulled, Steps

_NAME: Final = ((0, 0), (0, 4), (16, 5), (48, 10))
_ENUM: Final = ((0, 0), (1, 0), (2, 4), (18, 6))
_LENGTH: Final = ((1, 9), (1, 13), (1, 18), (1, 30))
_PLACE: Final = ((0, 8), (256, 11), (2304, 14), (18688, 30))
_SECTION: Final = ((0, 10), (1024, 14), (17408, 22), (4211712, 30))
_RATIOS: Final = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_REGULAR, _LOW_FREQUENCY, _REFERENCE, _SKIP_PROGRESSIVE = range(4)
_USE_LOW_FREQUENCY: Final = 0x20
_REPLACE, _BLEND, _MULTIPLY_ADD, _MULTIPLY = 0, 2, 3, 4
_XYB_SPACE, _GREY, _CUSTOM = 2, 1, 2


class _Bits:
    """Numbers of some bits, the lowest first (§B.2)."""

    def __init__(self, source: Pulled) -> None:
        self._source = source
        self._value = self._count = 0

    def read(self, count: int) -> Count:
        while self._count < count:
            self._value |= (yield from self._source.take(1))[0] << self._count
            self._count += 8
        value = self._value & (1 << count) - 1
        self._value >>= count
        self._count -= count
        return value

    def flag(self) -> Check:
        return (yield from self.read(1)) == 1

    def choice(self, numbers: tuple[tuple[int, int], ...]) -> Count:
        """One of four kinds of a number: (least, bits of what is added)."""
        least, bits = numbers[(yield from self.read(2))]
        return least + (yield from self.read(bits))

    def long(self) -> Count:
        """A number of 64 bits at most."""
        kind = yield from self.read(2)
        if kind < 3:
            return (0, 1, 17)[kind] + (yield from self.read((0, 4, 8)[kind]))
        value, shift = (yield from self.read(12)), 12
        while (yield from self.flag()):
            value |= (yield from self.read(8 if shift < 60 else 4)) << shift
            if shift == 60:
                break
            shift += 8
        return value

    def align(self) -> None:
        """Step over the rest of a byte, which must be zeros."""
        if self._value:
            raise Unrecognisable("a JPEG XL header with more than it has to say")
        self._value = self._count = 0


@dataclass(slots=True)
class _Picture:
    """What frames need to know."""

    width: int = 0
    height: int = 0
    transformed: bool = True
    """Into XYB colours."""
    extra_channels: int = 0


_Pictures = Generator[None, bytes, _Picture]


def walk_codestream(source: Pulled) -> Steps:
    """Read one from after its signature to its end. Raises Unrecognisable for what is not looked into."""
    bits = _Bits(source)
    picture = yield from _picture(bits)
    last = False
    while not last:
        last = yield from _frame(bits, source, picture)


def _picture(bits: _Bits) -> _Pictures:
    picture = _Picture()
    yield from _size(bits, picture)
    if not (yield from bits.flag()):
        yield from _metadata(bits, picture)
    if not (yield from bits.flag()):
        raise Unrecognisable("a JPEG XL transformation that is not looked into")
    bits.align()
    return picture


def _size(bits: _Bits, picture: _Picture) -> Steps:
    small = yield from bits.flag()

    def length() -> Count:
        if small:
            return 8 * (1 + (yield from bits.read(5)))
        return (yield from bits.choice(_LENGTH))

    picture.height = yield from length()
    ratio = yield from bits.read(3)
    if ratio:
        times, by = _RATIOS[ratio]
        picture.width = picture.height * times // by
    else:
        picture.width = yield from length()


def _metadata(bits: _Bits, picture: _Picture) -> Steps:
    more = yield from bits.flag()
    if more:
        yield from bits.read(3)  # orientation
        for what in ("size of its own", "preview", "animation"):
            if (yield from bits.flag()):
                raise Unrecognisable(f"a JPEG XL {what} that is not looked into")
    yield from _depth(bits)
    yield from bits.read(1)  # whether 16 bits are enough to decode
    picture.extra_channels = yield from bits.choice(((0, 0), (1, 0), (2, 4), (1, 12)))
    for _ in range(picture.extra_channels):
        yield from _extra_channel(bits)
    picture.transformed = yield from bits.flag()
    yield from _colours(bits)
    if more and not (yield from bits.flag()):
        raise Unrecognisable("a JPEG XL tone mapping that is not looked into")
    yield from _no_extensions(bits)


def _depth(bits: _Bits) -> Steps:
    if (yield from bits.flag()):
        yield from bits.choice(((32, 0), (16, 0), (24, 0), (1, 6)))
        yield from bits.read(4)
    else:
        yield from bits.choice(((8, 0), (10, 0), (12, 0), (1, 6)))


def _extra_channel(bits: _Bits) -> Steps:
    if (yield from bits.flag()):
        return
    if (yield from bits.choice(_ENUM)):
        raise Unrecognisable("a JPEG XL channel that is not looked into")
    yield from _depth(bits)
    yield from bits.choice(((0, 0), (3, 0), (4, 0), (1, 3)))
    yield from _no_name(bits)
    yield from bits.read(1)  # whether colours are multiplied by the opacity


def _colours(bits: _Bits) -> Steps:
    if (yield from bits.flag()):
        return
    if (yield from bits.flag()):
        raise Unrecognisable("a JPEG XL colour profile that is not looked into")
    space = yield from bits.choice(_ENUM)
    if space != _XYB_SPACE:
        own = (yield from bits.choice(_ENUM)) == _CUSTOM
        if space != _GREY:
            own = (yield from bits.choice(_ENUM)) == _CUSTOM or own
        if own:
            raise Unrecognisable("JPEG XL colours that are not looked into")
        if (yield from bits.flag()):
            yield from bits.read(24)  # gamma
        else:
            yield from bits.choice(_ENUM)
    yield from bits.choice(_ENUM)  # rendering intent


def _no_name(bits: _Bits) -> Steps:
    if (yield from bits.choice(_NAME)):
        raise Unrecognisable("a JPEG XL name")


def _no_extensions(bits: _Bits) -> Steps:
    if (yield from bits.long()):
        raise Unrecognisable("a JPEG XL extension")


@dataclass(slots=True)
class _Frame:
    width: int
    height: int
    modular: bool = False
    kind: int = _REGULAR
    upsampling: int = 1
    group_shift: int = 1
    passes: int = 1
    level: int = 0
    whole: bool = True
    """It covers the picture."""
    last: bool = True


def _frame(bits: _Bits, source: Pulled, picture: _Picture) -> Check:
    """One frame; whether it is the last."""
    frame = _Frame(picture.width, picture.height)
    if not (yield from bits.flag()):
        yield from _frame_header(bits, picture, frame)
    if (yield from bits.flag()):
        raise Unrecognisable("a JPEG XL frame whose sections have an order of their own")
    bits.align()
    size = 0
    for _ in range(_sections(frame)):
        size += yield from bits.choice(_SECTION)
    bits.align()
    yield from source.skip(size)
    return frame.last


def _sections(frame: _Frame) -> int:
    by = frame.upsampling << 3 * frame.level
    width, height = -(-frame.width // by), -(-frame.height // by)

    def count(side: int) -> int:
        return -(-width // side) * -(-height // side)

    side = 128 << frame.group_shift
    groups = count(side)
    return 1 if groups == frame.passes == 1 else 2 + count(side * 8) + groups * frame.passes


def _frame_header(bits: _Bits, picture: _Picture, frame: _Frame) -> Steps:
    frame.kind = yield from bits.read(2)
    frame.modular = yield from bits.flag()
    low_frequency_frame = (yield from bits.long()) & _USE_LOW_FREQUENCY
    chroma = not picture.transformed and (yield from bits.flag())
    if not low_frequency_frame:
        if chroma:
            yield from bits.read(6)  # how it is subsampled
        frame.upsampling = 1 << (yield from bits.read(2))
        yield from bits.read(2 * picture.extra_channels)
    if frame.modular:
        frame.group_shift = yield from bits.read(2)
    elif picture.transformed:
        yield from bits.read(6)  # quantization of two channels
    if frame.kind != _REFERENCE:
        yield from _passes(bits, frame)
    if frame.kind == _LOW_FREQUENCY:
        frame.level = 1 + (yield from bits.read(2))
    elif (yield from bits.flag()):
        yield from _crop(bits, picture, frame)
    yield from _order(bits, picture, frame)
    yield from _no_name(bits)
    yield from _filters(bits, frame)
    yield from _no_extensions(bits)


def _passes(bits: _Bits, frame: _Frame) -> Steps:
    frame.passes = yield from bits.choice(((1, 0), (2, 0), (3, 0), (4, 3)))
    if frame.passes > 1:
        downsampled = yield from bits.choice(((0, 0), (1, 0), (2, 0), (3, 1)))
        yield from bits.read(2 * (frame.passes - 1) + 2 * downsampled)
        for _ in range(downsampled):
            yield from bits.choice(((0, 0), (1, 0), (2, 0), (0, 3)))


def _crop(bits: _Bits, picture: _Picture, frame: _Frame) -> Steps:
    x = y = 0
    if frame.kind != _REFERENCE:
        x, y = _signed((yield from bits.choice(_PLACE))), _signed((yield from bits.choice(_PLACE)))
    frame.width = yield from bits.choice(_PLACE)
    frame.height = yield from bits.choice(_PLACE)
    frame.whole = (
        x <= 0 and y <= 0 and x + frame.width >= picture.width and y + frame.height >= picture.height
    )


def _signed(number: int) -> int:
    return -(number + 1) // 2 if number & 1 else number // 2


def _order(bits: _Bits, picture: _Picture, frame: _Frame) -> Steps:
    """How the frame is laid over others, whether it is the last, and whether others refer to it."""
    replaces = frame.whole
    if frame.kind in (_REGULAR, _SKIP_PROGRESSIVE):
        for channel in range(1 + picture.extra_channels):
            mode = yield from bits.choice(((0, 0), (1, 0), (2, 0), (3, 2)))
            if picture.extra_channels and mode in (_BLEND, _MULTIPLY_ADD):
                yield from bits.choice(((0, 0), (1, 0), (2, 0), (3, 3)))
            if mode == _MULTIPLY or (picture.extra_channels and mode in (_BLEND, _MULTIPLY_ADD)):
                yield from bits.read(1)
            if not channel:
                replaces = mode == _REPLACE and frame.whole
            if mode != _REPLACE or not frame.whole:
                yield from bits.read(2)
        frame.last = yield from bits.flag()
    else:
        frame.last = False
    if frame.kind != _LOW_FREQUENCY and not frame.last:
        yield from bits.read(2)
    if frame.kind == _REFERENCE or (replaces and not frame.last and frame.kind != _LOW_FREQUENCY):
        yield from bits.read(1)


def _filters(bits: _Bits, frame: _Frame) -> Steps:
    if (yield from bits.flag()):
        return
    own = (yield from bits.flag()) and (yield from bits.flag())
    edges = yield from bits.read(2)
    if edges:
        if not frame.modular:
            own = (yield from bits.flag()) or own
        own = (yield from bits.flag()) or own
        own = (yield from bits.flag()) or own
    if own:
        raise Unrecognisable("a JPEG XL filter that is not looked into")
    if edges and frame.modular:
        yield from bits.read(16)
    yield from _no_extensions(bits)
