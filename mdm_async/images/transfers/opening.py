"""A view of a file opened in one step, without a request or a transfer URL.

It is built of what prepareToGet and the transfer are built of. While it is read it is watched as they are: it ends when
the caller may no longer read it, or the file has gone.
"""

import os
import time
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import MdmError
from mdm_async.images.reading.sealed import SealedView, seal
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.readable import Readable, readable
from mdm_async.images.transfers.warm import WarmTurl, WarmTurls
from mdm_async.keys.derive import SEED_BYTES
from mdm_async.names import Caller, View


@dataclass(frozen=True, slots=True, repr=False)
class OpenedView:
    """What may be read, its plain bytes, and what is to be sent of it: those, or its sealed stream."""

    file: Readable
    plain: ReadyView
    warm: WarmTurl


async def open_view(
    judge: Judge,
    warm: WarmTurls,
    caller: Caller,
    surl: str,
    *,
    view: View | None = None,
    recipient: bytes | None = None,
) -> OpenedView:
    """Open the view of a file that a SURL names, or else `view`, or else its default one.

    It is sealed for `recipient` (an X25519 key), or for the caller's registered key where views leave sealed only.
    Raises as preparing it would.
    """
    who = await judge.callers.id_of(caller)
    asked, judged = time.monotonic(), (warm.feed.now[0], caller.generation)
    async with judge.database.acquire() as db:
        (file,) = await readable(
            warm.shelf.served, judge.delivery, db, caller, [surl], view=view, recipient=recipient
        )
    if isinstance(file, MdmError):
        raise file
    plain = await warm.shelf.load_one(judge.database, file.image, file.view)
    async with judge.database.acquire() as db:
        details = {"recipient": file.recipient.hex()} if file.recipient is not None else {}
        await acts.record(db, [Act(caller, "open", guid=file.entry.guid, view=file.view, details=details)])
    content: ReadyView | SealedView = plain
    if file.recipient is not None:
        content = await warm.cipher.run(partial(seal, plain, file.recipient, os.urandom(SEED_BYTES)))
    admitted = warm.admit(_unkept(caller, who, surl, file, plain), content, asked, judged, file.way)
    return OpenedView(file, plain, admitted)


def _unkept(caller: Caller, who: int, surl: str, file: Readable, plain: ReadyView) -> Grant:
    """As what the view is watched and audited while it is read: the catalog has no row of it."""
    return Grant(
        turl=os.urandom(32),
        request=uuid4(),
        item=0,
        operation="get",
        state="pinned",
        caller=caller.name,
        owner=caller.owner,
        who=who,
        token=caller.token,
        surl=surl,
        life=_LIFE,
        entry=file.entry.id,
        guid=file.entry.guid,
        image=file.image,
        view=file.view,
        version=plain.version,
        recipient=file.recipient,
        kept=False,
    )


_LIFE = 60.0
"""Seconds. What is being read goes on after them, and what nobody reads is let go of before."""
