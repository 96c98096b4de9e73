"""The properties of entries (RFC 4918 §15, and those of the grid's clients), as XML."""

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple, Self
from xml.sax.saxutils import escape

from mdm_async.errors import Forbidden
from mdm_async.images.names.listing import Detail
from mdm_async.names import OPAQUE, split

DAV, LCGDM = "DAV:", "LCGDM:"
OURS = frozenset({DAV, LCGDM})
"""Namespaces whose properties nobody sets."""


class Property(NamedTuple):
    """A property's name."""

    namespace: str
    name: str

    @classmethod
    def of(cls, tag: str) -> Self:
        """As `{namespace}name`, or the name alone."""
        namespace, _, name = tag.removeprefix("{").rpartition("}")
        return cls(namespace, name)


def of(detail: Detail) -> dict[Property, str]:
    """All that is known of an entry; a value is the inside of its element, escaped."""
    found = {}
    for name, value in _LIVE.items():
        told = value(detail)
        if told is not None:
            found[name] = told
    return found


def unknown(detail: Detail) -> dict[Property, int]:
    """Why something is not known of an entry, though others of its kind have it: the status of reading it."""
    if detail.entry.is_directory or detail.size is not None:
        return {}
    return {_SIZE: detail.unknown.http if detail.unknown is not None else Forbidden.http}


def _displayname(detail: Detail) -> str:
    return escape(split(detail.lfn)[1] or "/")


def _resourcetype(detail: Detail) -> str:
    return "<D:collection/>" if detail.entry.is_directory else ""


def _size(detail: Detail) -> str | None:
    return None if detail.size is None else str(detail.size)


def _kind(detail: Detail) -> str | None:
    if detail.entry.is_directory:
        return None
    return "application/octet-stream" if detail.view == OPAQUE else "application/dicom"


def _modified(detail: Detail) -> str:
    return format_datetime(detail.entry.modified.astimezone(UTC), usegmt=True)


def _created(detail: Detail) -> str:
    return _rfc3339(detail.entry.created)


def _mode(detail: Detail) -> str | None:
    modes = detail.modes
    if modes is None:
        return None
    bits = modes.owner_mode.bits << 6 | modes.group_mode.bits << 3 | modes.other_mode.bits
    return f"{(stat.S_IFDIR if detail.entry.is_directory else stat.S_IFREG) | bits:07o}"


def _owner(detail: Detail) -> str | None:
    return escape(detail.modes.owner) if detail.modes is not None else None


def _group(detail: Detail) -> str | None:
    return escape(detail.modes.group) if detail.modes is not None and detail.modes.group else None


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_SIZE = Property(DAV, "getcontentlength")
_LIVE: dict[Property, Callable[[Detail], str | None]] = {
    Property(DAV, "displayname"): _displayname,
    Property(DAV, "resourcetype"): _resourcetype,
    _SIZE: _size,
    Property(DAV, "getcontenttype"): _kind,
    Property(DAV, "getlastmodified"): _modified,
    Property(DAV, "creationdate"): _created,
    Property(LCGDM, "mode"): _mode,
    Property(LCGDM, "owner"): _owner,
    Property(LCGDM, "group"): _group,
}
