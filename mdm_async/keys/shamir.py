"""Shamir's secret sharing over GF(256): of n shares any m give the secret, and fewer say nothing about it.

Each byte is the value at 0 of a random polynomial of degree m - 1; a share is its value at the share's index (1 to
255). The field is that of AES (x^8 + x^4 + x^3 + x + 1), in which others compute too. Secrets of any length, such as
those of thousands of images behind each other, are shared in one go: multiplying by a constant is a table.

Shares are not authenticated: too few, or a wrong one among them, give a wrong secret and no error. Whoever keeps
shares wraps each.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

MOST = 255
"""Shares of one secret, and indices: the field's elements without 0, where the secret lies."""

_POLYNOMIAL = 0x11B


@dataclass(frozen=True, slots=True, repr=False)
class Share:
    """As long as its secret. Two shares of one secret have two indices."""

    index: int
    value: bytes


def split(secret: bytes, threshold: int, count: int) -> list[Share]:
    """Shares 1 to `count`, any `threshold` of which give the secret. Raises ValueError for what cannot work."""
    if not 2 <= threshold <= count <= MOST:
        raise ValueError(
            f"a threshold of {threshold} with {count} shares cannot work: 2 to {MOST}, no more than shares"
        )
    coefficients = [os.urandom(len(secret)) for _ in range(threshold - 1)]
    return [Share(index, _evaluate([*coefficients, secret], index)) for index in range(1, count + 1)]


def combine(shares: Sequence[Share]) -> bytes:
    """The secret, of as many shares as its threshold or more. Raises ValueError when they cannot be of one secret."""
    return _interpolate(shares, 0)


def at(shares: Sequence[Share], index: int) -> Share:
    """The share of that index, from as many others as the threshold or more: what `split` gave."""
    if not 1 <= index <= MOST:
        raise ValueError(f"a share's index is from 1 to {MOST}")
    return Share(index, _interpolate(shares, index))


def _evaluate(coefficients: Sequence[bytes], x: int) -> bytes:
    """Horner's scheme, the highest coefficient first."""
    value, *rest = coefficients
    for coefficient in rest:
        value = _sum(value.translate(_times(x)), coefficient)
    return value


def _interpolate(shares: Sequence[Share], x: int) -> bytes:
    """Lagrange's polynomial at `x`."""
    indices = [share.index for share in shares]
    if len(set(indices)) < len(indices) or not indices or not all(1 <= index <= MOST for index in indices):
        raise ValueError("shares have indices from 1 to 255, each another one")
    if len({len(share.value) for share in shares}) != 1:
        raise ValueError("shares of one secret are of one length")
    value = bytes(len(shares[0].value))
    for share in shares:
        weight = 1
        for other in indices:
            if other != share.index:
                weight = _product(weight, _product(x ^ other, _inverse(share.index ^ other)))
        value = _sum(value, share.value.translate(_times(weight)))
    return value


def _sum(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a) ^ int.from_bytes(b)).to_bytes(len(a))


def _product(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a > 0xFF:
            a ^= _POLYNOMIAL
        b >>= 1
    return product


@cache
def _inverse(a: int) -> int:
    """Every element but 0 to the power 255 is 1."""
    inverse = 1
    for _ in range(254):
        inverse = _product(inverse, a)
    return inverse


@cache
def _times(constant: int) -> bytes:
    """What each byte becomes when it is multiplied by the constant."""
    return bytes(_product(constant, byte) for byte in range(256))
