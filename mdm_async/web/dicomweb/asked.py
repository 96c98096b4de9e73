"""What a request of DICOMweb names in its URL: UIDs, a view, a folder, and what a search asks for (PS3.18 §8.3.4)."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from aiohttp import web

from mdm_async.dicom.dictionary import keyword_of
from mdm_async.dicom.filemeta import is_uid
from mdm_async.dicom.indexed import Level, by_keyword
from mdm_async.errors import BadQuery, BadRequest
from mdm_async.images.studies.asked import OF_ALL, Asked, Uids
from mdm_async.names import View, parse_view

BASE: Final = "/dicom-web"
ALL: Final = "all"
_MOST_OFFSET: Final = 1 << 31
_MOST_DIGITS: Final = 10
_RESERVED: Final = frozenset({"limit", "offset", "fuzzymatching", "includefield", "path", "accept"})


@dataclass(frozen=True, slots=True)
class Named:
    """What a URL names. `path`: None where no folder is named; `view`: None for the directories' default."""

    uids: Uids
    path: str | None
    view: View | None

    @property
    def base(self) -> str:
        return BASE if self.view is None else f"{BASE}/@{self.view}"

    @property
    def end(self) -> str:
        """What ends each URL that is told: what is found in a folder may be hidden elsewhere."""
        return "" if self.path is None else f"?path={quote(self.path)}"


@dataclass(frozen=True, slots=True)
class Searched:
    """`fields`: keywords that are told beside those that always are; `unknown`: some are none that are indexed."""

    asked: Asked
    fields: frozenset[str]
    everything: bool
    unknown: bool
    fuzzy: bool


def named(request: web.Request) -> Named:
    """Raises BadRequest for what is no UID or no view."""
    said = request.match_info
    uids = [said.get(name) for name in ("study", "series", "instance")]
    if not all(one is None or is_uid(one) for one in uids):
        raise BadRequest("the URL names what is no UID")
    paths = request.query.getall("path", [])
    if len(paths) > 1:
        raise BadRequest("two folders are named", remedy="name one with ?path=")
    view = said.get("view")
    return Named(
        Uids(*uids), paths[0] if paths and paths[0] else None, parse_view(view) if view is not None else None
    )


def searched(request: web.Request, level: Level) -> Searched:
    """Raises BadQuery, BadRequest."""
    about = named(request)
    query = request.query
    matching = [(_keyword(name), value) for name, value in query.items() if name not in _RESERVED]
    wanted = [
        one.strip() for value in query.getall("includefield", []) for one in value.split(",") if one.strip()
    ]
    fields = [keyword_of(one) for one in wanted if one != ALL]
    told = by_keyword().keys() | OF_ALL.keys() | ALWAYS
    known = frozenset(one for one in fields if one is not None and one in told)
    fuzzy = query.get("fuzzymatching", "false").lower()
    if fuzzy not in ("true", "false"):
        raise BadQuery("fuzzymatching is true or false")
    asked = Asked(
        level,
        about.uids,
        matching,
        about.path,
        about.view,
        _number(request, "offset") or 0,
        _number(request, "limit"),
    )
    return Searched(
        asked,
        known | {name for name, _ in matching},
        ALL in wanted,
        any(one not in known for one in fields),
        fuzzy == "true",
    )


ALWAYS: Final = frozenset(
    {
        "RetrieveURL",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "NumberOfSeriesRelatedInstances",
    }
)
"""What is told of itself, and by which nothing is found."""


def _keyword(name: str) -> str:
    """The keyword of an attribute that is to match. Raises BadQuery: what is not understood must not find more."""
    keyword = keyword_of(name)
    if keyword is None or (keyword not in by_keyword() and keyword not in OF_ALL):
        raise BadQuery(
            "a parameter of the query is no attribute by which images are found here",
            remedy="`mdm meta attributes` names those; others may be in includefield",
        )
    return keyword


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None or text == "":
        return None
    if len(text) > _MOST_DIGITS or not text.isascii() or not text.isdecimal() or int(text) >= _MOST_OFFSET:
        raise BadQuery(f"{name} is a whole number, from 0 to {_MOST_OFFSET - 1}")
    return int(text)
