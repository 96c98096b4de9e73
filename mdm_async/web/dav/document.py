"""The XML that a request of WebDAV may bring."""

from xml.etree.ElementTree import Element

from mdm_async.errors import BadRequest
from mdm_async.web.dav.asked import Asked
from mdm_async.web.http import body
from mdm_async.web.http.credential import caller_of


async def document(asked: Asked, root: str) -> Element | None:
    """Its root, which is to be this element of `DAV:`; None when nothing was sent.

    The credential is looked at again after a body was waited for. Raises BadRequest, TooLarge, TooManyRequests, and as
    `caller_of`.
    """
    request = asked.request
    if not request.can_read_body:
        return None
    must_wait = not request.content.is_eof()
    # Whatever type it is said to be: clients that send their own names for it, or none, mean XML.
    with body.incoming(request, asked.caller) as held:
        sent = await held.whole()
        if must_wait:
            await caller_of(request)
        if not sent:
            return None
        found = await body.document(request, sent)
    if found.tag != f"{{DAV:}}{root}":
        raise BadRequest(f"the request's XML is no DAV:{root}")
    return found
