"""What was pruned of a trail: a signed statement in an act of the trail, which a seal covers as it does any other.

Whoever owns the database may add such an act, and cannot sign it: without one, seals that are gone are found.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.audit.keys import Keys, key_id

ACT: Final = "audit prune"
DETAIL: Final = "pruned"
"""Of the act's details, what holds the statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """All seals up to `seals` and their rows. Those before `first_seal` had been pruned already."""

    installation: str
    first_seal: int
    seals: int
    count: int
    """Rows under all seals up to that one."""
    rows: int
    """Rows that went now."""
    first_id: int
    last_id: int
    before: int
    """What was asked for: what was sealed before then (microseconds since 1970)."""
    root: str
    """Merkle root over the lines of the seals that went now, hex."""
    last: str
    """SHA-256 of the last of these lines, hex: what the next seal calls it by."""

    def signed(self, private: Ed25519PrivateKey) -> str:
        """A line of JSON with sorted keys; `signature` is over the same JSON without it."""
        tree = {**asdict(self), "key": key_id(private.public_key())}
        signature = base64.b64encode(private.sign(_dumped(tree))).decode()
        return _dumped({**tree, "signature": signature}).decode()

    @classmethod
    def verified(cls, text: object, keys: Keys) -> Self | None:
        """None when it is not signed by one of these keys."""
        try:
            tree = orjson.loads(text) if isinstance(text, str) else {}
            signature = base64.b64decode(tree.pop("signature"), validate=True)
            keys[tree["key"]].verify(signature, _dumped(tree))
            del tree["key"]
            return cls(**tree)
        except (
            orjson.JSONDecodeError,
            binascii.Error,
            InvalidSignature,
            AttributeError,
            LookupError,
            TypeError,
        ):
            return None

    def covers(self, seal: int, line_hash: str) -> bool:
        """Whether a seal that is gone was pruned; where it is the last of them, by its line."""
        return seal < self.seals or (seal == self.seals and line_hash == self.last)


def _dumped(tree: Mapping[str, Any]) -> bytes:
    return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
