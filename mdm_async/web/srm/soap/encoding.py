"""Names that are not ASCII. gSOAP's clients take each byte of a name's UTF-8 for a character of latin-1, both ways; the
XML around it is UTF-8 all the same. Others mean what they write."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

_Recode = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a client writes text, and how it wants it written."""

    read: _Recode
    write: _Recode

    @staticmethod
    def of(request: web.Request) -> "Encoding":
        # "gfal2-util/1.8.0 gfal2/2.21.3 srm-ifce/1.24.6 gSOAP/2.8"
        return _GSOAP if "gSOAP/" in request.headers.get("User-Agent", "") else _PLAIN


def _from_bytes(text: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text  # A name in another encoding, as its owner wrote it.


def _to_bytes(text: str) -> str:
    return text.encode("utf-8").decode("latin-1")


_GSOAP = Encoding(_from_bytes, _to_bytes)
_PLAIN = Encoding(str, str)
