"""An image's own identifiers, which nothing said of it may hold, and what guesses at them are counted by."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.identifiers import patient_of
from mdm_async.dicom.pseudonym import Pseudonyms, is_identifier
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
    """What its names that the server made begin with: of an archive's or a device's instance, or of a project's entry.
    Nobody can guess by them."""

    def chosen(self, text: str, kept: str) -> str:
        """What of a name or text that ends in the file's own name people may have chosen."""
        own, suffix = _split(kept)
        if own not in self.pseudonyms or not text.endswith(f"/{kept}"):
            return text
        return f"{text.removesuffix(kept)}-{suffix}"


def own_identifiers(
    head: bytes, bringer: str | None, names: Iterable[str], keys: Collection[bytes]
) -> OwnIdentifiers:
    """`bringer`: the account that brought the bytes with the name, if one did; `names`: its files', of which the server
    may have made some, of these `keys`. Raises as `patient_of`."""
    patient = patient_of(head)
    counted_by = str(hash((patient.key, bringer)))
    made = {own for own, _ in map(_split, names) if is_identifier(own)}
    # There may be a thousand keys.
    if made and (instance := read_meta(head).sop_instance):
        made.intersection_update(chain.from_iterable(_pseudonyms(instance, key) for key in keys))
    else:
        made.clear()
    return OwnIdentifiers("\n".join(sorted(patient.values)), counted_by, bringer is not None, frozenset(made))


def _split(name: str) -> tuple[str, str]:
    """A file's name without what follows its first dot, and that with the dot."""
    own, dot, suffix = name.partition(".")
    return own, dot + suffix


def _pseudonyms(instance: str, key: bytes) -> Iterator[str]:
    """As `archived_name` has it, and of the UID that a view has in its place, as `mdm link` has it."""
    for uid in (instance, Pseudonyms(key).uid(instance)):
        yield pseudonym("instance", uid, key)


def identifiers_in(values: str) -> list[str]:
    return values.split("\n") if values else []
