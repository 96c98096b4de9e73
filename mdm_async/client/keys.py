"""The key store, as a server tells of it to administrators."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.errors import WrongContent

_PATH: Final = "admin/v1/keys"


class Keys:
    """`mdm.keys`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def status(self) -> Json:
        """Its databases, and how much is wrapped under which key-encryption key, in the server's words."""
        return await self._wire.operate("GET", _PATH)


@contextmanager
def understood() -> Iterator[None]:
    """Around reading such an answer: another server's is WrongContent."""
    try:
        yield
    except (KeyError, TypeError, AttributeError):
        raise WrongContent(
            "the server's answer is not understood", remedy="is it the URL of an mdm server?"
        ) from None
