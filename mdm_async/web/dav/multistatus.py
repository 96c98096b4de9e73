"""207 Multi-Status (RFC 4918 §13): the document's begin and end, and the responses in it."""

from collections.abc import Mapping
from http import HTTPStatus
from xml.sax.saxutils import escape, quoteattr

from mdm_async.web.dav.properties import DAV, LCGDM, Property

KIND = "application/xml"
BEGIN = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:" xmlns:L="LCGDM:">\n'
END = "</D:multistatus>\n"
_PREFIXES = {DAV: "D", LCGDM: "L", "http://www.w3.org/XML/1998/namespace": "xml"}
"""Those that are declared; that of XML itself is so everywhere, and may have no other prefix."""


def response(href: str, by_status: Mapping[int, Mapping[Property, str]]) -> str:
    """What is told of one entry. `href`: the path of its URL, percent-encoded."""
    found = "".join(_propstat(status, properties) for status, properties in by_status.items())
    return f"<D:response><D:href>{escape(href)}</D:href>{found}</D:response>\n"


def status_line(status: int) -> str:
    return f"<D:status>HTTP/1.1 {status} {HTTPStatus(status).phrase}</D:status>"


def _propstat(status: int, properties: Mapping[Property, str]) -> str:
    told = "".join(_element(name, value) for name, value in properties.items())
    return f"<D:propstat><D:prop>{told}</D:prop>{status_line(status)}</D:propstat>"


def _element(name: Property, value: str) -> str:
    prefix, declared = _PREFIXES.get(name.namespace), ""
    if prefix is not None:
        tag = f"{prefix}:{name.name}"
    else:
        # The empty namespace has no prefix (Namespaces in XML 1.0 §2.2); an element without one is in it.
        tag = f"X:{name.name}" if name.namespace else name.name
        declared = f" xmlns:X={quoteattr(name.namespace)}" if name.namespace else ""
    return f"<{tag}{declared}>{value}</{tag}>" if value else f"<{tag}{declared}/>"
