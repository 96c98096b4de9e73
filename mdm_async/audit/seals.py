"""Seals: one signed line of JSON for some rows, that names the line before it by its hash."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.audit import merkle, row_index
from mdm_async.audit.keys import Keys, key_id
from mdm_async.audit.rows import Row, canonical
from mdm_async.errors import BadSeal


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a seal says of its rows, which are in order of their ids."""

    installation: str
    seal: int
    """Its number; they count 1, 2, 3, …"""
    at: int
    """Microseconds since 1970, as those of rows."""
    count: int
    root: str
    """Merkle root over the rows, hex."""
    rows: str
    """SHA-256 of the row index kept beside, hex."""
    first_id: int
    last_id: int
    first_at: int
    last_at: int
    previous: str
    """SHA-256 of the line before, hex; empty in the first."""
    key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises BadSeal unless the line is, byte for byte, one that `sign` writes. Looks at no signature."""
        try:
            tree = orjson.loads(text)
            signature = tree.pop("signature")
            seal = cls(**tree)
            base64.b64decode(signature, validate=True)
            exact = _line(seal, signature) == text
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError, binascii.Error):
            exact = False
        if not exact or not seal._is_typed():
            raise BadSeal("a seal is malformed")
        return seal

    def _is_typed(self) -> bool:
        return all(type(getattr(self, name)) is kind for name, kind in type(self).__annotations__.items())


def make(
    rows: Sequence[Row],
    *,
    installation: str,
    number: int,
    at: int,
    previous: str | None,
    private: Ed25519PrivateKey,
) -> tuple[str, bytes]:
    """The signed line for rows in order of their ids, and the row index to be kept beside it.

    `previous`: the line before; None for the first.
    """
    leaves = [merkle.leaf(canonical(row)) for row in rows]
    index = row_index.encode(zip((row["id"] for row in rows), leaves, strict=True))
    seal = Seal(
        installation=installation,
        seal=number,
        at=at,
        count=len(rows),
        root=merkle.root(leaves).hex(),
        rows=row_index.digest(index),
        first_id=rows[0]["id"],
        last_id=rows[-1]["id"],
        first_at=rows[0]["at"],
        last_at=rows[-1]["at"],
        previous=line_hash(previous) if previous is not None else "",
        key=key_id(private.public_key()),
    )
    return sign(seal, private), index


def sign(seal: Seal, private: Ed25519PrivateKey) -> str:
    """The line: JSON with sorted keys; `signature` is over the same JSON without it."""
    return _line(seal, base64.b64encode(private.sign(_signed(seal))).decode())


def is_signed(text: str, keys: Keys) -> bool:
    """Whether a well-formed line is signed by the key that it names, and that is one of these."""
    seal, signature = Seal.parse(text), orjson.loads(text)["signature"]
    public = keys.get(seal.key)
    try:
        if public is not None:
            public.verify(base64.b64decode(signature), _signed(seal))
    except InvalidSignature:
        return False
    return public is not None


def line_hash(text: str) -> str:
    """What the next seal calls this line by."""
    return hashlib.sha256(text.encode()).hexdigest()


def _signed(seal: Seal) -> bytes:
    return orjson.dumps(asdict(seal), option=orjson.OPT_SORT_KEYS)


def _line(seal: Seal, signature: str) -> str:
    tree = {**asdict(seal), "signature": signature}
    return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS).decode()
