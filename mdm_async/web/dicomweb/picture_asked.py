"""What a request for a picture says of it (PS3.18 §8.3.5)."""

from math import isfinite
from typing import Final

from aiohttp import web

from mdm_async.dicom.pictures.asked import Picture, Shape, Window
from mdm_async.dicom.pictures.viewport import Viewport
from mdm_async.errors import BadQuery

QUALITY: Final = 90
_THUMBNAIL: Final = 256
"""Pixels on a side, where nothing else is asked for."""
_MOST_SIDE: Final = 1 << 14
_MOST_TEXT: Final = 100
_SHAPES: Final = {
    "linear": Shape.LINEAR,
    "linear-exact": Shape.LINEAR_EXACT,
    "sigmoid": Shape.SIGMOID,
}
NOT_DRAWN: Final = ("annotation", "iccprofile")
"""Parameters that pictures have nothing of."""


def is_plain(request: web.Request) -> bool:
    """Whether nothing is asked of the picture that would change it."""
    return not any(name in request.query for name in ("viewport", "window", "quality"))


def rendered(request: web.Request, kind: str) -> Picture:
    """Raises BadQuery."""
    return Picture(kind, _quality(request), _viewport(request) or Viewport(), _window(request))


def thumbnail(request: web.Request, kind: str) -> Picture:
    """Raises BadQuery."""
    small = Viewport(_THUMBNAIL, _THUMBNAIL, enlarges=False)
    return Picture(kind, QUALITY, _viewport(request) or small)


def warnings(request: web.Request) -> list[str]:
    """What was asked for that pictures do not have."""
    found = [name for name in NOT_DRAWN if request.query.get(name, "no") not in ("", "no")]
    return [f"Pictures have nothing of what these parameters ask for: {', '.join(found)}"] if found else []


def _quality(request: web.Request) -> int:
    text = request.query.get("quality")
    if text is None:
        return QUALITY
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= 100):
        raise BadQuery("quality is a whole number from 1 to 100")
    return int(text)


def _viewport(request: web.Request) -> Viewport | None:
    text = request.query.get("viewport")
    if text is None:
        return None
    told = text.split(",") if len(text) <= _MOST_TEXT else []
    if len(told) not in (2, 6):
        raise BadQuery("viewport is two numbers or six", remedy="write viewport=512,512")
    width, height, left, top, part_width, part_height = [
        _real(one) if one.strip() else None for one in (*told, "", "", "", "")[:6]
    ]
    for side in (width, height):
        if side is not None and not (side.is_integer() and 1 <= side <= _MOST_SIDE):
            raise BadQuery(f"the viewport's sides are whole numbers up to {_MOST_SIDE}")
    if part_width == 0 or part_height == 0:
        raise BadQuery("the viewport shows nothing of the image")
    return Viewport(
        None if width is None else int(width),
        None if height is None else int(height),
        left or 0,
        top or 0,
        part_width,
        part_height,
    )


def _window(request: web.Request) -> Window | None:
    text = request.query.get("window")
    if text is None:
        return None
    told = [one.strip() for one in text.split(",")] if len(text) <= _MOST_TEXT else []
    shape = _SHAPES.get(told[2].lower() if len(told) == 3 else "linear")
    if len(told) not in (2, 3) or shape is None:
        raise BadQuery(
            "window is a center, a width and one of linear, linear-exact, sigmoid",
            remedy="write window=40,400,linear",
        )
    found = Window(_real(told[0]), _real(told[1]), shape)
    if not found.is_one:
        raise BadQuery("the window's width is too small", remedy="a linear one is 1 at the least")
    return found


def _real(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("inf")
    if not isfinite(number) or not text.isascii() or "_" in text:
        raise BadQuery("viewport and window are made of numbers")
    return number
