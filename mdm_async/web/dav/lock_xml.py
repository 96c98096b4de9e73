"""Locks as XML: what is asked for, and what is told of those that there are (RFC 4918 §14)."""

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from mdm_async.errors import BadRequest, TooLarge
from mdm_async.images.names.locking import Held, LockAsk
from mdm_async.web.dav.inside import inside

SUPPORTED: Final = "".join(
    f"<D:lockentry><D:lockscope><D:{scope}/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
    for scope in ("exclusive", "shared")
)
_LONGEST_OWNER: Final = 1024
"""Bytes."""


def asked_for(document: Element, *, deep: bool, seconds: int | None) -> LockAsk:
    """Of a DAV:lockinfo. Raises BadRequest, TooLarge."""
    scope, kind = document.find("{DAV:}lockscope"), document.find("{DAV:}locktype")
    if scope is None or kind is None or kind.find("{DAV:}write") is None:
        raise BadRequest("a DAV:lockinfo has a DAV:lockscope and the DAV:locktype write")
    shared = scope.find("{DAV:}shared") is not None
    if shared is (scope.find("{DAV:}exclusive") is not None):
        raise BadRequest("a lock's scope is exclusive or shared")
    owner = document.find("{DAV:}owner")
    told = inside(owner).encode() if owner is not None else b""
    if len(told) > _LONGEST_OWNER:
        raise TooLarge(f"what is said of a lock's owner has more than {_LONGEST_OWNER} bytes")
    return LockAsk(shared, deep, told, seconds)


def discovery(held: Sequence[tuple[Held, str | None]]) -> str:
    """The inside of a DAV:lockdiscovery: locks, and of each the path of its root's URL if that is known."""
    return "".join(_active(one, root) for one, root in held)


def _active(held: Held, root: str | None) -> str:
    lock = held.lock
    told = f"<D:owner>{held.told.decode()}</D:owner>" if held.told else ""
    # Another's token opens nothing, and need not be known.
    token = f"<D:locktoken><D:href>{urn(held)}</D:href></D:locktoken>" if held.mine else ""
    where = f"<D:lockroot><D:href>{escape(root)}</D:href></D:lockroot>" if root is not None else ""
    return (
        "<D:activelock><D:locktype><D:write/></D:locktype>"
        f"<D:lockscope><D:{'shared' if lock.shared else 'exclusive'}/></D:lockscope>"
        f"<D:depth>{'infinity' if lock.deep else '0'}</D:depth>{told}"
        f"<D:timeout>Second-{lock.seconds}</D:timeout>{token}{where}</D:activelock>"
    )


def urn(held: Held) -> str:
    return f"urn:uuid:{held.lock.token}"
