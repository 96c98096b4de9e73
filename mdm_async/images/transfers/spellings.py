"""A request's files by any spelling of their names: what was prepared as `/a/b` is released as `//a/./b`.

A request keeps each name as it was asked for, and tells it so.
"""

from collections.abc import Collection, Iterable
from typing import TypeVar

from mdm_async.errors import BadRequest, NotFound
from mdm_async.names import Surl, parse_surl

Item = TypeVar("Item")


def as_asked(kept: Iterable[str], named: Collection[str]) -> frozenset[str]:
    """Of the names that a request keeps, those of the files that are named. Only for what is named by another spelling
    all are looked at: a request of ten thousand files is often ended one by one."""
    all_ = frozenset(kept)
    files = {_file(text) for text in named if text not in all_}
    others = (text for text in all_ if _file(text) in files) if files else ()
    return all_.intersection(named).union(others)


def by_name(kept: Iterable[tuple[str, Item]], named: Iterable[str]) -> list[tuple[str, Item | NotFound]]:
    """Each of the names with the item of that file, or that there is none."""
    items = dict(kept)
    missing = [text for text in named if text not in items]
    files = {_file(text): item for text, item in items.items()} if missing else {}
    absent = NotFound("the request has no such SURL")
    return [
        (text, items[text] if text in items else files.get(_file(text), absent))
        for text in dict.fromkeys(named)
    ]


def _file(text: str) -> Surl | str:
    try:
        return parse_surl(text)
    except BadRequest:
        return text
