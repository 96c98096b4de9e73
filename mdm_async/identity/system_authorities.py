"""Whom this server trusts when it asks others over TLS."""

import ssl
from pathlib import Path


def trusting(ca_directory: Path | None) -> ssl.SSLContext | bool:
    """The system's authorities and those of `ca_directory` (<hash>.0), as aiohttp takes them: True is the system's,
    which it reads once for all, for that takes as long as many requests."""
    if ca_directory is None:
        return True
    context = ssl.create_default_context()
    context.load_verify_locations(capath=ca_directory)
    return context
