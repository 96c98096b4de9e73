"""Keys of transfers: a new one waits until all nodes have it, an old one goes when nothing can be under it."""

import os
from uuid import uuid4

import pytest

from mdm_async.errors import Unavailable
from mdm_async.keys.transfer_secrets import SPREAD, TransferSecrets

LAPSE = 1000.0
DAY = 86_400.0


class Holder:
    def __init__(self) -> None:
        self.keys: dict[int, bytes] = {}

    async def transfer_keys(self) -> dict[int, bytes]:
        return dict(self.keys)

    async def add_transfer_key(self, made: int, key: bytes) -> None:
        self.keys.setdefault(made, key)

    async def remove_transfer_keys(self, before: int) -> None:
        for made in [made for made in self.keys if made < before]:
            del self.keys[made]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_new_key_is_used_when_every_node_has_read_it() -> None:
    holder, clock, installation = Holder(), Clock(), uuid4()
    secrets, other = (TransferSecrets(holder, installation, LAPSE, clock=clock) for _ in range(2))
    await secrets.read()
    await other.read()
    clock.now += 3600
    await secrets.add()
    wrapped = secrets.wrap(secret := os.urandom(32), "grant")
    assert other.unwrap(wrapped, "grant") == secret
    clock.now += SPREAD
    newer = secrets.wrap(secret, "grant")
    with pytest.raises(Unavailable, match="not here"):
        other.unwrap(newer, "grant")
    await other.read()
    assert other.unwrap(newer, "grant") == secret


async def test_an_old_key_goes_when_what_was_wrapped_last_under_it_is_over() -> None:
    holder, clock = Holder(), Clock()
    secrets = TransferSecrets(holder, uuid4(), LAPSE, clock=clock)
    await secrets.read()
    clock.now += 10 * DAY
    await secrets.remove()
    assert len(holder.keys) == 1
    await secrets.add()
    clock.now += SPREAD + LAPSE + DAY
    await secrets.remove()
    assert len(holder.keys) == 2
    clock.now += 1
    await secrets.remove()
    assert list(holder.keys) == [1_000_000 + 10 * int(DAY)]
    secrets.unwrap(secrets.wrap(bytes(32), "grant"), "grant")
