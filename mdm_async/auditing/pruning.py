"""Pruning: the oldest seals go with their rows, and a signed act says which.

The statement comes first, then what it says goes, a page at a time: when that breaks off, the next pruning ends it,
or the server within the hour.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.audit import merkle, row_index
from mdm_async.audit.pruned import ACT, DETAIL, Pruned
from mdm_async.audit.seals import Seal, line_hash
from mdm_async.catalog import installation
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts, ledger
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, Unavailable, WrongContent
from mdm_async.names import Caller
from mdm_async.postgres.database import Connection, Database

_SEALS = 500
"""Looked at between two turns of the event loop."""
_BYTES = 12 * 5000
"""Of the row indexes whose rows go in one transaction; one seal in any case."""
_EACH = 3600.0
_SERVER = Caller("mdm", frozenset())

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pruner:
    """`database`: the lane of long work. `keep_days`: what is younger stays; None: nobody has said so."""

    database: Database
    private: Ed25519PrivateKey
    keep_days: int | None

    async def prune(self, caller: Caller, before: datetime, *, really: bool) -> Pruned | None:
        """What of the trail was sealed before then: it goes, `really`. None when there is none. The last seal stays.

        Raises Forbidden, BadRequest, WrongContent when a seal cannot be read, or its index is not the one sealed.
        """
        async with self.database.acquire() as db:
            await acl.demand_administrator(db, caller)
        youngest = datetime.now(UTC) - timedelta(days=self.keep_days or 0)
        if before > youngest:
            raise BadRequest(
                f"the audit trail is kept for {self.keep_days} days"
                if self.keep_days
                else "that is in the future",
                remedy="give an earlier date",
            )
        return await self._prune(caller, before, really=really)

    async def forever(self) -> None:
        """Prune what is older than `keep_days`, each hour, and end what broke off: it is said to be gone."""
        while True:
            try:
                if self.keep_days is None:
                    await self._remove()
                else:
                    before = datetime.now(UTC) - timedelta(days=self.keep_days)
                    await self._prune(_SERVER, before, really=True)
            except Unavailable:
                pass
            except WrongContent as why:
                _log.error("the audit trail cannot be pruned", reason=why.detail)
            except (
                Exception
            ) as why:  # whatever it was, the node goes on: what is not pruned is there to be looked at
                _log.error("the audit trail cannot be pruned", kind=type(why).__name__)
            await asyncio.sleep(_EACH)

    async def _prune(self, caller: Caller, before: datetime, *, really: bool) -> Pruned | None:
        async with self.database.transaction() as db:
            await ledger.wait_for_pruning(db)
            found = await self._prunable(db, before)
            if found is not None and really:
                details = {DETAIL: found.signed(self.private), "rows": found.rows, "seals": found.seals}
                await acts.record(db, [Act(caller, ACT, details=details)])
                await ledger.set_pruned(db, found.seals, found.count)
        if really:
            await self._remove()
        return found

    async def _remove(self) -> None:
        while await self._remove_some():
            pass

    async def _prunable(self, db: Connection, before: datetime) -> Pruned | None:
        pruned, rows_before = await ledger.pruned(db)
        end = await ledger.first_seal_since(db, before)
        if end is None or end <= pruned + 1:
            return None
        tree = merkle.Tree()
        rows, first_id, last_id, text = 0, ledger.LAST, ledger.FIRST, ""
        number = pruned
        while seals := [one for one in await ledger.seals_from(db, number + 1, _SEALS) if one[0] < end]:
            for _, text in seals:
                seal = Seal.parse(text)
                rows += seal.count
                first_id, last_id = min(first_id, seal.first_id), max(last_id, seal.last_id)
                tree.add(merkle.leaf(text.encode()))
            number = seals[-1][0]
            await asyncio.sleep(0)
        return Pruned(
            installation=str(await installation.identity(db)),
            first_seal=pruned + 1,
            seals=number,
            count=rows_before + rows,
            rows=rows,
            first_id=first_id,
            last_id=last_id,
            before=int(before.timestamp() * 1_000_000),
            root=tree.root().hex(),
            last=line_hash(text),
        )

    async def _remove_some(self) -> bool:
        """A page of what is said to be pruned; False when it is all gone."""
        async with self.database.transaction() as db:
            upto, _ = await ledger.pruned(db)
            sizes = await ledger.index_sizes(db, ledger.FIRST, upto, _SEALS)
            if not sizes:
                return False
            size, last = 0, sizes[0][0]
            for number, more in sizes:
                size += more
                if size > _BYTES and number != last:
                    break
                last = number
            ids: list[int] = []
            for number, text, index in await ledger.seals_between(db, ledger.FIRST, last):
                named = row_index.decode(index, Seal.parse(text).rows)
                if named is None:
                    raise WrongContent(
                        f"the index of seal {number} is not the one sealed", remedy="run mdm audit verify"
                    )
                ids += named
            await ledger.remove(db, last, ids)
        return True
