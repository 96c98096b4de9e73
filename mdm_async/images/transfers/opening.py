"""A view of a file opened in one step, without a request or a transfer URL.

It is built of what prepareToGet and the transfer are built of. While it is read it is watched as they are: it ends when
the caller may no longer read it, or the file has gone. Whoever asks again for what he has just had waits for nothing.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from uuid import UUID, uuid4

from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.holdings import images, staged
from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import MdmError
from mdm_async.images.reading.sealed import SealedView, seal
from mdm_async.images.reading.sent import sent_of
from mdm_async.images.reading.shelf import evictable_of, not_online, part_of
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.transfers.feed_reader import Judged
from mdm_async.images.transfers.holding import HOLD
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


class OpenedViews:
    """Opens views; what was opened clear is remembered by who asked, and by the very name, while it is warm."""

    def __init__(self, judge: Judge, warm: WarmTurls) -> None:
        self._judge, self._warm = judge, warm
        self._known: dict[_Asked, _Known] = {}
        self._asked: dict[bytes, _Asked] = {}
        """By the transfer URL that it is as."""
        warm.let_go_of.append(self._let_go_of)

    async def open(
        self, caller: Caller, surl: str, *, view: View | None = None, recipient: bytes | None = None
    ) -> OpenedView:
        """Open the view of a file that a SURL names, or else `view`, or else its default one.

        It is sealed for `recipient` (an X25519 key), or for the caller's registered key where views leave sealed only.
        Raises as preparing it would.
        """
        asked = _Asked(caller, caller.token, surl, view)
        known = self._known.get(asked) if recipient is None else None
        if known is not None and await self._warm.serves_again(known.opened.warm) and self._stands(known):
            return known.opened
        (opened,), judged = await self._open(caller, [surl], view, recipient)
        if isinstance(opened, MdmError):
            raise opened
        if opened.file.recipient is None:  # a sealed stream is of one request: its keys are never used again
            self._know(asked, opened, judged)
        return opened

    def at_hand(self, caller: Caller, surl: str) -> WarmTurl | None:
        """What `open` gives for its default view, where nothing must be waited for; None: open it."""
        known = self._known.get(_Asked(caller, caller.token, surl, None))
        if known is None or self._warm.at_hand(known.opened.warm.grant.turl) is not known.opened.warm:
            return None
        return known.opened.warm if self._stands(known) else None

    async def open_soon(self, caller: Caller, surls: Sequence[str], view: View | None) -> list[WarmTurl]:
        """Open many files' views together, each of which is about to be opened by itself, which then waits for
        nothing; those that were not open before. What is in the way of one is told then."""
        asked = {surl: _Asked(caller, caller.token, surl, view) for surl in surls}
        lacking = [surl for surl, one in asked.items() if one not in self._known]
        if not lacking:
            return []
        found, judged = await self._open(caller, lacking, view, None)
        clear = {
            surl: opened
            for surl, opened in zip(lacking, found, strict=True)
            if isinstance(opened, OpenedView) and opened.file.recipient is None
        }
        for surl, opened in clear.items():
            self._know(asked[surl], opened, judged)
        return [opened.warm for opened in clear.values()]

    def _know(self, asked: "_Asked", opened: OpenedView, judged: Judged) -> None:
        self._known[asked] = _Known(opened, judged)
        self._asked[opened.warm.grant.turl] = asked

    async def sent(self, caller: Caller, surl: str) -> ReadyView | None:
        """What this caller has sent under that name lately, to be told of where the view cannot be read (yet).

        None when it is not to be told. Raises as `open`, of the name and the right.
        """
        judge, shelf = self._judge, self._warm.shelf
        who = await judge.callers.id_of(caller)
        async with judge.database.acquire() as db:
            (file,) = await readable(
                shelf.served, judge.delivery, db, caller, [surl], view=None, recipient=None, delivered=False
            )
        if isinstance(file, MdmError):
            raise file
        return await sent_of(judge.database, shelf, _unkept(caller, who, surl, file, ""), caller.writers)

    def _stands(self, known: "_Known") -> bool:
        """Whether the name still leads there: any change on the way to the file may have given it to another, though
        the file may still be read."""
        warm = known.opened.warm
        return warm.touched <= known.judged[0] and known.judged[1] == self._warm.feed.now[1]

    def _let_go_of(self, warm: WarmTurl) -> None:
        asked = self._asked.pop(warm.grant.turl, None)
        known = self._known.get(asked) if asked is not None else None
        if asked is not None and known is not None and known.opened.warm is warm:
            del self._known[asked]

    async def _open(
        self, caller: Caller, surls: Sequence[str], view: View | None, recipient: bytes | None
    ) -> tuple[list[OpenedView | MdmError], Judged]:
        judge, warm = self._judge, self._warm
        who = await judge.callers.id_of(caller)
        asked, judged = time.monotonic(), warm.feed.known_of(caller)
        async with judge.database.acquire() as db:
            files = await readable(
                warm.shelf.served, judge.delivery, db, caller, surls, view=view, recipient=recipient
            )
            wanted = [(file.image, file.view) for file in files if isinstance(file, Readable)]
            found = await warm.shelf.find_whole(db, wanted) if wanted else None
        loaded = iter(await warm.shelf.load(found) if found is not None else ())
        views = [next(loaded) if isinstance(file, Readable) else file for file in files]
        gone = await self._hold(evictable_of(found), views)
        views = [
            not_online(Locality.NEARLINE) if isinstance(one, ReadyView) and one.image in gone else one
            for one in views
        ]
        ready = [
            (file, plain)
            for file, plain in zip(files, views, strict=True)
            if isinstance(file, Readable) and isinstance(plain, ReadyView)
        ]
        if ready:
            async with judge.database.acquire() as db:
                await acts.record(db, [_act(caller, file) for file, _ in ready])
        opened: list[OpenedView | MdmError] = []
        for surl, file, plain in zip(surls, files, views, strict=True):
            if isinstance(file, MdmError):
                opened.append(file)
            elif isinstance(plain, MdmError):
                opened.append(plain)
            else:
                content: ReadyView | SealedView = plain
                if file.recipient is not None:
                    seed = os.urandom(SEED_BYTES)
                    content = await warm.cipher.run(partial(seal, plain, file.recipient, seed))
                grant = _unkept(caller, who, surl, file, plain.version)
                opened.append(OpenedView(file, plain, warm.admit(grant, content, asked, judged, file.way)))
        return opened, judged

    async def _hold(self, evictable: set[UUID], views: Sequence[ReadyView | MdmError]) -> set[UUID]:
        """What is about to be read is not evicted before the watch holds it; what was since it was found."""
        parts = {
            one.image: part_of(one) for one in views if isinstance(one, ReadyView) and one.image in evictable
        }
        if not parts:
            return set()
        async with self._judge.database.acquire() as db:
            await images.hold(db, parts, HOLD)
            gone = await staged.gone(db, parts)
            await staged.note_use(db, parts.keys() - gone, HOLD)
        return gone


def _act(caller: Caller, file: Readable) -> Act:
    details = {"recipient": file.recipient.hex()} if file.recipient is not None else {}
    return Act(caller, "open", guid=file.entry.guid, view=file.view, details=details)


class _Asked(NamedTuple):
    """Two callers who are alike in all that rights depend on are one here, but for the token that may be revoked."""

    caller: Caller
    token: int | None
    surl: str
    view: View | None


class _Known(NamedTuple):
    opened: OpenedView
    judged: Judged


def _unkept(caller: Caller, who: int, surl: str, file: Readable, version: str) -> Grant:
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
        version=version,
        recipient=file.recipient,
        kept=False,
    )


_LIFE = 60.0
"""Seconds. What is being read goes on after them, and what nobody reads is let go of before."""
