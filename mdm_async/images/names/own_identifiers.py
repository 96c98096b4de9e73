"""An image's own identifiers, which nothing said of it may hold, and what guesses at them are counted by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.identifiers import patient_of
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.images.names.path_template import pseudonym


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
    pseudonyms: frozenset[str]
    """What names that the server made begin with: of an archive's or a device's instance, or of a project's entry.
    Nobody can guess by them."""

    def chosen(self, text: str, kept: str) -> str:
        """What of a name or text that ends in the file's own name people may have chosen."""
        own, dot, suffix = kept.partition(".")
        if own not in self.pseudonyms or not text.endswith(f"/{kept}"):
            return text
        return f"{text.removesuffix(kept)}-{dot}{suffix}"


def own_identifiers(head: bytes, bringer: str | None, keys: Iterable[bytes]) -> OwnIdentifiers:
    """`bringer`: the account that brought the bytes with the name, if one did; `keys`: of what names are made. Raises
    as `patient_of`."""
    patient = patient_of(head)
    counted_by = str(hash((patient.key, bringer)))
    instance = read_meta(head).sop_instance
    pseudonyms = frozenset(chain.from_iterable(_pseudonyms(instance, key) for key in keys if instance))
    return OwnIdentifiers("\n".join(sorted(patient.values)), counted_by, bringer is not None, pseudonyms)


def _pseudonyms(instance: str, key: bytes) -> Iterator[str]:
    """As `archived_name` has it, and of the UID that a view has in its place, as `mdm link` has it."""
    for uid in (instance, Pseudonyms(key).uid(instance)):
        yield pseudonym("instance", uid, key)


def identifiers_in(values: str) -> list[str]:
    return values.split("\n") if values else []
