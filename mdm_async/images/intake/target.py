"""The name that a file is to have: whether the caller may give it, and what it replaces."""

from dataclasses import dataclass, replace
from typing import Self
from uuid import UUID

from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.errors import BadPath, BadRequest, Exists, NoParent, NoSpace, TooLarge
from mdm_async.names import Caller, Right, Surl, split


@dataclass(frozen=True, slots=True)
class Target:
    """A name in a directory, which is the same directory when it is moved meanwhile."""

    parent: int
    name: str
    entry: int | None = None
    """The file of that name, which is to be overwritten."""
    replaces: UUID | None = None
    """The image that this file points to, and must still point to when it is overwritten."""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that the store has left for uploads (None: it does not tell), and that one upload may have."""

    free: int | None
    most: int

    def demand(self, size: int | None) -> None:
        """Return when so many bytes (None: unknown) may come. Raises TooLarge, NoSpace."""
        if size is not None and size > self.most:
            raise TooLarge(f"uploads may have {self.most} bytes at the most")
        if self.free is not None and self.free < (size or 1):
            raise NoSpace("the blob store has no space left for this upload", remedy="free space on its disk")

    def after(self, size: int | None) -> Self:
        """What is left when so many bytes (None: unknown) have come."""
        return replace(self, free=self.free - (size or 0)) if self.free is not None else self


def demand_path(named: Surl) -> None:
    """Raises BadPath, BadRequest when a SURL is no name that a file can be given."""
    if named.guid is not None:
        raise BadPath("a file is put without naming a GUID", remedy="name it by its path")
    if named.view is not None:
        raise BadRequest("a file is put without naming a view", remedy="drop /@view from the SURL")


def target_at(caller: Caller, place: Place, room: Room, size: int | None, *, overwrite: bool) -> Target:
    """Where a file of so many bytes goes. Raises as `acl.demand_create`, TooLarge, NoSpace, Exists."""
    acl.demand_create(caller, place)
    room.demand(size)
    name = split(place.lfn)[1]
    if place.entry is None:
        if place.parent is None:
            raise NoParent(remedy="make it first: mdm mkdir -p")
        return Target(place.parent.id, name)
    if place.entry.image is None:
        raise Exists()
    if not overwrite or not acl.may_see(caller, place):
        raise Exists(remedy="choose another name, or ask to overwrite a file")
    demand_overwrite(caller, place)
    assert place.entry.parent is not None
    return Target(place.entry.parent, name, place.entry.id, place.entry.image)


def demand_overwrite(caller: Caller, place: Place) -> None:
    """Return when the caller may let the file of that name point to another image. Raises as `acl.demand`."""
    acl.demand(caller, place, Right.WRITE)
    acl.demand(caller, place, Right.DELETE)
