"""What an Accept header asks for (PS3.18 §8.3.3, §8.7), as viewers write it, and what of it fits what is there.

Quotes may stand anywhere or be missing, parameters may be repeated, `transfer-syntax` may stand within the quotes of
`type`, a comma may stand where a semicolon should. What names no transfer syntax means Explicit VR Little Endian, but
for `*/*`, which means anything.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.pictures.asked import JPEG, PNG
from mdm_async.errors import NotAcceptable
from mdm_async.images.studies.rewriting import REWRITTEN

DICOM: Final = "application/dicom"
BYTES: Final = "application/octet-stream"
JSON: Final = "application/dicom+json"
XML: Final = "application/dicom+xml"
RELATED: Final = "multipart/related"
ANY: Final = "*/*"
PICTURES: Final = (JPEG, PNG)
EXPLICIT: Final = "1.2.840.10008.1.2.1"
IMPLICIT: Final = "1.2.840.10008.1.2"
_FAMILIES: Final = {
    "image/jpeg": (".4.50", ".4.51", ".4.57", ".4.70"),
    "image/jls": (".4.80", ".4.81"),
    "image/jp2": (".4.90", ".4.91"),
    "image/jpx": (".4.92", ".4.93"),
    "image/dicom-rle": (".5",),
    "image/jxl": (".4.110", ".4.111", ".4.112"),
    "image/jphc": (".4.201", ".4.202", ".4.203"),
    "video/mpeg2": (".4.100", ".4.100.1", ".4.101", ".4.101.1"),
    "video/mp4": tuple(f".4.{one}" for one in ("102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1",
                                               "106", "106.1", "107", "108")),
}  # fmt: skip
_KINDS: Final = {IMPLICIT + end: kind for kind, ends in _FAMILIES.items() for end in ends}
"""PS3.18 §8.7.3.3: the media type of frames, by transfer syntax; of all others they are bytes."""
_ALIASES: Final = {
    "image/x-dicom-rle": "image/dicom-rle",
    "image/x-jls": "image/jls",
    "image/jpeg2000": "image/jp2",
    "video/mpeg": "video/mpeg2",
}
_MOST: Final = 4096
"""Characters that are looked at, of all headers together."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One that is asked for. `kind`: without parameters, of `multipart/related` that of its parts."""

    multipart: bool
    kind: str
    syntax: str | None
    quality: float

    def fits(self, kind: str) -> bool:
        """Whether it is of that media type."""
        mine, yours = self.kind.partition("/"), kind.partition("/")
        return mine[0] in ("*", yours[0]) and mine[2] in ("*", "", yours[2])


@dataclass(frozen=True, slots=True)
class Chosen:
    """How it is sent: in parts, or by itself, as this kind and under this transfer syntax.

    `remade`: transfer syntaxes of which instances leave in Explicit VR Little Endian."""

    multipart: bool
    kind: str
    syntax: str | None = None
    remade: frozenset[str] = frozenset()

    @property
    def content_type(self) -> str:
        return f"{self.kind}; transfer-syntax={self.syntax}" if self.syntax is not None else self.kind


def parse(accept: Collection[str]) -> list[Wanted]:
    """All headers of that name; what is asked for first comes first. Without any, anything is asked for."""
    if not any(text.strip() for text in accept):
        return [Wanted(False, ANY, None, 1.0)]
    found = [one for one in _of_list(",".join(accept)[:_MOST]) if one.quality > 0]
    return sorted(found, key=lambda one: -one.quality)


def _of_list(text: str) -> Iterator[Wanted]:
    element: list[str] = []
    # What quotes hold together has the same meaning without them.
    for part in text.replace('"', "").split(","):
        told = [piece.strip() for piece in part.split(";") if piece.strip()]
        # A parameter that a comma parts from its media type belongs to it all the same.
        if told and element and "/" not in told[0].partition("=")[0] and "=" in told[0]:
            element += told
            continue
        if element:
            yield _wanted(element)
        element = told
    if element:
        yield _wanted(element)


def _wanted(element: Sequence[str]) -> Wanted:
    first, *rest = element
    kind = first.strip("' ").lower()
    parameters = _parameters(rest)
    multipart = kind == RELATED
    if multipart:
        kind = parameters.get("type", "").lower() or ANY
    return Wanted(
        multipart,
        _ALIASES.get(kind, kind),
        parameters.get("transfer-syntax"),
        _quality(parameters.get("q", "1")),
    )


def _parameters(pieces: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in pieces:
        name, _, value = piece.partition("=")
        found.setdefault(name.strip("' ").lower(), value.strip("' "))
    return found


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 1.0


def of_instances(
    wanted: Sequence[Wanted], stored: Collection[str], *, alone: bool, decodable: Collection[str] = ()
) -> Chosen:
    """How instances leave that are stored under these transfer syntaxes. `alone`: it is one; `decodable`: those of
    compressed ones that may be decoded.

    As they are stored, those in implicit VR or big endian also in Explicit VR Little Endian; decoded only where nothing
    else is wanted. One that is asked for may fit all of them, or each another. Raises NotAcceptable.
    """
    meant = [one for one in wanted if one.fits(DICOM)]
    fitting: list[tuple[Wanted, dict[str, str]]] = []
    for several in [*([one] for one in meant), meant]:
        leaving = {syntax: _leaving(several, syntax, decodable) for syntax in stored}
        told = {syntax: to for syntax, to in leaving.items() if to is not None}
        if several and len(told) == len(leaving):
            fitting.append((several[0], told))
    if fitting:
        first, told = min(fitting, key=lambda one: sum(each != one[1][each] for each in decodable))
        remade = frozenset(syntax for syntax, to in told.items() if to != syntax)
        return Chosen(first.multipart or not alone, DICOM, remade=remade)
    ways = [f"{DICOM}; transfer-syntax={one}" for one in sorted(stored)]
    if decodable and all(one in decodable or one in REWRITTEN for one in stored):
        ways.append(f"{DICOM}; transfer-syntax={EXPLICIT}")
    raise _refused(ways, alone=alone)


def _leaving(wanted: Sequence[Wanted], stored: str, decodable: Collection[str]) -> str | None:
    """Under which transfer syntax an instance leaves that is stored under this one."""
    for one in wanted:
        if _is_meant(one, stored):
            return stored
        if stored in REWRITTEN and one.syntax in (None, EXPLICIT):
            return EXPLICIT
    if stored in decodable and any(one.syntax in (None, EXPLICIT) for one in wanted):
        return EXPLICIT
    return None


def _is_meant(wanted: Wanted, syntax: str) -> bool:
    if wanted.syntax is None:
        return wanted.kind == ANY or syntax == EXPLICIT
    return wanted.syntax in ("*", syntax)


def of_frames(wanted: Sequence[Wanted], stored: str, *, alone: bool, decodable: bool = False) -> Chosen:
    """How frames leave: as they are stored, but little endian, or else decoded. `alone`: it is one frame; `decodable`:
    they are compressed, and may be decoded.

    Raises NotAcceptable.
    """
    kind = _KINDS.get(stored, BYTES)
    is_native = stored in REWRITTEN
    label = EXPLICIT if is_native else stored
    fitting = [one for one in wanted if one.multipart or alone or one.kind == ANY]
    for one in fitting:
        multipart = one.multipart or one.kind == ANY
        if kind != BYTES and one.kind != ANY and one.fits(kind) and one.syntax in (None, "*", stored):
            return Chosen(multipart, kind, label)
        if one.fits(BYTES) and (one.syntax in ("*", label, stored) or (one.syntax is None and is_native)):
            return Chosen(multipart, kind if one.kind == ANY else BYTES, label)
        if one.kind == ANY and one.syntax is None:
            return Chosen(multipart, kind, label)
    for one in fitting if decodable else ():
        if one.fits(BYTES) and one.syntax in (None, EXPLICIT):
            return Chosen(one.multipart or one.kind == ANY, BYTES, EXPLICIT)
    ways = [f"{each}; transfer-syntax={label}" for each in dict.fromkeys((kind, BYTES))]
    if decodable:
        ways.append(f"{BYTES}; transfer-syntax={EXPLICIT}")
    raise _refused(ways, alone=alone)


def of_pictures(wanted: Sequence[Wanted], *, alone: bool = True) -> Chosen:
    """How a picture leaves: by itself unless parts are asked for. `alone`: several never do. Raises NotAcceptable."""
    return _rendered(wanted, PICTURES, alone=alone)


def of_video(wanted: Sequence[Wanted], stored: str) -> Chosen:
    """As `of_pictures`, of a video, of which pictures are not made. `stored`: its transfer syntax."""
    return _rendered(wanted, [_KINDS[stored]])


def _rendered(wanted: Sequence[Wanted], kinds: Sequence[str], *, alone: bool = True) -> Chosen:
    for one in wanted:
        for kind in kinds:
            if one.fits(kind):
                return Chosen(one.multipart or not alone, kind)
    raise _refused(kinds, alone=alone)


def of_bulk(wanted: Sequence[Wanted]) -> Chosen:
    """How a value by itself leaves. Raises NotAcceptable."""
    for one in wanted:
        if one.fits(BYTES):
            return Chosen(one.multipart or one.kind == ANY, BYTES)
    raise _refused([BYTES])


def demand_json(wanted: Sequence[Wanted]) -> None:
    """Raises NotAcceptable."""
    if not any(one.fits(JSON) or one.fits("application/json") for one in wanted if not one.multipart):
        raise NotAcceptable(remedy=f"ask for {JSON}")


def of_stored(wanted: Sequence[Wanted]) -> str:
    """In which media type it is told what was stored. Raises NotAcceptable."""
    for one in wanted:
        if not one.multipart and (one.fits(JSON) or one.fits("application/json")):
            return JSON
        if not one.multipart and one.fits(XML):
            return XML
    raise NotAcceptable(remedy=f"ask for {JSON}, or {XML}")


def _refused(available: Iterable[str], *, alone: bool = True) -> NotAcceptable:
    """`available`: media types, each of which is to be had in parts, and by itself where that is `alone`."""
    ways: list[str] = []
    for one in available:
        kind, *parameters = one.split("; ")
        ways += [one] if alone else []
        ways.append("; ".join([RELATED, f'type="{kind}"', *parameters]))
    return NotAcceptable(remedy=f"ask for one of: {', '.join(ways)}")
