"""Tokens of locks that a request shows: what it changes may be locked by these. Postgres itself asks for them."""

from contextvars import ContextVar
from typing import Final
from uuid import UUID

shown_locks: ContextVar[frozenset[UUID]] = ContextVar("shown_locks", default=frozenset())

LOCKED: Final = "MD423"
"""The SQLSTATE of a change to what is locked."""
