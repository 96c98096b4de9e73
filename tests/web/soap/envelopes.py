"""SOAP envelopes by hand, as gSOAP's clients write them."""

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, fromstring
from xml.sax.saxutils import escape

PATH = "/srm/managerv2"
HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '"any"'}
_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xmlns:srm="http://srm.lbl.gov/StorageResourceManager"><e:Body>%s</e:Body></e:Envelope>'
)


def envelope(inside: str) -> bytes:
    return (_ENVELOPE % inside).encode()


def call(operation: str, **fields: Any) -> bytes:
    """An envelope. Of lists and dicts elements are made: `{"arrayOfSURLs": {"urlArray": ["/a", "/b"]}}`."""
    return envelope(
        f"<srm:{operation}><{operation}Request>{_of(fields)}</{operation}Request></srm:{operation}>"
    )


def ls(*surls: str, **fields: Any) -> bytes:
    return call("srmLs", arrayOfSURLs={"urlArray": list(surls)}, **fields)


def _of(fields: dict[str, Any]) -> str:
    out = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                out.append(f'<{name} xsi:nil="true"/>')
                continue
            inner = _of(one) if isinstance(one, dict) else escape(_text(one))
            out.append(f"<{name}>{inner}</{name}>")
    return "".join(out)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def response(body: bytes) -> Any:
    """The fields of an answer: of elements that stand there more than once a list, of others the one."""
    (inner,) = fromstring(body)[0][0]
    return _tree(inner)


def fault(body: bytes) -> dict[str, str]:
    found = fromstring(body)[0][0]
    assert found.tag.endswith("}Fault"), found.tag
    return {child.tag: child.text or "" for child in found}


def _tree(element: Element) -> Any:
    if not len(element):
        return element.text or ""
    found: dict[str, Any] = {}
    for child in element:
        value = _tree(child)
        if child.tag in found:
            value = [*(found[child.tag] if isinstance(found[child.tag], list) else [found[child.tag]]), value]
        found[child.tag] = value
    return found


_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def _filled(size: int, before: str, one: str, after: str) -> bytes:
    return (before + one * ((size - len(before) - len(after)) // len(one)) + after).encode()


def _within(size: int, attributes: str, one: str, after: str = "") -> bytes:
    """An envelope of `size` bytes or a few less, with very many of `one` in it."""
    frame = envelope(
        f"<srm:srmLs {attributes}><srmLsRequest><arrayOfSURLs>|</arrayOfSURLs></srmLsRequest></srm:srmLs>{after}"
    )
    begin, end = frame.decode().split("|")
    return _filled(size, begin, one, end)


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "entities": lambda size: f'<!DOCTYPE a [<!ENTITY l0 "ha">{_LAUGHS}]>'.encode() + ls("&l9;"),
    "names of files": lambda size: _within(size, "", f"<urlArray>/{'a' * 60}</urlArray>"),
    "a long namespace": lambda size: _within(size, f'xmlns:n="{"n" * (size // 2)}"', f"<n:a/>{' ' * 80}"),
    "one attribute": lambda size: _filled(size, '<a b="', "x", '"/>'),
    "one tag": lambda size: _filled(size, "<a", "a", "/>"),
    "references to a text": lambda size: _within(
        size, "", f"<urlArray href='#t'/>{' ' * 60}", f"<t id='t'>{'x' * (size // 2)}</t>"
    ),
}
"""Each makes an envelope of about so many bytes that is to cost much."""
