"""What a first site says of one entry: all that it is now, never what was done to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from mdm_async.catalog.mirrors.applying import Said
from mdm_async.catalog.mirrors.states import State
from mdm_async.catalog.namespace.places import rules_of
from mdm_async.dicom.rejection_notes import REASONS
from mdm_async.errors import BadRequest
from mdm_async.names import parse_lfn
from mdm_async.rules import Rules, rule

Told = dict[str, Any]


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """`parent` is None of the mirrored directory itself; `image` is the first's id, None of a directory."""

    guid: UUID
    parent: UUID | None
    name: str
    image: UUID | None
    acl: list[Told] | None
    default_acl: list[Told] | None
    default_view: str | None
    delivery: dict[str, str] | None
    views: list[str] | None
    only_view: str | None
    opaque: bool | None
    force: bool | None
    created: datetime
    modified: datetime
    released: list[tuple[str, int]]
    rejected: int | None
    notes: list[UUID]

    @classmethod
    def of(cls, state: State) -> Self:
        return cls(**{name: getattr(state, name) for name in cls.__slots__})

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """As `told`, of a mapping whose values have their types already, or are as JSON has them. Raises BadRequest."""
        read = {name: told[name] for name in cls.__slots__}
        _demand_name(str(read["name"]))
        for acl in ("acl", "default_acl"):
            if read[acl] is not None:
                for one in read[acl]:
                    rule(one["principal"], one["rights"], one.get("views"))
        if read["rejected"] is not None and read["rejected"] not in REASONS:
            raise BadRequest("an entry is rejected for a reason that is not known here")
        for name in ("guid", "parent", "image"):
            read[name] = UUID(str(read[name])) if read[name] is not None else None
        for name in ("created", "modified"):
            read[name] = datetime.fromisoformat(read[name]) if isinstance(read[name], str) else read[name]
        read["notes"] = [UUID(str(note)) for note in read["notes"]]
        read["released"] = [(view, revision) for view, revision in read["released"]]
        return cls(**read)

    def told(self) -> Told:
        """As JSON."""
        told = {name: getattr(self, name) for name in self.__slots__}
        for name in ("guid", "parent", "image"):
            told[name] = str(told[name]) if told[name] is not None else None
        told["notes"] = [str(note) for note in self.notes]
        return told | {"created": self.created.isoformat(), "modified": self.modified.isoformat()}

    @property
    def rules(self) -> list[Rules]:
        """Of its ACLs."""
        return [rules_of(acl) for acl in (self.acl, self.default_acl) if acl is not None]

    def said(self, acls: Mapping[Rules, int]) -> Said:
        """`acls`: the ids of `rules`."""
        return Said(
            self.guid,
            self.name,
            acls[rules_of(self.acl)] if self.acl is not None else None,
            acls[rules_of(self.default_acl)] if self.default_acl is not None else None,
            self.default_view,
            self.delivery,
            self.views,
            self.only_view,
            self.opaque,
            self.force,
            self.created,
            self.modified,
        )


def _demand_name(name: str) -> None:
    """Return when it is one that an entry may have here, too."""
    lead = "/in/"
    if "/" in name or parse_lfn(lead + name) != lead + name:
        raise BadRequest("an entry's name is none that a file or directory may have")
