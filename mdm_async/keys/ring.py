"""The key ring: several key-encryption keys (KEKs), told apart by their epochs.

New things are wrapped under the one in use; what older ones wrapped stays readable. Each wrapped thing says its epoch:
in a column of its own, or at its beginning.
"""

from collections.abc import Sequence

from mdm_async.errors import Unavailable
from mdm_async.keys.wrap import NONCE_BYTES, TAG_BYTES, Wrapper

_MARK = b"\x02"
_EPOCH_BYTES = 4
_BARE = NONCE_BYTES + 32 + TAG_BYTES
"""Size of what was wrapped before there was a mark: 32 bytes, under epoch 1. What is marked has another size."""


class KeyRing:
    """The first wrapper is of the KEK in use, unless another is named."""

    def __init__(self, wrappers: Sequence[Wrapper], in_use: int | None = None) -> None:
        self._wrappers = {wrapper.epoch: wrapper for wrapper in wrappers}
        self._in_use = wrappers[0] if in_use is None else self._wrappers[in_use]

    @property
    def epoch(self) -> int:
        """Of the KEK in use."""
        return self._in_use.epoch

    @property
    def older(self) -> list[int]:
        """Epochs before it that this ring opens too."""
        return sorted(epoch for epoch in self._wrappers if epoch < self.epoch)

    @property
    def epochs(self) -> list[int]:
        """All that this ring opens, the one that its source wants in use first."""
        return list(self._wrappers)

    def using(self, epoch: int) -> "KeyRing":
        """The same keys, with another in use."""
        return KeyRing(list(self._wrappers.values()), epoch)

    def wrap(self, secret: bytes, *owner: bytes | str) -> bytes:
        """Under `epoch`, which the caller keeps beside it."""
        return self._in_use.wrap(secret, *owner)

    def unwrap(self, wrapped: bytes, epoch: int, *owner: bytes | str) -> bytes:
        """The secret; Unavailable when it does not open, or this ring lacks its epoch."""
        if (wrapper := self._wrappers.get(epoch)) is None:
            raise Unavailable(
                f"a stored secret was wrapped under key-encryption key number {epoch}, which is not here",
                remedy="add that key to keys.kek (DIR/secrets/kek), below the one in use, and restart the server",
            )
        return wrapper.unwrap(wrapped, epoch, *owner)

    def unwrap_marked(self, wrapped: bytes, *owner: bytes | str) -> bytes:
        """A thing that says by itself what it was wrapped under, as earlier versions wrapped transfers' secrets."""
        if len(wrapped) == _BARE:
            return self.unwrap(wrapped, 1, *owner)
        start = len(_MARK) + _EPOCH_BYTES
        if not wrapped.startswith(_MARK) or len(wrapped) < start:
            raise Unavailable("a wrapped secret has a form that this version does not know")
        return self.unwrap(wrapped[start:], int.from_bytes(wrapped[len(_MARK) : start], "big"), *owner)
