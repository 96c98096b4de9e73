"""Where seals are published: appended to a file that the database cannot reach, and sent to a syslog if one is named.

The file is also how a node knows what it has published.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import orjson

from mdm_async.errors import UnsafeSettings

_TAIL = 64 << 10
_PRIORITY = 13 * 8 + 5
"""Log audit, notice (RFC 5424 §6.2.1)."""


@dataclass(frozen=True, slots=True)
class Gazette:
    """Seals as this node publishes them. Its methods block: they are for the disk's pool."""

    file: Path
    syslog: tuple[str, int] | None = None

    @classmethod
    def of(cls, setting: str | None, data: Path) -> Self:
        """From `audit.seals`. Raises UnsafeSettings."""
        directory = data / "audit"
        if setting is None or not setting.startswith("syslog:"):
            return cls(Path(setting) if setting is not None else directory / "seals.jsonl")
        host, _, port = setting.removeprefix("syslog:").rpartition(":")
        if not host or not port.isascii() or not port.isdigit():
            raise UnsafeSettings(
                "audit.seals names no syslog", remedy="write syslog:<host>:<port>, or the path of a file"
            )
        return cls(directory / "seals.jsonl", (host.strip("[]"), int(port)))

    def last(self) -> tuple[int, str] | None:
        """Number and line of the last seal published; a line torn by a crash counts as not written."""
        try:
            with open(self.file, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL))
                lines = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return None
        for line in reversed(lines):
            try:
                return int(orjson.loads(line)["seal"]), line.decode()
            except (ValueError, KeyError, TypeError):
                continue
        return None

    def append(self, lines: Sequence[str]) -> None:
        """Publish; when it returns, they are on the disk."""
        if self.syslog is not None:
            _send(self.syslog, lines)
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            data = memoryview(("\n" * torn + "".join(f"{line}\n" for line in lines)).encode())
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _send(to: tuple[str, int], lines: Sequence[str]) -> None:
    """One datagram a seal (RFC 5424 over RFC 5426). Whether they arrive, nobody says."""
    family, kind, _, _, address = socket.getaddrinfo(*to, type=socket.SOCK_DGRAM)[0]
    name = socket.gethostname()[:255] or "-"
    with socket.socket(family, kind) as sender:
        for line in lines:
            time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            sender.sendto(f"<{_PRIORITY}>1 {time} {name} mdm - seal - {line}".encode(), address)
