"""A project's own mapping of patients to subjects, as a CSV file with the columns patient, subject, shift_days, and
where equal Patient IDs of several hospitals are several patients, issuer.

What is wrong with one is told by line, never by value: whose file it is may be somebody's log.
"""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Final, Self

from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.issuers import issuer_of, written
from mdm_async.dicom.walking import walk
from mdm_async.errors import BadRequest, ScrubRefused

_PATIENT_ID: Final = 0x00100020
COLUMNS: Final = ("patient", "subject", "shift_days")
_ISSUER_COLUMN: Final = "issuer"
SUBJECT: Final = "{subject}"
"""Stands for a patient's subject, in values that are added and in names of linked files."""
LONGEST_SUBJECT: Final = 32
_SUBJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_DAYS: Final = re.compile(r"[+-]?\d{1,5}")
_MOST_DAYS: Final = 36525
_LONGEST_PATIENT: Final = 64
"""Characters: a Patient ID is an LO."""
MOST_CHARACTERS: Final = 1 << 22
"""Of a mapping: some hundred thousand patients."""
_MOST_TOLD: Final = 20
"""Lines that are told to be wrong."""
_HOW_SUBJECTS_ARE: Final = "write a letter or digit, then up to 31 letters, digits, '.', '_' and '-'"


@dataclass(frozen=True, slots=True, repr=False)
class Subject:
    """Who a patient is in a project."""

    name: str
    shift_days: int | None = None
    """How many days are added to each date; None: as the project's key has it."""


@dataclass(frozen=True, repr=False)
class Mapping:
    """Subjects by Patient ID and who has issued it; "": whoever has, where no line names that one."""

    _subjects: dict[tuple[str, str], Subject] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises BadRequest, naming the lines."""
        if len(text) > MOST_CHARACTERS:
            raise BadRequest(
                f"the mapping is longer than {MOST_CHARACTERS} characters", remedy="map fewer patients"
            )
        reader = _Reader()
        wrong = list(reader.read(text.removeprefix("\ufeff")))
        if wrong:
            more = [f"and {len(wrong) - _MOST_TOLD} more lines"] if len(wrong) > _MOST_TOLD else []
            raise BadRequest(
                "the mapping: " + "; ".join(wrong[:_MOST_TOLD] + more),
                remedy=f"correct these lines; the columns are {','.join(COLUMNS)}, and {_ISSUER_COLUMN} if need be",
            )
        if not reader.subjects:
            raise BadRequest("the mapping maps nobody", remedy="write a line for each patient")
        return cls(reader.subjects)

    def subject_of(self, head: bytes, issued_by: str | None = None) -> Subject | None:
        """Who the patient of a file is; nobody that has two Patient IDs. `issued_by`: as of `issuer_of`. Raises
        Malformed."""
        ids = patient_ids(head)
        return self.of(next(iter(ids)), issuer_of(head, issued_by)) if len(ids) == 1 else None

    def of(self, patient_id: bytes, issuer: str) -> Subject | None:
        """The subject of a Patient ID as encoded in a file; one that is not UTF-8 is not found."""
        try:
            text = patient_id.decode().strip("\0 ")
        except UnicodeDecodeError:
            return None
        return self._subjects.get((text, issuer)) or self._subjects.get((text, ""))

    @cached_property
    def tells_issuers(self) -> bool:
        """Whether a patient whose ID another one has issued can be another subject."""
        return any(issuer for _, issuer in self._subjects)

    @cached_property
    def names(self) -> frozenset[str]:
        """Of all subjects."""
        return frozenset(subject.name for subject in self._subjects.values())

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What may be a slip: one person with several Patient IDs is one subject, several persons are not."""
        shared = [count for count in Counter(self._subjects.values()).values() if count > 1]
        if not shared:
            return ()
        subjects = f"{len(shared)} subject{'s' * (len(shared) > 1)}"
        return (f"{sum(shared)} patients are {subjects}: right only for one person's several Patient IDs",)

    def __len__(self) -> int:
        return len(self._subjects)

    def dump(self) -> str:
        """As a CSV file in one spelling, from which `parse` makes an equal one."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow((*COLUMNS, _ISSUER_COLUMN) if self.tells_issuers else COLUMNS)
        for (patient, issuer), one in sorted(self._subjects.items(), key=itemgetter(0)):
            row = (patient, one.name, "" if one.shift_days is None else one.shift_days)
            writer.writerow((*row, issuer) if self.tells_issuers else row)
        return out.getvalue()


class _Reader:
    """Takes in the lines of one file, and tells what is wrong with them."""

    def __init__(self) -> None:
        self.subjects: dict[tuple[str, str], Subject] = {}
        self._lines: dict[tuple[str, str], int] = {}
        self._line_of_patient: dict[str, int] = {}
        self._line_of_subject: dict[str, int] = {}
        self._by_name: dict[str, Subject] = {}

    def read(self, text: str) -> Iterator[str]:
        first = text.split("\n", 1)[0]
        rows = csv.reader(io.StringIO(text), delimiter=";" if ";" in first else ",", strict=True)
        try:
            header = [name.strip().lower() for name in next(rows, [])]
            known = {*COLUMNS, _ISSUER_COLUMN}
            if len(set(header)) != len(header) or not {"patient", "subject"} <= set(header) <= known:
                yield f"line 1: the columns are not {', '.join(COLUMNS)}, and {_ISSUER_COLUMN} if need be"
                return
            for row in rows:
                if any(cell.strip() for cell in row):
                    yield from self._row(header, row, rows.line_num)
        except csv.Error:
            yield f"line {rows.line_num}: a quotation mark has no end, or the line is no CSV"
        for name in sorted(self._by_name.keys() & self._line_of_patient.keys()):
            yield f"line {self._line_of_subject[name]}: subject is the Patient ID of line {self._line_of_patient[name]}"

    def _row(self, header: list[str], row: list[str], line: int) -> Iterator[str]:
        if len(row) != len(header):
            yield f"line {line}: not {len(header)} columns"
            return
        said = dict(zip(header, (cell.strip() for cell in row), strict=True))
        patient, name, days = said["patient"], said["subject"], said.get("shift_days", "")
        issuer = written(said.get(_ISSUER_COLUMN, ""))
        if not patient or not _is_value(patient):
            yield f"line {line}: patient is no Patient ID of one line and at most {_LONGEST_PATIENT} characters"
        elif not _is_value(issuer):
            yield f"line {line}: issuer is no name of one line and at most {_LONGEST_PATIENT} characters"
        elif not _SUBJECT.fullmatch(name):
            yield f"line {line}: subject is no plain name ({_HOW_SUBJECTS_ARE})"
        elif days and (not _DAYS.fullmatch(days) or not 0 < abs(int(days)) <= _MOST_DAYS):
            yield f"line {line}: shift_days is no whole number of days but 0, of at most {_MOST_DAYS}"
        elif (patient, issuer) in self.subjects:
            yield f"line {line}: the patient is mapped in line {self._lines[patient, issuer]} already"
        else:
            subject = Subject(name, int(days) if days else None)
            if name in self._by_name and (self._by_name[name] != subject or not days):
                # Two Patient IDs of one subject: with two shifts the intervals between their images would be wrong.
                yield (
                    f"line {line}: the subject is that of line {self._line_of_subject[name]},"
                    " and both need the same shift_days"
                )
                return
            self.subjects[patient, issuer] = self._by_name[name] = subject
            self._lines[patient, issuer] = line
            self._line_of_patient.setdefault(patient, line)
            self._line_of_subject.setdefault(name, line)


def _is_value(text: str) -> bool:
    """Of an LO, on one line."""
    return len(text) <= _LONGEST_PATIENT and (text.isprintable() or not text) and "\\" not in text


def demand_subject(
    head: bytes, mapping: Mapping | None, unmapped: str | None, issued_by: str | None = None
) -> Subject | None:
    """Who the patient of a file is for a profile that says this of who is not mapped; None for who has a pseudonym.
    `issued_by`: as of `issuer_of`.

    Raises ScrubRefused for who is nobody, Malformed.
    """
    subject = mapping.subject_of(head, issued_by) if mapping is not None else None
    if subject is None and unmapped == "refuse":
        raise ScrubRefused("the patient is not in the project's mapping (mdm project mapping set)")
    return subject


def patient_ids(head: bytes) -> frozenset[bytes]:
    """Every Patient ID at top level, without padding: a file should have one. Raises Malformed."""
    meta = read_meta(head)
    return frozenset(
        head[element.value : element.end].strip(b"\0 ")
        for element in walk(head, meta.end, len(head), meta.encoding)
        if element.tag == _PATIENT_ID and not element.undefined
    )


def digest_of(mapping: Mapping, key: bytes) -> str:
    """A keyed digest of what a mapping says, 64 hex digits: part of the version of the views made with it."""
    return hashlib.blake2b(
        mapping.dump().encode(), key=key, digest_size=32, person=b"mdm mapping"
    ).hexdigest()
