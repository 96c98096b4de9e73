"""A SOAP envelope as an operation and its fields, by the tables.

Fields are found by their local name in any order, as clients differ; those that the tables do not have are passed
over. `href` (SOAP 1.1 §5.4.1) is followed, and what it leads to is counted each time, so that few bytes make no large
request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from mdm_async.errors import BadRequest, NotSupported, TooLarge
from mdm_async.web.http.xml import local_name
from mdm_async.web.srm.soap.schema import ENUMERATIONS, OPERATIONS, TYPES, Called, Field, array_field

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_TRUE = {"true": True, "1": True, "false": False, "0": False}
_LONGEST_NUMBER = 20
_CHARACTERS = 256
"""Of a text that is one value."""
_NUMBERED, _MODES = "TPermissionMode", "01234567"
"""gfal2 writes modes as digits, as Unix does."""
_RANGES = {"int": (-(1 << 31), (1 << 31) - 1), "unsignedLong": (0, (1 << 64) - 1)}

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation and where its fields stand, of which nothing has been read yet."""

    called: Called
    _request: Element
    _by_id: dict[str, Element]

    @classmethod
    def of(cls, envelope: Element) -> "Asked":
        """Raises BadRequest for what is no envelope, NotSupported for an operation that SRM does not have."""
        body = envelope.find(f"{{{ENVELOPE}}}Body")
        if envelope.tag != f"{{{ENVELOPE}}}Envelope" or body is None or not len(body):
            raise BadRequest("the request is no envelope of SOAP 1.1 with a body")
        operation = body[0]
        called = OPERATIONS.get(local_name(operation))
        if called is None:
            raise NotSupported("SRM v2.2 has no such operation")
        by_id = {name: one for one in body.iter() if (name := one.get("id")) is not None}
        part = next((one for one in operation if local_name(one) == called.request_part), None)
        if part is None:
            raise BadRequest(f"{called.name} has no {called.request_part} in it")
        return cls(called, part, by_id)

    def fields(self, text: Callable[[str], str], values: int) -> Tree:
        """Arrays are lists, without the element that wraps them. `text` reads what a client wrote.

        Raises BadRequest, which names a field and never its value, and TooLarge for more than so many values.
        """
        return _Reader(self._by_id, text, values).structure(self._request, self.called.request_type)


@dataclass(slots=True)
class _Reader:
    by_id: dict[str, Element]
    text: Callable[[str], str]
    left: int
    """Values that may still be read."""

    def structure(self, element: Element, kind: str) -> Tree:
        element, found = self._led_to(element), {}
        fields = TYPES[kind]
        for child in element:
            name = local_name(child)
            of = fields.get(name)
            if of is None:
                self._count(1)
                continue
            if name in found:
                raise BadRequest(f"{kind} has more than one {name}")
            found[name] = self._value(child, of)
        for of in fields.values():
            if of.is_required and not of.is_nillable and found.get(of.name) is None:
                raise BadRequest(f"{kind} has no {of.name}")
        return {name: value for name, value in found.items() if value is not None}

    def _value(self, element: Element, of: Field) -> Any:
        element = self._led_to(element)
        # A long text counts for more: many may refer to one.
        self._count(1 + len(element.text or "") // _CHARACTERS)
        if element.get(_NIL) in ("true", "1"):
            return None
        array = array_field(of.type)
        if array is not None:
            return self._array(element, array)
        if of.type in TYPES:
            return self.structure(element, of.type)
        return _simple(self.text(element.text or ""), of)

    def _count(self, values: int) -> None:
        self.left -= values
        if self.left < 0:
            raise TooLarge("the request holds too many values", remedy="name fewer files in one request")

    def _array(self, element: Element, of: Field) -> list[Any]:
        # By whatever name: that of an array's members is of no account (SOAP 1.1 §5.4.2).
        found = (self._value(child, of) for child in element)
        return [value for value in found if value is not None]

    def _led_to(self, element: Element) -> Element:
        to = element.get("href")
        if to is None:
            return element
        found = self.by_id.get(to.removeprefix("#"))
        if found is None or found.get("href") is not None:
            raise BadRequest("an href leads to nothing")
        return found


def _simple(text: str, of: Field) -> Any:
    if of.type in _RANGES:
        return _number(text.strip(), of)
    if of.type == "boolean":
        value = _TRUE.get(text.strip())
        if value is None:
            raise BadRequest(f"{of.name} is neither true nor false")
        return value
    if of.type == _NUMBERED and len(text) == 1 and text in _MODES:
        return ENUMERATIONS[_NUMBERED][int(text)]
    if of.type in ENUMERATIONS and text not in ENUMERATIONS[of.type]:
        raise BadRequest(
            f"{of.name} is no {of.type}", remedy=f"it is one of {', '.join(ENUMERATIONS[of.type])}"
        )
    return text


def _number(text: str, of: Field) -> int:
    least, most = _RANGES[of.type]
    digits = text.removeprefix("-").removeprefix("+")
    if (
        len(digits) > _LONGEST_NUMBER
        or not (digits.isascii() and digits.isdigit())
        or not least <= int(text) <= most
    ):
        raise BadRequest(f"{of.name} is no {of.type}")
    return int(text)
