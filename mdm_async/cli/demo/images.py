"""What the demo stores, and what is known of each image from its own file: bytes and identifiers."""

import hashlib
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import pydicom
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from mdm_async.errors import MdmError

SHORTEST: Final = 5
"""Characters; shorter values are found in any pixels by chance."""
_IDENTIFIERS: Final = (
    "PatientID",
    "PatientBirthDate",
    "OtherPatientIDs",
    "AccessionNumber",
    "PatientAddress",
    "PatientTelephoneNumbers",
)
_STANDARD_UIDS: Final = "1.2.840.10008."
_DEFINITIONS: Final = (
    "CodingSchemeUID",
    "ContextUID",
    "ContextGroupExtensionCreatorUID",
    "ImplementationClassUID",
    "MappingResourceUID",
    "SOPClassUID",
)
"""UIDs of what software and code lists are, which say nothing of anyone."""
_PREAMBLE: Final = 128


@dataclass(slots=True)
class DemoImage:
    """One source file and how it fared. `digests`: phase → SHA-256 of what came out; `reasons`: of refusal."""

    source: Path
    lfn: str
    size: int
    sha256: str
    identifiers: tuple[bytes, ...]
    stored: bool = False
    reasons: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    adlers: dict[str, str] = field(default_factory=dict)
    found: list[bytes] = field(default_factory=list)
    failures: dict[str, MdmError] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Path, lfn: str) -> Self:
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(source, lfn, source.stat().st_size, digest, identifiers(source))


def dicom_files(folder: Path) -> list[Path]:
    """The DICOM Part 10 files below a folder: those with DICM after the preamble (PS3.10 §7.1)."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and _is_part10(path)]


def _is_part10(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"


def identifiers(source: Path) -> tuple[bytes, ...]:
    """What in this file tells whose it is, as it would stand in any file: names by component, numbers of the
    patient and the order, the birth date, UIDs that someone assigned; from all levels of nesting."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The files are broken on purpose, some of them.
        try:
            dataset = pydicom.dcmread(source, defer_size=64 * 1024)
        except Exception:
            return ()
        values = _values(dataset.file_meta) | _values(dataset)
    return tuple(sorted(value for value in values if len(value) >= SHORTEST))


def _values(dataset: Dataset) -> set[bytes]:
    found: set[bytes] = set()
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception:  # noqa: S112 — a value that cannot be read cannot be looked for
            continue
        if element.VR == "SQ":
            for item in element.value or ():
                found |= _values(item)
        elif element.keyword in _DEFINITIONS:
            continue
        elif element.VR in ("PN", "UI") or element.keyword in _IDENTIFIERS:
            several = element.value if element.VM > 1 else [element.value]
            for value in several:
                found |= _as_bytes(value)
    return found


def _as_bytes(value: object) -> set[bytes]:
    if isinstance(value, PersonName):
        parts = value.encode() if isinstance(value.encode(), bytes) else b""
        return {part.strip() for group in parts.split(b"=") for part in group.split(b"^")}
    text = str(value or "").strip(" \0")
    if text.startswith(_STANDARD_UIDS):
        return set()
    return {text.encode(errors="ignore")}


class Scanner:
    """Looks for values in a stream, also where one chunk ends and the next begins. A number is not found within a
    longer one: a made UID has forty digits, and five of them are some patient's by chance."""

    def __init__(self, values: tuple[bytes, ...]) -> None:
        self._sought = {value: re.compile(_whole(value)) for value in values}
        self._overlap = max(map(len, values), default=0)
        self._tail = b""
        self.found: set[bytes] = set()

    def feed(self, chunk: bytes | memoryview) -> None:
        text = self._tail + chunk
        self.found |= {value for value, sought in self._sought.items() if sought.search(text)}
        self._tail = text[-self._overlap :] if self._overlap else b""


def _whole(value: bytes) -> bytes:
    pattern = re.escape(value)
    return rb"(?<![0-9])" + pattern + rb"(?![0-9])" if value.isdigit() else pattern
