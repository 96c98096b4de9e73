"""Merkle trees as in RFC 6962 §2.1: leaves and nodes are hashed apart, so that neither can pass for the other."""

import hashlib
from collections.abc import Iterable


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


class Tree:
    """One that grows leaf by leaf. Only the roots of its complete subtrees are held: as many as its size has bits."""

    def __init__(self) -> None:
        self._complete: list[tuple[int, bytes]] = []
        """How many leaves each has, and its root; the greatest first."""

    def add(self, leaf: bytes) -> None:
        size, node = 1, leaf
        while self._complete and self._complete[-1][0] == size:
            size, node = 2 * size, _join(self._complete.pop()[1], node)
        self._complete.append((size, node))

    def root(self) -> bytes:
        """Of no leaves: the hash of nothing."""
        if not self._complete:
            return hashlib.sha256().digest()
        *before, (_, node) = self._complete
        for _, left in reversed(before):
            node = _join(left, node)
        return node


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over hashed leaves, in their order."""
    tree = Tree()
    for one in leaves:
        tree.add(one)
    return tree.root()


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
