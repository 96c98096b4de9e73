"""Key-encryption keys (KEKs) that custodians hold: of so many shares any `threshold` give them.

Each share names the digests of all that were made with it. So one that was spoilt, or is of another split, is told
from the others before it is used, and by itself.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson

from mdm_async.errors import WrongContent
from mdm_async.keys import shamir
from mdm_async.keys.wrap import KEY_BYTES

_FORMAT = 1
_DIGEST = 32
LONGEST = 32 << 10
"""Bytes of a share's text: 255 digests in hexadecimal, and some keys."""


@dataclass(frozen=True, slots=True, repr=False)
class CustodyShare:
    """What one custodian holds of the KEKs of `store` (of the catalog's own: '')."""

    store: str
    threshold: int
    digests: tuple[bytes, ...]
    index: int
    value: bytes

    @property
    def split(self) -> str:
        """Names all the shares that were made together."""
        told = b"".join([self.threshold.to_bytes(1, "big"), *self.digests, self.store.encode()])
        return hashlib.sha256(b"mdm split" + told).hexdigest()[:16]

    @property
    def count(self) -> int:
        return len(self.digests)

    def text(self) -> str:
        """One line of JSON; it is a secret."""
        return orjson.dumps(
            {
                "mdmKeyShare": _FORMAT,
                "store": self.store,
                "threshold": self.threshold,
                "index": self.index,
                "value": b64encode(self.value).decode(),
                "digests": [each.hex() for each in self.digests],
            }
        ).decode()

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Raises WrongContent for what is no share, or was one, and tells no byte of it."""
        if len(text) > LONGEST:
            raise _no_share()
        try:
            share = cls._read(orjson.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, NotBase64):
            raise _no_share() from None
        if not hmac.compare_digest(_digest(share.index, share.value), share.digests[share.index - 1]):
            raise WrongContent(
                f"share {share.index} of split {share.split} is not what it was when it was made",
                remedy="restore its file, or take another custodian's",
            )
        return share

    @classmethod
    def _read(cls, told: dict[str, Any]) -> Self:
        if told["mdmKeyShare"] != _FORMAT or not isinstance(told["store"], str):
            raise ValueError
        digests = tuple(bytes.fromhex(each) for each in told["digests"])
        value = b64decode(told["value"], validate=True)
        share = cls(told["store"], int(told["threshold"]), digests, int(told["index"]), value)
        numbers_fit = 2 <= share.threshold <= share.count <= shamir.MOST and 1 <= share.index <= share.count
        if not numbers_fit or not value or len(value) % KEY_BYTES or {len(d) for d in digests} != {_DIGEST}:
            raise ValueError
        return share


def split_among(keks: Sequence[bytes], store: str, threshold: int, count: int) -> list[CustodyShare]:
    """A share for each of `count` custodians. `keks`: the one in use first. Raises ValueError for what cannot work."""
    shares = shamir.split(b"".join(keks), threshold, count)
    digests = tuple(_digest(share.index, share.value) for share in shares)
    return [CustodyShare(store, threshold, digests, share.index, share.value) for share in shares]


def joined(shares: Sequence[CustodyShare]) -> list[bytes]:
    """The KEKs, of as many shares of one split as its threshold or more."""
    secret = shamir.combine([shamir.Share(share.index, share.value) for share in shares])
    return [secret[at : at + KEY_BYTES] for at in range(0, len(secret), KEY_BYTES)]


def _digest(index: int, value: bytes) -> bytes:
    # It tells nothing of the share, which is as random as a key.
    return hashlib.sha256(b"mdm share" + index.to_bytes(1, "big") + value).digest()


def _no_share() -> WrongContent:
    return WrongContent("this is no share of a key-encryption key", remedy="`mdm keys split` makes them")
