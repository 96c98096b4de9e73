"""Where an answer to a query can be gone on with: behind a name in a directory, as text.

It has the directory's GUID, and no number by which things here are counted.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from mdm_async.errors import BadRequest


def encode(directory: UUID, name: str) -> str:
    return urlsafe_b64encode(directory.bytes + name.encode()).decode().rstrip("=")


def decode(cursor: str) -> tuple[UUID, str]:
    """Raises BadRequest for what is no cursor."""
    try:
        told = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        directory, name = UUID(bytes=told[:16]), told[16:].decode()
        if name and "\0" not in name and encode(directory, name) == cursor:
            return directory, name
    except ValueError:  # binascii.Error and UnicodeError are ValueErrors
        pass
    raise lost()


def lost() -> BadRequest:
    return BadRequest("the cursor leads nowhere here", remedy="ask from the beginning")
