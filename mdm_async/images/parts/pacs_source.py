"""Where a registered image would come from, sealed under its identity secret: UIDs tell whose it is."""

import os
import re
from dataclasses import asdict, dataclass
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag

from mdm_async.catalog.holdings.sources import Digests
from mdm_async.errors import BadRequest, Damaged
from mdm_async.keys.derive import BlindIndex, RecordCipher

_UID = re.compile(r"(?=.{1,64}\Z)(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*\Z", re.ASCII)
_STUDY, _SERIES, _INSTANCE = 0x0020000D, 0x0020000E, 0x00080018
_BLOCK = 256
"""Sealed text is filled up to a multiple of this, so that its size tells nothing of what is in it."""
KIND = " source"
"""Keeps a source from being taken for a view's record: no view has such a name."""


@dataclass(frozen=True, slots=True, repr=False)
class PacsSource:
    """One instance in a PACS: the PACS by name, the UIDs of study, series and instance (PS3.3 C.7.2, C.7.3, C.12.1).

    `patient`: the Patient ID that the PACS told, as `linking_values` has it; `sop_class`: the instance's class. Either
    is empty when it told none.
    """

    pacs: str
    study: str
    series: str
    instance: str
    patient: str = ""
    content: str = ""
    """What it was compared by when it was last brought: see `Sameness`; empty: it never was, or cannot be compared."""
    sop_class: str = ""
    issued_by: str | None = None
    """Who issues the archive's Patient IDs, as of `issuer_of`, since it was registered."""
    named_by: str | None = None
    """What the patient's name in its path is made of, as of `patient_named_by`; None: that was not noted yet."""

    def __post_init__(self) -> None:
        if not self.pacs or not all(_UID.match(uid) for uid in (self.study, self.series, self.instance)):
            raise BadRequest(
                "a source is malformed",
                remedy="name a PACS, and the UIDs of a study, a series and an instance",
            )


def digests(source: PacsSource, blind: BlindIndex) -> Digests:
    """A series is one of its study: copies of an image keep its UID in others."""
    return Digests(
        study_digest(source.study, blind),
        blind.digest(_SERIES, f"{source.study}/{source.series}"),
        instance_digest(source.instance, blind),
    )


def study_digest(uid: str, blind: BlindIndex) -> bytes:
    return blind.digest(_STUDY, uid)


def instance_digest(uid: str, blind: BlindIndex) -> bytes:
    return blind.digest(_INSTANCE, uid)


def seal(source: PacsSource, identity: bytes, image: UUID, id_: UUID) -> bytes:
    """Under an image's identity secret, bound to the image and to the row that will hold it."""
    text = orjson.dumps(asdict(source))
    padded = text.ljust(-(-len(text) // _BLOCK) * _BLOCK)
    return RecordCipher(identity, image).seal(padded, KIND, str(id_), os.urandom(12))


def unseal(sealed: bytes, identity: bytes, image: UUID, id_: UUID) -> PacsSource:
    """Raises Damaged."""
    try:
        return PacsSource(**orjson.loads(RecordCipher(identity, image).open(sealed, KIND, str(id_))))
    except InvalidTag:
        raise Damaged("the image's stored source does not open") from None
