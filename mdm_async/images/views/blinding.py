"""What an original says of itself, as the catalog may keep it: sealed, and as digests by which it is found."""

from typing import Final
from uuid import UUID

from mdm_async.catalog.holdings.rejections import Rejected
from mdm_async.catalog.metadata.blind import SealedOriginal
from mdm_async.dicom.attributes import attributes_of
from mdm_async.dicom.dictionary import tag_of
from mdm_async.dicom.equality import found_by
from mdm_async.dicom.identifiers import linking_values
from mdm_async.dicom.issuers import issuer_of
from mdm_async.dicom.rejection_notes import RejectionNote
from mdm_async.errors import Malformed, NotDicom
from mdm_async.images.names.archived_name import patient_named_by
from mdm_async.images.parts import record
from mdm_async.images.reading.served import IDENTIFIED_VERSION
from mdm_async.keys.derive import BlindIndex
from mdm_async.keys.store import IDENTITY, Secrets
from mdm_async.names import IDENTIFIED

_INSTANCE: Final = tag_of("SOPInstanceUID")
ISSUED: Final = 0x00100000
"""Of the digest of a Patient ID and who has issued it, as of `patient_named_by`: a group's length, which no data set
says. What was stored before that was noted has none.
"""


def sealed_original(
    head: bytes, image: UUID, secrets: Secrets, blind: BlindIndex, issued_by: str | None
) -> SealedOriginal | None:
    """Of the original's head, or its beginning; None when it cannot be walked as far as its attributes lie.

    `issued_by`: as of `issuer_of`; where the file names nobody, its Issuer of Patient ID is that one.

    Takes a millisecond or more: not for the event loop.
    """
    try:
        said = attributes_of(head).all()
        if issued_by is not None and issuer_of(head, issued_by) == issued_by:
            said["IssuerOfPatientID"] = [issued_by]
        issued = patient_named_by(linking_values(head).get("PatientID", ""), issuer_of(head, issued_by))
    except (Malformed, NotDicom):
        return None
    return SealedOriginal(
        image,
        record.seal_attributes(said, secrets.of(IDENTITY), image, IDENTIFIED, IDENTIFIED_VERSION),
        [(tag, blind.digest(tag, value)) for tag, value in (*found_by(said), (ISSUED, issued))],
    )


def rejected_by(head: bytes, blind: BlindIndex) -> Rejected | None:
    """What an original's head rejects, by the digests that instances are found by; None when it is no rejection note.

    Takes a millisecond or more: not for the event loop.
    """
    note = RejectionNote.of(head)
    if note is None:
        return None
    return Rejected(note.code, [blind.digest(_INSTANCE, uid) for uid in sorted(note.instances)])
