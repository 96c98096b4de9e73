"""XML that strangers send, as a tree: no document type, so no entities and nothing that is fetched; all of it bounded.

By expat, which forgets a document when it is done. libxml2 keeps every name that it has met for as long as its thread
lives, so that whoever sends ever new ones would fill the memory.

`read` is pure and may run in a thread; `web.http.body.document` is for handlers.
"""

from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from mdm_async.errors import BadRequest, TooLarge

_DEEPEST = 64
"""Elements inside one another; SOAP and WebDAV have fewer than ten."""

_LONGEST_NAMESPACE = 128
"""Characters. It is told once, and becomes a part of every name."""


def read(body: bytes | bytearray, values: int) -> Element:
    """The root element. Tags and attributes are `{namespace}name`; comments and instructions are left out.

    `values`: how many elements and attributes there may be; an equal sign in a text is taken for one. Raises BadRequest
    and TooLarge, never with what was sent.
    """
    # Before anything is made of it: a few bytes can be an object of a hundred. Most elements have two tags.
    if body.count(b"<") + 2 * body.count(b"=") > 2 * values:
        raise _too_many()
    builder, depth, left = TreeBuilder(), 0, values
    # Whatever it declares itself to be: in another encoding, other bytes would be those counted above.
    parser = expat.ParserCreate("utf-8", "}")
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, left
        depth, left = depth + 1, left - 1 - len(attributes)
        if left < 0:
            raise _too_many()
        if depth > _DEEPEST:
            raise BadRequest(f"the request's XML is nested more than {_DEEPEST} deep")
        builder.start(_qualified(tag), {_qualified(name): value for name, value in attributes.items()})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_qualified(tag))

    def document_type(*_told: Any) -> None:
        raise BadRequest("the request's XML has a document type", remedy="send it without")

    def namespace(_prefix: str | None, uri: str | None) -> None:
        if uri is not None and len(uri) > _LONGEST_NAMESPACE:
            raise BadRequest(
                f"a namespace in the request's XML has more than {_LONGEST_NAMESPACE} characters"
            )

    parser.StartDoctypeDeclHandler, parser.StartNamespaceDeclHandler = document_type, namespace
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(bytes(body), True)
    except expat.ExpatError as why:
        raise BadRequest(f"the request's body is not XML (line {why.lineno}, column {why.offset})") from None
    root: Any = builder.close()
    return root  # type: ignore[no-any-return]


def _too_many() -> TooLarge:
    return TooLarge("the request's XML holds too many values", remedy="name fewer files in one request")


def _qualified(name: str) -> str:
    return "{" + name if "}" in name else name


def local_name(element: Element) -> str:
    """The tag without its namespace."""
    return element.tag.rpartition("}")[2]
