"""How long tests wait for what must happen, and what the servers under test bear with.

Machines stand still for ten seconds and more. Who waits goes on as soon as it has happened; so only what fails takes
long. A test that is about a server's patience sets that itself.
"""

PATIENCE = 60.0
"""Seconds."""

PATIENT: dict[str, dict[str, int]] = {
    "database": {
        "acquire_timeout": 60,
        "statement_timeout": 60,
        "control_statement_timeout": 60,
        "lock_timeout": 60,
        "idle_timeout": 300,
    },
    "limits": {"head_seconds": 300, "idle_seconds": 300, "pace_seconds": 300},
    "transfers": {"revocation_grace": 300},
}
"""Settings of servers under test. What ends for another reason ends long before any of these are over."""
