"""Answers in parts (RFC 2046 §5.1, RFC 2387). Nobody looks into the parts: no boundary stands in them but by chance,
of which there is one in 2 ** 128."""

import secrets
from dataclasses import dataclass, field
from typing import Final

from mdm_async.web.dicomweb.accept import RELATED

HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Parts:
    """Of one answer; `kind`: without parameters."""

    kind: str
    boundary: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        return HEADERS | {"Content-Type": f'{RELATED}; type="{self.kind}"; boundary={self.boundary}'}

    def preface(self, content_type: str) -> bytes:
        """What stands before a part."""
        return f"\r\n--{self.boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()

    @property
    def end(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()
