"""Statuses, and what stands beside them (PS3.7 Annex C, PS3.4 §B.2.3, §C.4)."""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from mdm_async.errors import (
    BadRequest,
    Forbidden,
    MdmError,
    NotFound,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from mdm_async.pacs.dimse.commands import Counts
from mdm_async.pacs.statuses import NOT_AUTHORISED, NOT_UNDERSTOOD, OUT_OF_RESOURCES, SUCCESS

UNRECOGNISED_OPERATION, RESOURCE_LIMITATION = 0x0211, 0x0213
PENDING, PENDING_IGNORED, CANCELLED = 0xFF00, 0xFF01, 0xFE00
NOT_COUNTED, NOT_PERFORMED, UNKNOWN_DESTINATION = 0xA701, 0xA702, 0xA801
UNFIT, SOME_FAILED = 0xA900, 0xB000


class Answer(NamedTuple):
    """A status, and words for whoever looks at the device's log."""

    status: int
    comment: str = ""
    counts: Counts | None = None
    data_set: bytes = b""


Tell = Callable[[Answer], Awaitable[None]]
"""Sends an answer that is not the last."""

_OF_QUERIES: Final[tuple[tuple[type[MdmError], int], ...]] = (
    (Unauthenticated, NOT_AUTHORISED),
    (Forbidden, NOT_AUTHORISED),
    (NotFound, SUCCESS),  # What one may not know of, and what is not there, match nothing.
    (BadRequest, NOT_UNDERSTOOD),
    (TooLarge, OUT_OF_RESOURCES),
    (TooManyRequests, OUT_OF_RESOURCES),
    (Unavailable, OUT_OF_RESOURCES),
)


def of_query(why: MdmError) -> Answer:
    """What a search that failed so is answered with."""
    status = next((status for kind, status in _OF_QUERIES if isinstance(why, kind)), NOT_UNDERSTOOD)
    return Answer(status, why.detail if status != SUCCESS else "")


class Unfit(Exception):
    """The request does not fit its SOP class; str(self) says why, and nothing that stood in it."""

    def __init__(self, what: str, status: int = UNFIT) -> None:
        self.status = status
        super().__init__(what)
