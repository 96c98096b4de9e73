"""How long tests wait for what must happen, and what the servers under test bear with.

Machines stand still for ten seconds and more. Who waits goes on as soon as it has happened; so only what fails takes
long. A test that is about a server's patience sets that itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mdm_async.postgres.database import Timeouts

PATIENCE = 60.0
"""Seconds."""

_NEVER = 300
"""Seconds, too: what a test waits for comes for another reason, long before these are over."""
PATIENT: dict[str, dict[str, int]] = {
    "database": {
        "acquire_timeout": _NEVER,
        "statement_timeout": _NEVER,
        "control_statement_timeout": _NEVER,
        "lock_timeout": _NEVER,
        "idle_timeout": _NEVER,
    },
    "limits": {"head_seconds": _NEVER, "idle_seconds": _NEVER, "pace_seconds": _NEVER},
    "transfers": {"revocation_grace": _NEVER},
}
"""Settings of servers under test."""
TIMEOUTS = Timeouts(_NEVER, _NEVER, _NEVER)
PATIENT_DATABASE: dict[str, Any] = {"timeouts": TIMEOUTS, "acquire_timeout": _NEVER}
"""Of databases that tests open by themselves."""
_PATIENT_PARTS = (
    "mdm_async.client.upload._ABORT_SECONDS",
    "mdm_async.client.wire._CONNECT_SECONDS",
    "mdm_async.confined.processes._REAPED",
    "mdm_async.identity.issuer_documents.SECONDS",
    "mdm_async.keys.proofs._PATIENCE",
    "mdm_async.keys.share_store.PATIENCE",
    "mdm_async.keys.share_store._OPENING",
    "mdm_async.keys.split.PATIENCE",
    "mdm_async.web.copying.push._FAREWELL",
)
"""What has no setting."""


@contextmanager
def patient_parts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in _PATIENT_PARTS:
            patch.setattr(name, PATIENCE)
        yield
