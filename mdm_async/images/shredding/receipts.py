"""Shreds as they stand, for those who asked for them and for administrators, and signed receipts of them."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.audit.shred_receipt import LIMITS, ShredReceipt
from mdm_async.catalog import installation
from mdm_async.catalog.namespace import places
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import shreds
from mdm_async.catalog.work.shreds import Shred
from mdm_async.errors import NotFound
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.shredding.destroying import Destroyer
from mdm_async.images.shredding.finality import Finality
from mdm_async.images.shredding.plan import moment
from mdm_async.names import ROOT, Caller
from mdm_async.postgres.database import Connection

_PAGE: Final = 500


@dataclass(frozen=True, slots=True, repr=False)
class Receipts:
    """Who signs them."""

    destroyer: Destroyer
    cipher: CipherPool
    private: Ed25519PrivateKey

    async def listing(self, caller: Caller) -> list[Shred]:
        """The newest: the caller's own, or everybody's to an administrator."""
        async with self.destroyer.database.acquire() as db:
            return await shreds.newest(db, None if await _administers(db, caller) else caller.owner)

    async def receipt(self, caller: Caller, id_: UUID) -> tuple[Shred, str]:
        """How a shred stands, and the signed text that says so. Raises NotFound."""
        async with self.destroyer.database.acquire() as db:
            found = await shreds.get(db, id_)
            if found is None or (found.owner != caller.owner and not await _administers(db, caller)):
                raise NotFound("there is no such shred of yours", remedy="see `mdm shreds list`")
            done = await shreds.stores_done(db, id_)
            own = await installation.identity(db)
        missing = await self.destroyer.finality(found)
        made = ShredReceipt(
            installation=str(own),
            shred=str(found.id),
            signed=moment(found.now),
            began=moment(found.at),
            by=found.caller,
            granted=found.granted,
            state=found.state,
            destroyed=_when(found.destroyed),
            final=_when(found.final),
            waiting=_still_waiting(found, missing),
            stores=[{"store": one.store, "at": moment(one.at), "epoch": one.epoch} for one in done],
            images=await self._images(id_),
            limits=list(LIMITS),
        )
        text = await self.cipher.run(lambda: made.text(self.private))
        async with self.destroyer.database.transaction() as db:
            details = {"shred": str(id_), "state": found.state}
            await acts.record(db, [Act(caller, "shred receipt", details=details)])
        return found, text

    async def _images(self, id_: UUID) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        after = UUID(int=0)
        while True:
            async with self.destroyer.database.acquire() as db:
                page = await shreds.images_of(db, id_, after, _PAGE)
            if not page:
                return told
            told += [dict(one.told) for one in page]
            after = page[-1].image
            await asyncio.sleep(0)


async def _administers(db: Connection, caller: Caller) -> bool:
    return acl.is_administrator(caller, await places.resolve_one(db, ROOT))


def _still_waiting(found: Shred, missing: Finality) -> list[str]:
    if missing.is_final and found.final is None:
        return ["nothing more is missing: the server makes it final when it next looks"]
    return list(missing.waiting)


def _when(time: datetime | None) -> str | None:
    return moment(time) if time is not None else None
