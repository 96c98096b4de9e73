"""The cursors of listings: where a page ended, as text that means nothing to whoever keeps it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from mdm_async.errors import BadRequest


def encode(name: str) -> str:
    """The cursor behind this name."""
    return urlsafe_b64encode(name.encode()).decode().rstrip("=")


def decode(cursor: str) -> str:
    """The name, which need not be there any more. Raises BadRequest for what is no cursor."""
    try:
        name = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        if name and "\0" not in name and encode(name) == cursor:
            return name
    except ValueError:  # binascii.Error and UnicodeError are ValueErrors
        pass
    raise BadRequest("the cursor is none of this server's", remedy="list from the beginning")
