"""The names that cross between rooms: logical file names, SURLs, views, rights and callers."""

import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from mdm_async.errors import BadRequest

Lfn = NewType("Lfn", str)
"""A logical file name: absolute, NFC, components split by '/', no empty, '.' or '..' component."""

View = NewType("View", str)
"""The name of a view, such as `identified` or `basic`."""

IDENTIFIED = View("identified")
BASIC = View("basic")
ROOT = Lfn("/")

_VIEW = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z")
_SRM = re.compile(r"srm://[^/?#]+(?:/srm/managerv2\?SFN=|(?!/srm/managerv2\?))(/.*)\Z", re.DOTALL)
_MAX_COMPONENT_BYTES = 255
_MAX_LFN_BYTES = 4096


class Right(StrEnum):
    """gLite's eight rights and one of ours: `i`, which no other right implies."""

    PERMISSION = "p"
    DELETE = "d"
    READ = "r"
    WRITE = "w"
    LIST = "l"
    EXECUTE = "x"
    GET_METADATA = "g"
    SET_METADATA = "s"
    IDENTITY = "i"


def parse_rights(text: str) -> frozenset[Right]:
    try:
        return frozenset(Right(letter) for letter in text)
    except ValueError:
        raise BadRequest(
            "a right that does not exist was named", remedy="rights are letters of 'pdrwlxgsi'"
        ) from None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a credential allows by itself: these rights on everything at or below `path`.

    `views` are the views that `r` covers; None stands for each directory's default view, "*" for every
    de-identified view. The identified view needs `i` besides.
    """

    path: Lfn
    rights: frozenset[Right]
    views: frozenset[str] | None = None

    def covers(self, lfn: str) -> bool:
        return self.path == ROOT or lfn == self.path or lfn.startswith(self.path + "/")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: a display name for the audit, the principals that ACLs may name, own scopes."""

    name: str
    principals: frozenset[str]
    scopes: tuple[Scope, ...] = ()
    token: int | None = field(default=None, compare=False)
    """The row of the local token presented, so that its revocation stops what it started."""


@dataclass(frozen=True, slots=True)
class Surl:
    """A site URL, taken apart: the LFN and the view it names, if any."""

    lfn: Lfn
    view: View | None = None


def parse_view(text: str) -> View:
    if not _VIEW.match(text):
        raise BadRequest("a view name is malformed", remedy="use lower-case letters, digits, '-' and '_'")
    return View(text)


def parse_lfn(text: str) -> Lfn:
    """A user's path as an LFN. A trailing slash is dropped; nothing is percent-decoded.

    Raises BadRequest on relative paths, empty or dot components, control characters and over-long names.
    """
    if not text.startswith("/"):
        raise BadRequest("a path is not absolute", remedy="give a path that begins with '/'")
    text = unicodedata.normalize("NFC", text).rstrip("/") or "/"
    if text == "/":
        return ROOT
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise BadRequest("a path holds control characters")
    for component in text[1:].split("/"):
        if component in ("", ".", ".."):
            raise BadRequest("a path has an empty or dot component")
        if len(component.encode()) > _MAX_COMPONENT_BYTES:
            raise BadRequest(f"a name in a path is longer than {_MAX_COMPONENT_BYTES} bytes")
    if len(text.encode()) > _MAX_LFN_BYTES:
        raise BadRequest(f"a path is longer than {_MAX_LFN_BYTES} bytes")
    return Lfn(text)


def parse_surl(text: str) -> Surl:
    """`/vo/…`, `/@<view>/vo/…` or either behind `srm://host:port/srm/managerv2?SFN=`."""
    if text.startswith("srm://"):
        match = _SRM.match(text)
        if match is None:
            raise BadRequest("a SURL is malformed", remedy="use srm://host:port/srm/managerv2?SFN=/vo/…")
        text = match[1]
    if text.startswith("/@"):
        view, _, rest = text[2:].partition("/")
        return Surl(parse_lfn("/" + rest), parse_view(view))
    return Surl(parse_lfn(text))


def split(lfn: Lfn) -> tuple[Lfn, str]:
    """The parent's LFN and the last component; the root has no name."""
    parent, _, name = lfn.rpartition("/")
    return Lfn(parent or "/"), name


def join(parent: Lfn, name: str) -> Lfn:
    return Lfn(f"{parent.rstrip('/')}/{name}")
