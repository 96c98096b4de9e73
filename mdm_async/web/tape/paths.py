"""What a path of the Tape REST API names.

Clients send the path of the file's URL, `/dav/…` as WebDAV has it, percent-encoded or not; a path in the namespace and
a SURL are taken too. Answers tell it again byte for byte, as it was sent.
"""

import re
from collections.abc import Hashable
from urllib.parse import unquote

from mdm_async.errors import BadPath
from mdm_async.names import parse_surl

_BELOW_DAV = re.compile(r"/+dav(?=/|\Z)")
_OVER_LONG = re.compile(r"%(?:2[ef]|5c|00|c[01]|e0%[89]|f0%8)", re.IGNORECASE)
"""What stands for a dot, a slash, a backslash or NUL is left as it is, and so refused with the path."""


def surl_of(path: str) -> str:
    """The path as a SURL; what is malformed stays so, for the verbs to refuse by itself."""
    below = _BELOW_DAV.match(path)
    if below is None:
        return path
    rest = path[below.end() :] or "/"
    if _OVER_LONG.search(rest):
        return rest
    try:
        return unquote(rest, errors="strict")
    except UnicodeDecodeError:
        return rest


def entry_named(path: str) -> Hashable:
    """The same for every spelling of an entry, whatever view it is named in."""
    try:
        found = parse_surl(surl_of(path))
    except BadPath:
        return path
    return found.guid or found.path
