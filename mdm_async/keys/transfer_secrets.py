"""Secrets that the catalog keeps for the key store: of transfers and of macaroons, wrapped and bound to their rows."""

from uuid import UUID

from mdm_async.keys.ring import KeyRing


class TransferSecrets:
    """That part of every key store of ours; it waits for nothing."""

    @property
    def _transfer_ring(self) -> KeyRing:
        raise NotImplementedError

    def wrap_grant(self, secret: bytes, request: UUID, item: int) -> bytes:
        return self._transfer_ring.wrap_marked(secret, "grant", request.bytes, item.to_bytes(4, "big"))

    def unwrap_grant(self, wrapped: bytes, request: UUID, item: int) -> bytes:
        return self._transfer_ring.unwrap_marked(wrapped, "grant", request.bytes, item.to_bytes(4, "big"))

    def wrap_macaroon(self, root_key: bytes, macaroon: UUID, made: bytes) -> bytes:
        return self._transfer_ring.wrap_marked(root_key, "macaroon", macaroon.bytes, made)

    def unwrap_macaroon(self, wrapped: bytes, macaroon: UUID, made: bytes) -> bytes:
        return self._transfer_ring.unwrap_marked(wrapped, "macaroon", macaroon.bytes, made)
