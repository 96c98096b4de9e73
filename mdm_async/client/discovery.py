"""Where the server is and which credential to show it.

The server is that of MDM_URL, else one on this machine by its socket (`local_server`), else what listens on the
default port. That one nobody named and nothing proves: anybody on this machine may listen there, so it is shown no
token and sent no image. The token comes from WLCG bearer-token discovery (BEARER_TOKEN, BEARER_TOKEN_FILE,
$XDG_RUNTIME_DIR/bt_u<uid>, /tmp/bt_u<uid>).
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from yarl import URL

from mdm_async.client.channel import parse_url
from mdm_async.client.local_server import LocalServer, find_local
from mdm_async.errors import Unauthenticated

DEFAULT_URL = "http://127.0.0.1:8085"
SHARED_TMP = Path("/tmp")  # noqa: S108 — the place that WLCG bearer-token discovery names
_MAX_TOKEN_BYTES = 64 * 1024


def server_url(environ: Mapping[str, str] = os.environ) -> URL:
    """MDM_URL, else the default port on this machine."""
    return parse_url(environ.get("MDM_URL") or DEFAULT_URL)


def is_named(url: URL | str | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody said which server it is."""
    return url is not None or bool(environ.get("MDM_URL"))


def find_local_server(
    data: Path | None = None, environ: Mapping[str, str] = os.environ
) -> LocalServer | None:
    """The one whose directory is given, else, unless MDM_URL names another, the one that is found here."""
    if data is not None:
        return LocalServer(data, was_named=True)
    return None if environ.get("MDM_URL") else find_local(environ)


def find_token(environ: Mapping[str, str] = os.environ, *, shared_tmp: Path = SHARED_TMP) -> str | None:
    """The credential to show, or None when there is none.

    A token or a file that the environment names must be usable (Unauthenticated); files at the usual places
    are passed over when they are missing, not ours, or writable by others.
    """
    if token := environ.get("BEARER_TOKEN", "").strip():
        return token
    if named := environ.get("BEARER_TOKEN_FILE"):
        return _read_named(Path(named))
    places = [shared_tmp / f"bt_u{os.geteuid()}"]
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        places.insert(0, Path(runtime) / f"bt_u{os.geteuid()}")
    return next(filter(None, map(_read_ours, places)), None)


def _read_named(path: Path) -> str:
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise Unauthenticated("the file that BEARER_TOKEN_FILE names cannot be read") from None
    if not token:
        raise Unauthenticated("the file that BEARER_TOKEN_FILE names is empty")
    return token


def _read_ours(path: Path) -> str | None:
    """The token in a file that only we could have written; no link is followed at its last component."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        writable_by_others = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or writable_by_others:
            return None
        return file.read(_MAX_TOKEN_BYTES).decode("ascii", "ignore").strip() or None
