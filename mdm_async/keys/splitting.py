"""Secrets divided into shares and put together again, thousands at once; and which share is wrong, if one is.

What is divided is the secret and, behind it, a check of it. A store could hold a share that is wrapped as it should
be and yet is none of this secret: then the check fails, and other shares are tried.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import TypeAlias
from uuid import UUID

from mdm_async.keys import shamir
from mdm_async.keys.row_cipher import Held
from mdm_async.keys.shamir import Share
from mdm_async.keys.store import SECRET_BYTES

Key: TypeAlias = tuple[UUID, str]
"""Registration and kind."""
Found: TypeAlias = Mapping[int, Mapping[Key, Held]]
"""Shares by their index."""

_CHECK_BYTES = 8
_SHARE_BYTES = SECRET_BYTES + _CHECK_BYTES
_TRIED = 500
"""Sets of shares that are tried at the most, for one secret of which a share is wrong."""


@dataclass(slots=True, repr=False)
class Joined:
    secrets: dict[Key, Held] = field(default_factory=dict)
    by: dict[tuple[int, ...], list[Key]] = field(default_factory=dict)
    """The secrets' keys, by the indices of the shares that gave them."""
    wrong: list[tuple[Key, int]] = field(default_factory=list)
    """Shares that opened and yet are none of their secret's: its key, and their index."""


def divide(secrets: Sequence[Held], threshold: int, count: int) -> dict[int, list[Held]]:
    """Shares 1 to `count` of all of them, by index."""
    long = b"".join(one.value + _check(one, one.value) for one in secrets)
    return {
        share.index: [_with(one, value) for one, value in zip(secrets, _pieces(share.value), strict=True)]
        for share in shamir.split(long, threshold, count)
    }


def join(found: Found, keys: Iterable[Key], threshold: int) -> Joined:
    """Those of `keys` that enough of the shares give."""
    joined = Joined()
    groups: dict[tuple[int, ...], list[Key]] = {}
    for key in keys:
        having = tuple(sorted(index for index, shares in found.items() if _is_share(shares.get(key))))
        if len(having) >= threshold:
            groups.setdefault(having, []).append(key)
    for having, group in groups.items():
        for key, secret in _combined(found, having[:threshold], group):
            if secret is not None:
                _take(joined, having[:threshold], key, secret)
            else:
                _try_others(joined, found, having, key, threshold)
    return joined


def shares_of(found: Found, joined: Joined, index: int) -> list[Held]:
    """The shares of that index of what was joined from what was found."""
    return [
        _with(joined.secrets[key], value)
        for chosen, keys in joined.by.items()
        for key, value in zip(keys, _pieces(shamir.at(_long(found, chosen, keys), index).value), strict=True)
    ]


def _try_others(joined: Joined, found: Found, having: tuple[int, ...], key: Key, threshold: int) -> None:
    for chosen in islice(combinations(having, threshold), _TRIED):
        ((_, secret),) = _combined(found, chosen, [key])
        if secret is None:
            continue
        _take(joined, chosen, key, secret)
        good = _long(found, chosen, [key])
        for index in having:
            share = found[index][key]
            if share.image != secret.image or shamir.at(good, index).value != share.value:
                joined.wrong.append((key, index))
        return


def _take(joined: Joined, chosen: tuple[int, ...], key: Key, secret: Held) -> None:
    joined.secrets[key] = secret
    joined.by.setdefault(chosen, []).append(key)


def _combined(found: Found, chosen: tuple[int, ...], keys: Sequence[Key]) -> list[tuple[Key, Held | None]]:
    """None for those that these shares do not give."""
    combined: list[tuple[Key, Held | None]] = []
    for key, piece in zip(keys, _pieces(shamir.combine(_long(found, chosen, keys))), strict=True):
        like, value = found[chosen[0]][key], piece[:SECRET_BYTES]
        agreed = all(found[index][key].image == like.image for index in chosen)
        right = agreed and piece[SECRET_BYTES:] == _check(like, value)
        combined.append((key, _with(like, value) if right else None))
    return combined


def _long(found: Found, chosen: tuple[int, ...], keys: Sequence[Key]) -> list[Share]:
    """These shares of these secrets, one behind the other."""
    return [Share(index, b"".join(found[index][key].value for key in keys)) for index in chosen]


def _pieces(long: bytes) -> list[bytes]:
    return [long[start : start + _SHARE_BYTES] for start in range(0, len(long), _SHARE_BYTES)]


def _is_share(held: Held | None) -> bool:
    return held is not None and len(held.value) == _SHARE_BYTES


def _with(held: Held, value: bytes) -> Held:
    return Held(held.registration, held.image, held.kind, value)


def _check(of: Held, secret: bytes) -> bytes:
    bound = b"mdm split secret" + of.registration.bytes + of.image.bytes + of.kind.encode()
    return hashlib.sha256(bound + secret).digest()[:_CHECK_BYTES]
