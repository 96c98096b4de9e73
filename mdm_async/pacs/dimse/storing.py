"""C-STORE (PS3.4 Annex B): a data set goes through the intake, and what came of it is a status."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from mdm_async.auditing.refusals import Refusals
from mdm_async.dicom.filemeta import is_uid
from mdm_async.dicom.sop_common import SopCommon
from mdm_async.errors import MdmError, NotFound
from mdm_async.images.intake.intake import Intake
from mdm_async.images.metrics import BYTES_IN, TRANSFERS_IN
from mdm_async.images.transfers.admission import Admission
from mdm_async.images.transfers.filing import PUSHED, FileAsk, file
from mdm_async.images.transfers.judging import Judge
from mdm_async.names import Caller, Right
from mdm_async.pacs.dimse.answers import Answer
from mdm_async.pacs.dimse.commands import Command
from mdm_async.pacs.dimse.peers import Peer
from mdm_async.pacs.dimse.received_file import received_file
from mdm_async.pacs.statuses import NOT_UNDERSTOOD, SUCCESS, status_of
from mdm_async.seldom import Seldom

_TOLD: Final = Seldom(60)
"""A full disk refuses as many as devices send."""
_NO_RIGHT: Final = (
    f"its principal has no right '{Right.WRITE}' to the directory that its images go to, or no '{Right.EXECUTE}' to "
    "one above it; give them with `mdm acl`"
)
"""For the log; the device is told of what is hidden from it as of what is missing."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Storage:
    """What pushed images go through."""

    intake: Intake
    judge: Judge
    admission: Admission
    refusals: Refusals

    async def store(
        self,
        peer: Peer,
        caller: Caller,
        command: Command,
        syntax: str,
        data_set: AsyncIterator[bytes],
        cut: Callable[[], None],
    ) -> Answer:
        """Success once it is stored for good. `data_set` need not have been taken to its end. Raises what it raises."""
        if not is_uid(command.instance):
            return Answer(NOT_UNDERSTOOD, "the Affected SOP Instance UID is no UID")
        assert peer.landing is not None
        said = SopCommon(command.sop_class, command.instance)
        ask = FileAsk(peer.landing, said, f"C-STORE of {peer.title}", PUSHED)
        body = received_file(command, syntax, _counted(data_set))
        try:
            with TRANSFERS_IN.track_inprogress():
                await file(self.intake, self.judge, self.admission, caller, ask, body, cut)
        except MdmError as why:
            if why.is_refusal or why.refusal is not None:
                self.refusals.note(why, caller, caller.source, "C-STORE")
            status = status_of(why)
            hidden = why.refusal is not None and isinstance(why, NotFound)
            if (unsaid := _TOLD.tell(_NO_RIGHT if hidden else why.title)) is not None:
                told = {
                    "ae": peer.title,
                    "status": f"{status:04X}",
                    "reason": _NO_RIGHT if hidden else why.detail,
                }
                _log.warning("a pushed image was refused", **told, **unsaid)
            return Answer(status, why.detail)
        return Answer(SUCCESS)


async def _counted(data_set: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in data_set:
        BYTES_IN.inc(len(chunk))
        yield chunk
