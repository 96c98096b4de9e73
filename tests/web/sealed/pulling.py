"""Sealed transfers pulled for a recipient, to be opened by us or by the reference."""

import asyncio
import base64
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdm_async.client.sealed_reader import SealedReader
from mdm_async.crypt4gh.exchange import public_key
from mdm_async.crypt4gh.layout import SealedPart


@dataclass(frozen=True)
class Pair:
    """A recipient's keys: in memory, and in files for the reference tool."""

    private: bytes
    secret_file: Path
    public_file: Path

    @property
    def recipient(self) -> str:
        return base64.b64encode(public_key(self.private)).decode()


@dataclass(frozen=True)
class Pulled:
    """A sealed transfer as it was announced and as it came."""

    line: dict[str, Any]
    stream: bytes
    private: bytes

    def strict_reader(self, **changed: Any) -> SealedReader:
        told: dict[str, Any] = {
            "parts": [
                SealedPart(part["plainSize"], bytes.fromhex(part["noncePrefix"]), padded=part["padded"])
                for part in self.line["sealedParts"]
            ],
            "recipient_private": self.private,
            "sender_public": base64.b64decode(self.line["senderPublicKey"]),
            "sealed_size": self.line["fileSize"],
            "plain_size": self.line["plainSize"],
        } | changed
        return SealedReader(told.pop("parts"), **told)

    def opened(self, stream: bytes | None = None) -> bytes:
        reader = self.strict_reader()
        plain = b"".join(reader.feed(self.stream if stream is None else stream))
        reader.close()
        return plain


async def reference(*arguments: str | Path, given: bytes) -> bytes:
    """The reference's `crypt4gh` command."""
    code = "import sys; from crypt4gh.__main__ import main; main(sys.argv[1:])"
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = await asyncio.to_thread(subprocess.run, command, input=given, capture_output=True, check=True)
    return done.stdout
