"""Secrets that the catalog keeps for the key store: of transfers and of macaroons, wrapped and bound to their rows.

They are wrapped under keys that lie in the key store as projects' keys do: so those under which the store itself is
wrapped may go at any time. Each is known by the second in which it was made.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol
from uuid import UUID

import structlog

from mdm_async.errors import MdmError, Unavailable
from mdm_async.keys.ring import KeyRing
from mdm_async.keys.wrap import KEY_BYTES, Wrapper

SPREAD: float = 30.0
"""Seconds after which every node has read a new key, and it may be used."""
_MARGIN = 86_400.0
_INTERVAL = 5.0
_MARK, _EPOCH_BYTES = b"\x03", 4

_log = structlog.get_logger()


class TransferKeyHolder(Protocol):
    """A key store, as far as it holds these keys."""

    async def transfer_keys(self) -> Mapping[int, bytes]:
        """All that can be read, by when they were made. Raises Unavailable when there are some, and none can."""

    async def add_transfer_key(self, made: int, key: bytes) -> None:
        """Unless there is one of that second."""

    async def remove_transfer_keys(self, before: int) -> None:
        """Those made before that second, also what is left of some that are destroyed in part."""


class TransferSecrets:
    """`lapse`: seconds that what is wrapped may be needed. `before`: what wrapped these secrets before there were such
    keys. Wraps and unwraps without waiting for anything; a key that is new is read by `read`.
    """

    def __init__(
        self,
        holder: TransferKeyHolder,
        installation: UUID,
        lapse: float,
        before: Callable[[], KeyRing] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._holder, self._installation, self._lapse = holder, installation, lapse
        self._before, self._clock = before, clock
        self._wrappers: dict[int, Wrapper] = {}
        self._asked = asyncio.Event()

    async def read(self) -> None:
        """All keys as they are now, at least one."""
        keys = await self._holder.transfer_keys()
        if not keys:
            await self.add()
            return
        self._wrappers = {made: self._wrappers.get(made) or self._wrapper(made, keys[made]) for made in keys}

    async def forever(self) -> None:
        """Read what other nodes add and remove, at once when something is met that is under a key not known here."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL):
                    await self._asked.wait()
            self._asked.clear()
            try:
                await self.read()
                await self.remove()
            except MdmError as why:
                _log.warning("keys of transfers cannot be read", reason=str(why))
                await asyncio.sleep(_INTERVAL)

    async def add(self) -> None:
        """A new one; it comes into use when all nodes have it."""
        await self._holder.add_transfer_key(int(self._clock()), os.urandom(KEY_BYTES))
        await self.read()

    async def remove(self) -> None:
        """Those that nothing can be under any more: a newer one has been in use for longer than anything lasts."""
        lasting = SPREAD + self._lapse + _MARGIN
        if outlived := [made for made in self._wrappers if made + lasting < self._clock()]:
            await self._holder.remove_transfer_keys(max(outlived))
            await self.read()

    def wrap(self, secret: bytes, *owner: bytes | str) -> bytes:
        made = sorted(self._wrappers)
        known = [one for one in made if one + SPREAD <= self._clock()]
        in_use = known[-1] if known else made[0]
        return _MARK + in_use.to_bytes(_EPOCH_BYTES, "big") + self._wrappers[in_use].wrap(secret, *owner)

    def unwrap(self, wrapped: bytes, *owner: bytes | str) -> bytes:
        start = len(_MARK) + _EPOCH_BYTES
        if not wrapped.startswith(_MARK) or len(wrapped) != start + Wrapper.ADDED + KEY_BYTES:
            return self._unwrap_as_before(wrapped, owner)
        made = int.from_bytes(wrapped[len(_MARK) : start], "big")
        if (wrapper := self._wrappers.get(made)) is None:
            self._asked.set()
            raise Unavailable("what a transfer's secret was wrapped under is not here", remedy="try again")
        return wrapper.unwrap(wrapped[start:], made, *owner)

    def _unwrap_as_before(self, wrapped: bytes, owner: tuple[bytes | str, ...]) -> bytes:
        if self._before is None:
            raise Unavailable("a wrapped secret has a form that this version does not know")
        return self._before().unwrap_marked(wrapped, *owner)

    def _wrapper(self, made: int, key: bytes) -> Wrapper:
        return Wrapper(key, self._installation, made)


class WrapsTransfers:
    """That part of every key store of ours."""

    _transfers: TransferSecrets

    def wrap_grant(self, secret: bytes, request: UUID, item: int) -> bytes:
        return self._transfers.wrap(secret, "grant", request.bytes, item.to_bytes(4, "big"))

    def unwrap_grant(self, wrapped: bytes, request: UUID, item: int) -> bytes:
        return self._transfers.unwrap(wrapped, "grant", request.bytes, item.to_bytes(4, "big"))

    def wrap_macaroon(self, root_key: bytes, macaroon: UUID, made: bytes) -> bytes:
        return self._transfers.wrap(root_key, "macaroon", macaroon.bytes, made)

    def unwrap_macaroon(self, wrapped: bytes, macaroon: UUID, made: bytes) -> bytes:
        return self._transfers.unwrap(wrapped, "macaroon", macaroon.bytes, made)
