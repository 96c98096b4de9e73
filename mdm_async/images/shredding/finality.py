"""When nothing that anybody keeps can bring back what was shredded.

Backups, replicas and logs of the databases still hold the wrapped keys. They open under the key-encryption keys that
were in use then: so all that lives is to be wrapped under newer ones, the older destroyed, and the backups gone too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mdm_async.catalog.work.shreds import Shred, StoreDone
from mdm_async.keys.standing import KeyStanding, StoreStanding


@dataclass(frozen=True, slots=True)
class Finality:
    """What is missing, for people; nothing: it is final."""

    waiting: tuple[str, ...]

    @property
    def is_final(self) -> bool:
        return not self.waiting


def finality(
    shred: Shred, done: Sequence[StoreDone], standing: KeyStanding, backups_days: float | None
) -> Finality:
    """Of a shred that the key stores `done` have carried out, and as they stand now."""
    finished = {one.store: one for one in done}
    waiting = [
        f"the key store {store.name} is to destroy its keys" + ("" if store.alive else ": it is away")
        for store in standing.stores
        if store.name not in finished
    ]
    if shred.destroyed is None and not waiting:
        waiting.append("rows and stored bytes are to be removed: the server does it as soon as it can")
    since = [shred.destroyed or shred.now]
    for store in standing.stores:
        one = finished.get(store.name)
        if one is None:
            continue
        if not store.alive:
            waiting.append(f"the key store {store.name} is away, and cannot tell of its key-encryption keys")
            continue
        missing, last = _outlived(store, one.epoch)
        if missing:
            waiting.append(missing)
        elif last is not None:
            since.append(last)
    if backups_days is None:
        waiting.append("how long backups are kept is not known: set keys.backups_days")
    elif not waiting:
        until = max(since) + timedelta(days=backups_days)
        if until > shred.now:
            waiting.append(f"backups are kept until {until:%Y-%m-%dT%H:%M:%SZ}")
    return Finality(tuple(waiting))


def _outlived(store: StoreStanding, epoch: int) -> tuple[str, datetime | None]:
    """What is missing until nothing that this key store held then opens, or since when that is so, if known."""
    in_use = max((one.number for one in store.epochs if one.in_use), default=epoch)
    if in_use <= epoch:
        return f"what the key store {store.name} holds is to be wrapped anew: mdm keys rotate", None
    kept = any(one.destroyed is None for one in store.epochs if one.number <= epoch)
    ends = {one.number: one.destroyed for one in store.epochs if one.destroyed is not None}
    if kept or not ends:
        return f"the older key-encryption keys of the key store {store.name} are to be destroyed", None
    # Of many that are destroyed the last are told: those before them went no later.
    return "", max([end for number, end in ends.items() if number <= epoch] or ends.values())
