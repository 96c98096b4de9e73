"""What lies before and after pixels that were compressed and are native now (PS3.5 §A.1, §A.2)."""

from collections.abc import Iterator, Mapping
from typing import Final

from mdm_async.dicom import encode
from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.pixels.description import EXTENDED_TABLE, PHOTOMETRIC, PLANAR
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.single import photometric_of_native
from mdm_async.dicom.vr_encodings import in_explicit, in_implicit
from mdm_async.dicom.walking import walk

_LOSSY, _METHOD = 0x00282110, 0x00282114
_LOSSY_JPEG: Final = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
"""Transfer syntaxes that lose something of every picture. Of others only the head tells."""
_Changes = Mapping[int, tuple[bytes, bytes]]
"""VR and value, by tag."""


def in_native(
    head: bytes, tail: bytes, stored: str, described: Layout, *, explicit: bool
) -> tuple[bytes, bytes]:
    """Of frames as `single.as_described` makes them. It is the same instance: decoding changes no pixel. That they were
    lossy once is said for ever (PS3.3 §C.7.6.1.1.5), also where the file left it to its transfer syntax.

    `stored`: the transfer syntax up to now. Raises Malformed.
    """
    before, after = (in_explicit if explicit else in_implicit)(head, tail)
    meta = read_meta(before)
    photometric = photometric_of_native(described).encode()
    changes: dict[int, tuple[bytes, bytes]] = {PHOTOMETRIC: (b"CS", photometric)}
    if described.samples > 1:
        planar = described.planar and not described.subsampled
        changes[PLANAR] = b"US", int(planar).to_bytes(2, "little")
    if stored in _LOSSY_JPEG:
        changes |= _lossy(before, meta.end, meta.encoding)
    return before[: meta.end] + b"".join(_changed(before, meta.end, meta.encoding, changes)), after


def _lossy(head: bytes, at: int, encoding: Encoding) -> _Changes:
    said = {
        element.tag: head[element.value : element.value + element.length].strip(b"\0 ")
        for element in walk(head, at, len(head), encoding, last=_METHOD)
        if element.tag in (_LOSSY, _METHOD)
    }
    if said.get(_LOSSY) == b"01":
        return {}
    return {_LOSSY: (b"CS", b"01"), _METHOD: (b"CS", said.get(_METHOD) or b"ISO_10918_1")}


def _changed(head: bytes, at: int, encoding: Encoding, changes: _Changes) -> Iterator[bytes]:
    """The data set with these elements, in the order of their tags, and without tables of fragments."""
    left = dict(sorted(changes.items()))
    for element in walk(head, at, len(head), encoding):
        for tag in [tag for tag in left if tag <= element.tag]:
            yield encode.element(tag, *left.pop(tag), encoding)
        if element.tag not in changes and element.tag not in EXTENDED_TABLE:
            yield head[element.start : element.end]
    for tag, (vr, value) in left.items():
        yield encode.element(tag, vr, value, encoding)
