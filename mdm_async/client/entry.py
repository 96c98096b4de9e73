"""What a listing tells of a file or directory."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from mdm_async.client.told_errors import Json
from mdm_async.errors import BadRequest, WrongContent
from mdm_async.names import Lfn, parse_lfn


class Kind(StrEnum):
    FILE = "FILE"
    DIRECTORY = "DIRECTORY"
    LINK = "LINK"


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in the catalog, and itself a name to go on with. What the server does not know, or not yet, is None."""

    path: Lfn
    kind: Kind
    size: int | None = None
    """Bytes of the directory's default view."""
    modified: datetime | None = None
    created: datetime | None = None
    adler32: str | None = None
    guid: str | None = None
    view: str | None = None
    view_state: str | None = None
    """ready, pending or refused."""
    view_reason: str | None = None
    locality: str | None = None

    def __fspath__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_directory(self) -> bool:
        return self.kind is Kind.DIRECTORY

    @classmethod
    def parse(cls, detail: Json) -> Self:
        """From the fields of TMetaDataPathDetail. WrongContent for a path that could not be a name."""
        try:
            path = parse_lfn(str(detail.get("path") or detail.get("surl")))
            kind = Kind(detail.get("type") or "FILE")
        except (BadRequest, ValueError):
            raise WrongContent("the server listed something that is not a name") from None
        checksum = detail.get("checkSumValue") if detail.get("checkSumType", "ADLER32") == "ADLER32" else None
        return cls(
            path=path,
            kind=kind,
            size=detail.get("size"),
            modified=_time(detail.get("lastModificationTime")),
            created=_time(detail.get("createdAtTime")),
            adler32=checksum,
            guid=detail.get("guid"),
            view=detail.get("view"),
            view_state=detail.get("viewState"),
            view_reason=detail.get("viewReason"),
            locality=detail.get("fileLocality"),
        )

    def as_json(self) -> Json:
        """The fields that are known, for `--json`."""
        fields = {
            "path": self.path,
            "type": self.kind.value,
            "size": self.size,
            "modified": self.modified,
            "created": self.created,
            "adler32": self.adler32,
            "guid": self.guid,
            "view": self.view,
            "viewState": self.view_state,
            "viewReason": self.view_reason,
            "locality": self.locality,
        }
        return {name: value for name, value in fields.items() if value is not None}


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
