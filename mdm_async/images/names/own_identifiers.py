"""An image's own identifiers, which nothing said of it may hold, and what guesses at them are counted by."""

from dataclasses import dataclass

from mdm_async.dicom.identifiers import patient_of


@dataclass(frozen=True, slots=True)
class OwnIdentifiers:
    """`values`: in lines, for a file may have thousands, and a request names many files."""

    values: str
    key: str
    """Equal for a patient's images that one account brought: whoever stores files of a made-up patient learns by their
    count nothing of what others brought."""
    named_with_bytes: bool
    """So its names were compared when they were given; one that was registered had names before it was known whose it
    is."""


def own_identifiers(head: bytes, bringer: str | None) -> OwnIdentifiers:
    """`bringer`: the account that brought the bytes with the name, if one did. Raises as `patient_of`."""
    patient = patient_of(head)
    key = str(hash((patient.key, bringer)))
    return OwnIdentifiers("\n".join(sorted(patient.values)), key, bringer is not None)


def identifiers_in(values: str) -> list[str]:
    return values.split("\n") if values else []
