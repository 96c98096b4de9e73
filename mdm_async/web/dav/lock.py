"""LOCK and UNLOCK (RFC 4918 §9.10, §9.11)."""

import re
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from mdm_async.errors import BadRequest, LockLost, MdmError
from mdm_async.images.names.locking import Held
from mdm_async.images.transfers.storing import StoreAsk, store
from mdm_async.postgres.shown_locks import shown_locks
from mdm_async.web.dav import lock_xml
from mdm_async.web.dav.asked import Asked
from mdm_async.web.dav.conditions import lock_token
from mdm_async.web.dav.document import document
from mdm_async.web.http.reply import reply

_SECONDS: Final = re.compile(r"Second-([0-9]{1,10})\Z", re.IGNORECASE)


async def lock(asked: Asked) -> web.Response:
    """A new lock, 201 when the name was free; without a body one that is shown lasts anew."""
    sent = await document(asked, "lockinfo")
    locking, caller, surl = asked.house.locking, asked.caller, asked.named.surl
    if sent is None:
        tokens = shown_locks.get()
        if not tokens:
            raise LockLost("a lock that is to last anew is named by the If header")
        async with asked.turn():
            return _told(asked, await locking.refresh(caller, surl, tokens, _seconds(asked)), 200)
    if asked.depth == "1":
        raise BadRequest("a lock has the Depth 0 or infinity")
    ask = lock_xml.asked_for(sent, deep=asked.depth == "infinity", seconds=_seconds(asked))
    async with asked.turn():
        held, is_free = await locking.lock(caller, surl, ask)
    made = is_free and await _made_empty(asked, held)
    answer = _told(asked, held, 201 if made else 200)
    answer.headers["Lock-Token"] = f"<{lock_xml.urn(held)}>"
    return answer


async def unlock(asked: Asked) -> web.Response:
    told = asked.request.headers.get("Lock-Token", "").strip()
    token = lock_token(told.removeprefix("<").removesuffix(">"))
    if token is None:
        raise BadRequest("no lock is named", remedy="send 'Lock-Token: <urn:uuid:...>'")
    async with asked.turn():
        await asked.house.locking.unlock(asked.caller, asked.named.surl, token)
    return web.Response(status=204)


async def _made_empty(asked: Asked, held: Held) -> bool:
    """An empty file where the name was free (§7.3); not where only DICOM may lie: there the name is kept for it."""
    house, mine = asked.house, shown_locks.set(shown_locks.get() | {held.lock.token})
    try:
        await store(
            house.intake,
            house.judge,
            house.admission,
            asked.caller,
            StoreAsk(asked.named.surl, size=0),
            _nothing(),
            lambda: None,
        )
    except MdmError:
        return False
    finally:
        shown_locks.reset(mine)
    return True


async def _nothing() -> AsyncIterator[bytes]:
    for _ in range(0):
        yield b""


def _told(asked: Asked, held: Held, status: int) -> web.Response:
    found = lock_xml.discovery([(held, asked.named.path)])
    body = (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<D:prop xmlns:D="DAV:"><D:lockdiscovery>{found}</D:lockdiscovery></D:prop>\n'
    )
    return reply(asked.request, body.encode(), "application/xml", status)


def _seconds(asked: Asked) -> int | None:
    """The first that is understood of what the client would like (§10.7); None: as long as may be."""
    for one in asked.request.headers.get("Timeout", "").split(","):
        found = _SECONDS.match(one.strip())
        if found is not None:
            return int(found[1])
    return None
