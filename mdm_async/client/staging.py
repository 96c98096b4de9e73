"""Files that a server has to bring from an archive first: waited for."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from mdm_async.client.srm_reply import Reply
from mdm_async.client.wire import Wire
from mdm_async.errors import MdmError, NotOnline

_WAITING: Final = frozenset({"SRM_REQUEST_QUEUED", "SRM_REQUEST_INPROGRESS"})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
"""Seconds between two questions; it grows by half each time."""
_SAID_FROM: Final = 1.0
"""Pauses as long as that are told of: who waits learns what for."""

OnOnline = Callable[[int], None]
"""Told how many more files no longer wait."""


def waiting(answer: Reply) -> list[str]:
    """Those of a request's files that are not here yet."""
    return [
        file["surl"] for file, _ in answer.files() if (file.get("status") or {}).get("statusCode") in _WAITING
    ]


async def until_online(
    wire: Wire, operation: str, token: str, surls: Collection[str], on_online: OnOnline | None = None
) -> dict[str, MdmError | None]:
    """When none of these files of a request waits any more: what went wrong with each, if anything did.

    A request ends, and so does the wait. `operation`: by which is asked how it stands.
    """
    pause, left = _FIRST_PAUSE, len(surls)
    while True:
        answer = await wire.srm(operation, {"requestToken": token})
        still = set(waiting(answer)) & set(surls)
        if on_online is not None and len(still) < left:
            on_online(left - len(still))
        left = len(still)
        if not still:
            ended = {file["surl"]: error for file, error in answer.files()}
            return {surl: ended.get(surl) for surl in surls}
        if wire.on_wait is not None and pause >= _SAID_FROM:
            wire.on_wait(_why(answer, still), pause)
        await asyncio.sleep(pause)
        pause = min(1.5 * pause, _LONGEST_PAUSE)


def _why(answer: Reply, still: Collection[str]) -> NotOnline:
    """What is waited for; `retry_after`: the estimated wait, if there is one."""
    files = "a file has still to be brought from its archive"
    if len(still) > 1:
        files = f"{len(still)} files have still to be brought from their archives"
    waits = [file for file, _ in answer.files() if file["surl"] in still]
    reasons = dict.fromkeys(str((file.get("status") or {}).get("explanation") or "") for file in waits)
    because = "; ".join(filter(None, reasons))
    seconds = max((file.get("estimatedWaitTime") or 0 for file in waits), default=0)
    return NotOnline(f"{files}: {because}" if because else files, retry_after=seconds or None)
