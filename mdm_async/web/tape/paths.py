"""What a path of the Tape REST API names.

Clients send the path of the file's URL, `/dav/…` as WebDAV has it; a path in the namespace and a SURL are taken too.
Answers tell it again byte for byte, as it was sent.
"""

from collections.abc import Hashable

from mdm_async.errors import BadPath
from mdm_async.names import parse_surl
from mdm_async.web.http.named import DAV, Named


def surl_of(path: str) -> str:
    """The path as a SURL; what is malformed stays so, for the verbs to refuse by itself."""
    try:
        return Named.of(f"/{path.lstrip('/')}", DAV).surl
    except BadPath:
        return path


def entry_named(path: str) -> Hashable:
    """The same for every spelling of an entry, whatever view it is named in."""
    try:
        found = parse_surl(surl_of(path))
    except BadPath:
        return path
    return found.guid or found.path
