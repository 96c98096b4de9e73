"""The secrets directory: made at first start, 0700, each file 0600."""

import base64
import os
from pathlib import Path

from mdm_async.errors import UnsafeSettings
from mdm_async.keys.wrap import KEY_BYTES
from mdm_async.private_files import demand_private


def secrets_directory(directory: Path) -> Path:
    """It, made if missing. Raises UnsafeSettings when others may enter it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    demand_private(directory)
    return directory


def read_or_create(path: Path, fresh: str) -> tuple[str, bool]:
    """The file's text, and whether it was made now with `fresh` in it: whole and on disk, or not at all."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(fresh + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        else:
            sync_directory(path.parent)
            return fresh, True
        finally:
            draft.unlink()
    demand_private(path)
    return read_text(path).strip(), False


def read_text(path: Path) -> str:
    """Raises UnsafeSettings for what is not text, such as a key that was never encoded, and tells no byte of it."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        raise UnsafeSettings(f"{path} is not text", remedy="restore that file") from None


def sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def decode_keks(text: str, where: str) -> list[bytes]:
    """Key-encryption keys, one a line: the one in use, then older ones. Raises UnsafeSettings, and tells no byte."""
    keks = [_decode_kek(line, where) for line in text.split()]
    if not keks:
        raise UnsafeSettings(f"{where} holds no key-encryption key", remedy="restore it")
    return list(dict.fromkeys(keks))


def _decode_kek(text: str, where: str) -> bytes:
    try:
        kek = base64.b64decode(text, validate=True)
    except ValueError:  # Of characters too that are not ASCII.
        kek = b""
    if len(kek) != KEY_BYTES:
        raise UnsafeSettings(
            f"a key-encryption key in {where} is not {KEY_BYTES} bytes in base64", remedy="restore it"
        )
    return kek


def fresh_kek() -> str:
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()
