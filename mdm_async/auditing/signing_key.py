"""The key that seals are signed with: made at first start beside the other secrets, its public half for everybody."""

from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.audit.keys import fresh_private, key_id, parse_private, parse_public, public_pem
from mdm_async.errors import BadRequest, UnsafeSettings
from mdm_async.keys import files
from mdm_async.private_files import demand_private
from mdm_async.settings import Settings

_log = structlog.get_logger()


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """From `audit.key_file`, or DIR/secrets/audit.key. DIR/audit/audit.pub gets its public key, after those before.

    Raises UnsafeSettings.
    """
    private = parse_private(_read(settings))
    _tell(settings.data / "audit" / "audit.pub", private)
    return private


def _read(settings: Settings) -> str:
    given = settings.audit.key_file
    if given is None:
        path = files.secrets_directory(settings.secrets_directory) / "audit.key"
        pem, made = files.read_or_create(path, fresh_private())
        if made:
            _log.warning(
                "made a key that seals the audit trail; keep its public key, and the published seals, elsewhere",
                file=str(path),
                public=str(settings.data / "audit" / "audit.pub"),
            )
        return pem
    return read_key_file(given)


def read_key_file(given: Path) -> str:
    """Raises UnsafeSettings."""
    try:
        demand_private(given)
        return files.read_text(given)
    except OSError as why:
        raise UnsafeSettings(
            f"audit.key_file cannot be read: {why.strerror}", remedy="make a key with `mdm audit keygen`"
        ) from why


def _tell(path: Path, private: Ed25519PrivateKey) -> None:
    """Older keys stay: older seals are verified with them."""
    public = private.public_key()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = path.read_text() if path.exists() else ""
    try:
        known = bool(before) and key_id(public) in parse_public([before])
    except BadRequest as why:
        raise UnsafeSettings(
            f"{path} does not hold public keys", remedy="remove it; it is made anew"
        ) from why
    if not known:
        with open(path, "a") as file:
            file.write(public_pem(public))
