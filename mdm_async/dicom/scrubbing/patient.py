"""Who a file is about: the values by which one patient's files are told to be one patient's."""

from dataclasses import dataclass
from typing import Self

from mdm_async.dicom.scrubbing.step_book import StepTable

_NAME, _ID, _BIRTH_DATE, _STUDY = 0x00100010, 0x00100020, 0x00100030, 0x0020000D
_PADDING = b"\0 "
_ALL = (_ID, _NAME, _BIRTH_DATE, _STUDY)


@dataclass(frozen=True, repr=False)
class Patient:
    """The first value of each, as encoded; b"" when it is not there."""

    id: bytes = b""
    name: bytes = b""
    birth_date: bytes = b""
    study: bytes = b""
    """Study Instance UID; not looked for when the patient is known."""

    @classmethod
    def of(cls, data: bytes, at: int, table: StepTable) -> Self:
        """What the data set from `at` says at top level, looked for no further than ascending order allows."""
        found: dict[int, bytes] = {}
        for here, value, end in table.walk(data, at):
            tag = here.tag
            if tag > _BIRTH_DATE and (tag > _STUDY or any(one.strip(_PADDING) for one in found.values())):
                break
            if tag in _ALL:
                found.setdefault(tag, data[value:end])
        return cls(*(found.get(tag, b"") for tag in _ALL))
