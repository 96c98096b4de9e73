"""The key store, as a server tells of it to administrators."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.errors import WrongContent

_PATH: Final = "admin/v1/keys"
_UNSEAL: Final = "admin/v1/keys/unseal"


class Keys:
    """`mdm.keys`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def status(self) -> Json:
        """Its databases, and how much is wrapped under which key-encryption key, in the server's words."""
        return await self._wire.operate("GET", _PATH)

    async def shares(self) -> Json:
        """Which of its custodians' shares have come, by store; a sealed server tells that, too."""
        return await self._wire.operate("GET", _UNSEAL)

    async def unseal(self, share: str) -> Json:
        """Give it a share, as `mdm keys split` made it; as `shares`. WrongContent, Conflict, NotFound."""
        return await self._wire.operate("POST", _UNSEAL, {"share": share})

    async def forget_shares(self) -> Json:
        """Have it forget those that came and were not enough; as `shares`."""
        return await self._wire.operate("DELETE", _UNSEAL)


@contextmanager
def understood() -> Iterator[None]:
    """Around reading such an answer: another server's is WrongContent."""
    try:
        yield
    except (KeyError, TypeError, AttributeError):
        raise WrongContent(
            "the server's answer is not understood", remedy="is it the URL of an mdm server?"
        ) from None
