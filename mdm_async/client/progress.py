"""How a transfer tells that it goes on."""

from collections.abc import Callable
from typing import TypeAlias

OnBytes: TypeAlias = Callable[[int], None]
"""Told how many plaintext bytes have come or gone since it was last told; negative when they must again."""
