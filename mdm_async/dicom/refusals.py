"""Why an image's de-identified view cannot be made: what would identify lies where scrubbing does not reach."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.filemeta import is_uid, uid_text

_SOP_CLASS, _BURNED_IN = 0x00080016, 0x00280301
_SAMPLES, _PHOTOMETRIC, _FRAMES, _ROWS, _COLUMNS, _BITS = (
    0x00280002,
    0x00280004,
    0x00280008,
    0x00280010,
    0x00280011,
    0x00280100,
)
_OVERLAY_DATA, _OVERLAY_BITS, _OVERLAY_POSITION = 0x3000, 0x0100, 0x0102

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
_DOCUMENTS: Final = _STORAGE + "104."
_VOICE: Final = _STORAGE + "9.4."
_OFTEN_BURNED_IN: Final = {
    "secondary capture": ("7",),
    "ultrasound": ("3", "3.1", "6.1", "6.2", "6.3"),
    "visible light": ("77.1",),
}
_VIDEO: Final = tuple(f"1.2.840.10008.1.2.4.10{digit}" for digit in range(10))


@dataclass(frozen=True)
class PixelFacts:
    """What the caller has learnt of the pixels while they streamed by (`part10`, `codestream`)."""

    present: bool
    value_length: int
    """Bytes of the value field."""
    encapsulated: bool
    findings: tuple[str, ...]
    """What lies in the codestreams that is no picture, such as "JPEG comment"; without its content."""


def watched(tag: int) -> bool:
    """Whether `reasons` wants the value of this top-level element."""
    if tag & 0xFF010000 == 0x60000000:
        return tag & 0xFFFF in (_OVERLAY_DATA, _OVERLAY_BITS, _OVERLAY_POSITION)
    return tag in (_SOP_CLASS, _BURNED_IN, _SAMPLES, _PHOTOMETRIC, _FRAMES, _ROWS, _COLUMNS, _BITS)


class Description:
    """Values of watched top-level elements, as encoded.

    An element may be there twice: readers differ in which they take, so rules that must not err look at `texts`.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self.values: dict[int, bytes] = {}
        """The last value of each."""
        self._texts: dict[int, set[str]] = {}

    def note(self, tag: int, value: bytes) -> None:
        self.values[tag] = value
        self._texts.setdefault(tag, set()).add(uid_text(value).upper())

    def text(self, tag: int) -> str:
        """The last value, "" when there is none."""
        return uid_text(self.values.get(tag, b"")).upper()

    def texts(self, tag: int) -> set[str]:
        """Every value that is there."""
        return self._texts.get(tag, set())

    def number(self, tag: int, default: int | None = None) -> int | None:
        """The first 16-bit value, or the default when there is none."""
        value = self.values.get(tag, b"")
        return self._encoding.u16.unpack_from(value)[0] if len(value) >= 2 else default


def reasons(
    about: Description, sop_class: str | None, transfer_syntax: str, pixels: PixelFacts
) -> Iterator[str]:
    """Every reason to refuse, each short and free of patient data; none when the view can be made."""
    classes = {sop_class or "", *about.texts(_SOP_CLASS)} - {""}
    burned_in = about.texts(_BURNED_IN)
    if not classes:
        yield "the SOP class is missing"
    if not all(map(is_uid, classes)):
        yield "the SOP class is no UID"
    for one in sorted(classes):
        yield from _of_class(one, burned_in)
    if "YES" in burned_in:
        yield "Burned In Annotation is YES"
    if transfer_syntax.startswith(_VIDEO):
        yield "video streams are not looked into"
    yield from _of_overlays(about)
    if pixels.present:
        yield from (f"the pixels hold: {finding}" for finding in pixels.findings)
        if not pixels.encapsulated:
            yield from _of_excess(about, pixels.value_length)


def _of_class(sop_class: str, burned_in: set[str]) -> Iterator[str]:
    if sop_class.startswith(_DOCUMENTS):
        yield "an encapsulated document is an identifying payload"
    if sop_class.startswith(_VOICE):
        yield "a voice recording is an identifying payload"
    if burned_in == {"NO"}:
        return
    for name, stems in _OFTEN_BURNED_IN.items():
        if any(sop_class == _STORAGE + stem or sop_class.startswith(f"{_STORAGE}{stem}.") for stem in stems):
            yield f"{name} without Burned In Annotation NO"


def _of_overlays(about: Description) -> Iterator[str]:
    for group in sorted({tag >> 16 for tag in about.values if tag >> 24 == 0x60}):
        first = group << 16
        position = about.number(first | _OVERLAY_POSITION, 0)
        bits = about.number(first | _OVERLAY_BITS, 1)
        if position != 0 or (bits != 1 and not about.values.get(first | _OVERLAY_DATA)):
            yield f"an overlay (group {group:04X}) lies in unused bits of the pixels"


def _of_excess(about: Description, length: int) -> Iterator[str]:
    expected = _frame_bytes(about)
    if expected is None:
        if length:
            yield "without a description of the pixels, excess bytes cannot be told from frames"
    elif length > expected + expected % 2:
        yield "there are bytes after the last frame"


def _frame_bytes(about: Description) -> int | None:
    """Bytes of all frames of native pixels (PS3.3 §C.7.6.3, PS3.5 §8.1.1), None when the description is not whole."""
    rows, columns, bits = about.number(_ROWS), about.number(_COLUMNS), about.number(_BITS)
    samples = about.number(_SAMPLES, 1)
    frames = about.text(_FRAMES).lstrip("+0") or "1"
    if rows is None or columns is None or not bits or samples is None or not frames.isdecimal():
        return None
    pixels = rows * columns * (int(frames) if len(frames) <= 12 else 0)
    photometric = about.text(_PHOTOMETRIC)
    if samples == 3 and photometric == "YBR_FULL_422":
        return pixels * 2 * bits // 8
    if samples == 3 and photometric == "YBR_PARTIAL_420":
        return pixels * 3 * bits // 16
    return (pixels * samples * bits + 7) // 8
