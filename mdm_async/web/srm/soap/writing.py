"""Answers as SOAP envelopes, by the tables: fields in their order, in the elements that the tables name."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from mdm_async.web.srm.soap.reading import ENVELOPE, Tree
from mdm_async.web.srm.soap.schema import NAMESPACE, TYPES, Called, array_field

ENCODING = "http://schemas.xmlsoap.org/soap/encoding/"
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 §2.2 has no way to write it."""
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<SOAP-ENV:Envelope xmlns:SOAP-ENV="{ENVELOPE}" xmlns:srm="{NAMESPACE}"><SOAP-ENV:Body'
)
_ENCODED = f' SOAP-ENV:encodingStyle="{ENCODING}"'
_FOOT = "</SOAP-ENV:Body></SOAP-ENV:Envelope>\n"

Recode = Callable[[str], str]


def answer(called: Called, tree: Tree, text: Recode) -> bytes:
    """`tree` is shaped as what `reading` gives; what is None is left out. `text` writes for this client."""
    out = [_HEAD, _ENCODED, ">", f"<srm:{called.name}Response>"]
    _structure(out, called.response_part, called.response_type, tree, text)
    out += [f"</srm:{called.name}Response>", _FOOT]
    return "".join(out).encode()


def fault(is_callers: bool, reason: str) -> bytes:
    code = "Client" if is_callers else "Server"
    said = f"<faultcode>SOAP-ENV:{code}</faultcode><faultstring>{_escaped(reason)}</faultstring>"
    return f"{_HEAD}><SOAP-ENV:Fault>{said}</SOAP-ENV:Fault>{_FOOT}".encode()


def _structure(out: list[str], name: str, kind: str, tree: Tree, text: Recode) -> None:
    fields = TYPES[kind]
    unknown = tree.keys() - fields.keys()
    if unknown:
        raise ValueError(f"{kind} has no {', '.join(sorted(unknown))}")
    out.append(f"<{name}>")
    for field in fields.values():
        value = tree.get(field.name)
        if value is not None:
            _element(out, field.name, field.type, value, text)
    out.append(f"</{name}>")


def _element(out: list[str], name: str, kind: str, value: Any, text: Recode) -> None:
    array = array_field(kind)
    if array is not None:
        out.append(f"<{name}>")
        for one in value:
            _element(out, array.name, array.type, one, text)
        out.append(f"</{name}>")
    elif kind in TYPES:
        _structure(out, name, kind, value, text)
    else:
        out.append(f"<{name}>{_escaped(text(_simple(value)))}</{name}>")


def _simple(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)


def _escaped(text: str) -> str:
    return escape(_UNWRITABLE.sub("?", text), {"\r": "&#13;"})
