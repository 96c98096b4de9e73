"""Headers that a client wants the other server to be sent: `TransferHeaderX: v` becomes `X: v`. Pure."""

import re
from collections.abc import Iterable

from mdm_async.errors import BadRequest

_PREFIX = "transferheader"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"[\t -~\xa0-\ud7ff\ue000-\U0010ffff]*\Z")
_OURS = frozenset(
    {
        *("host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("content-length", "content-encoding", "content-range", "content-type", "content-md5"),
        *("accept-encoding", "range", "if-range", "if-match", "if-none-match", "if-modified-since"),
        *(
            "if-unmodified-since",
            "digest",
            "repr-digest",
            "content-digest",
            "want-digest",
            "want-repr-digest",
        ),
        *("proxy-authorization", "proxy-connection", "source", "destination", "overwrite", "depth"),
        *("http2-settings", "max-forwards"),
    }
)
"""What this server says itself, or what would change where a message begins and ends."""
_ONCE = "authorization"

Headers = tuple[tuple[str, str], ...]


def carried(given: Iterable[tuple[str, str]]) -> Headers:
    """Those for the other server. Raises BadRequest."""
    found = []
    given = list(given)
    is_tagged = any(name.lower() == "scitag" for name, _ in given)
    for name, value in given:
        if not name.lower().startswith(_PREFIX):
            continue
        own = name[len(_PREFIX) :]
        if _NAME.match(own) is None or _VALUE.match(value) is None:
            raise BadRequest("a TransferHeader has no name, or a value that no header may have")
        if own.lower() in _OURS:
            raise BadRequest(
                f"the header {own.lower()} is not one that can be passed on",
                remedy=f"drop TransferHeader{own}",
            )
        # The header that stands beside it is about the whole transfer, and counts.
        if not (is_tagged and own.lower() == "scitag"):
            found.append((own, value))
    if sum(name.lower() == _ONCE for name, _ in found) > 1:
        raise BadRequest("two credentials were sent for the other server", remedy="send one")
    return tuple(found)
