"""What came of an instance that was to be stored, as DICOM counts it: a C-STORE's status (PS3.4 table B.2-1, PS3.7
Annex C), and why STOW-RS has not stored one (PS3.18 table I.2-2)."""

from typing import Final

from mdm_async.errors import (
    BadRequest,
    Forbidden,
    MdmError,
    NoSpace,
    NotDicom,
    NotFound,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    WrongContent,
)

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
CLASS_NOT_SUPPORTED: Final = 0x0122
NOT_AUTHORISED: Final = 0x0124
OUT_OF_RESOURCES: Final = 0xA700
OTHER_CLASS: Final = 0xA900
NOT_UNDERSTOOD: Final = 0xC000
SYNTAX_NOT_SUPPORTED: Final = 0xC122

_STATUSES: Final[tuple[tuple[type[MdmError], int], ...]] = (
    (Unauthenticated, NOT_AUTHORISED),
    (Forbidden, NOT_AUTHORISED),
    (NotFound, NOT_AUTHORISED),  # What one may not know of is told of as missing.
    (WrongContent, OTHER_CLASS),
    (NotDicom, NOT_UNDERSTOOD),
    (BadRequest, NOT_UNDERSTOOD),
    (TooLarge, OUT_OF_RESOURCES),
    (NoSpace, OUT_OF_RESOURCES),
    (TooManyRequests, OUT_OF_RESOURCES),
    (Unavailable, OUT_OF_RESOURCES),
)


def status_of(why: MdmError) -> int:
    return next((status for kind, status in _STATUSES if isinstance(why, kind)), PROCESSING_FAILURE)
