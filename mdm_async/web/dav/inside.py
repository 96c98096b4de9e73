"""What is inside of an element that a client sent, as XML that stands by itself: it is kept, and told again."""

from xml.etree.ElementTree import Element, tostring
from xml.sax.saxutils import escape


def inside(element: Element) -> str:
    """Text and elements; each of these declares its own namespaces."""
    return escape(element.text or "") + "".join(
        tostring(child, encoding="unicode", short_empty_elements=True) for child in element
    )
