"""What goes wrong with an archive, in words of our own: nothing that it says is repeated."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mdm_async.errors import MdmError, NotFound, PeerFailed, SourceAway, SourceBusy
from mdm_async.pacs.dimse.messages import Aborted, Released
from mdm_async.pacs.dimse.pdus import Broken
from mdm_async.pacs.dimse.requestor import NoAssociation
from mdm_async.pacs.dimse.wire import Gone, Silent

SUCCESS, CANCELLED = 0x0000, 0xFE00
ENDS: Final = (Silent, Gone, Aborted, Released, Broken)
"""What an association ends by that has been open."""
_PENDING: Final = frozenset({0xFF00, 0xFF01})
_NOT_AUTHORISED: Final = 0x0124
_DESTINATION_UNKNOWN: Final = 0xA801
_WARNINGS: Final = range(0xB000, 0xC000)
"""PS3.7 Annex C, PS3.4 tables C.4-1 to C.4-3."""


def is_pending(status: int) -> bool:
    return status in _PENDING


def failure(service: str, status: int) -> MdmError:
    """Of a request that ended with such a status: for one file's sake no archive is taken for one that is away."""
    if status == _NOT_AUTHORISED:
        return SourceAway("the archive refuses this server", remedy="ask who runs the archive")
    if status == _DESTINATION_UNKNOWN:
        return SourceAway(
            "the archive does not know this server as a destination of C-MOVE",
            remedy="have this server's AE title, address and port entered in the archive: pacs.ae_title, pacs.port",
        )
    return PeerFailed(f"the archive answers the {service} with status {status:04X}")


def demand_done(service: str, status: int, *, has_come: bool) -> None:
    """What the end of a retrieval of one instance means. Raises NotFound, PeerFailed, SourceAway."""
    if status == SUCCESS and not has_come:
        raise NotFound("the archive has no such instance")
    if status != SUCCESS and not (has_come and status in _WARNINGS):
        raise failure(service, status)


def not_offered(service: str) -> SourceAway:
    return SourceAway(
        f"the archive offers no {service}", remedy="ask who runs the archive, or see pacs.sources"
    )


@contextmanager
def told() -> Iterator[None]:
    """What ends an association ends as an error that a caller understands."""
    try:
        yield
    except NoAssociation as why:
        cause = f": {why.cause}" if why.cause else ""
        raise (SourceBusy if why.transient else SourceAway)(f"the archive {why}{cause}") from None
    except Silent:
        raise SourceAway("the archive does not answer in time") from None
    except (Gone, Aborted, Released):
        raise SourceAway("the archive broke off the association") from None
    except Broken as why:
        raise PeerFailed(f"the archive breaks the DICOM protocol: {why}") from None
