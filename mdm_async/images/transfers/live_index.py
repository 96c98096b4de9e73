"""Live transfer URLs by what they hang on: the entries that lead to their file, its image, their token."""

from collections.abc import Iterable, Mapping
from typing import TypeVar
from uuid import UUID

from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.rights.feed import Changes

Way = tuple[int, ...]
"""The ids of the entries that lead to a file, or to a directory that is written to, from the root down."""


K = TypeVar("K")


class LiveIndex:
    """Finds those that a change touches without looking at any other."""

    def __init__(self) -> None:
        self._entries: dict[int, set[bytes]] = {}
        self._tokens: dict[int, set[bytes]] = {}
        self._images: dict[UUID, set[bytes]] = {}

    def add(self, grant: Grant, way: Way) -> None:
        for entry in way:
            self._entries.setdefault(entry, set()).add(grant.turl)
        if grant.token is not None:
            self._tokens.setdefault(grant.token, set()).add(grant.turl)
        if grant.image is not None:
            self._images.setdefault(grant.image, set()).add(grant.turl)

    def discard(self, grant: Grant, way: Way) -> None:
        for entry in way:
            _discard(self._entries, entry, grant.turl)
        if grant.token is not None:
            _discard(self._tokens, grant.token, grant.turl)
        if grant.image is not None:
            _discard(self._images, grant.image, grant.turl)

    def touched_by(self, changes: Changes) -> set[bytes]:
        return set().union(
            _found(self._entries, changes.entries),
            _found(self._tokens, changes.tokens),
            _found(self._images, changes.images),
        )


def touches(changes: Changes, grant: Grant, way: Way) -> bool:
    """Whether a change touches one transfer URL."""
    return (
        changes.everything
        or grant.turl in changes.turls
        or grant.turl in changes.ended
        or grant.token in changes.tokens
        or grant.image in changes.images
        or not changes.entries.isdisjoint(way)
    )


def _discard(index: dict[K, set[bytes]], key: K, turl: bytes) -> None:
    found = index.get(key)
    if found is not None:
        found.discard(turl)
        if not found:
            del index[key]


def _found(index: Mapping[K, set[bytes]], keys: Iterable[K]) -> set[bytes]:
    return set().union(*(index[key] for key in keys if key in index))
