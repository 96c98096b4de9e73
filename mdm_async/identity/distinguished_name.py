"""Distinguished names as the grid writes them: `/C=…/O=…/CN=…`, as OpenSSL's one line does."""

import re
from dataclasses import dataclass

from cryptography.hazmat import asn1

from mdm_async.identity.shapes import Attribute, Unreadable

SHORT_NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.15": "businessCategory",
    "2.5.4.16": "postalAddress",
    "2.5.4.17": "postalCode",
    "2.5.4.20": "telephoneNumber",
    "2.5.4.41": "name",
    "2.5.4.42": "GN",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.45": "x500UniqueIdentifier",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.643.3.131.1.1": "INN",
    "1.2.643.100.1": "OGRN",
    "1.2.643.100.3": "SNILS",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
}
"""As OpenSSL calls them; any other is written as its number."""

_UTF8, _NUMERIC, _PRINTABLE, _TELETEX, _IA5, _VISIBLE = b"\x0c", b"\x12", b"\x13", b"\x14", b"\x16", b"\x1a"
_ASCII = {_NUMERIC, _PRINTABLE, _TELETEX, _IA5, _VISIBLE}
_ANOTHER_PART = re.compile(r"/[A-Za-z0-9.-]+=")
_ESCAPE = re.compile(r"\\x[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True)
class DistinguishedName:
    """The parts, first one first; no two names have the same line."""

    parts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "".join(f"/{kind}={value}" for kind, value in self.parts)

    @property
    def parent(self) -> "DistinguishedName":
        return DistinguishedName(self.parts[:-1])


def distinguished_name(relative: list[asn1.SetOf[Attribute]]) -> DistinguishedName:
    """Raises Unreadable for a name whose line could be taken for another name's."""
    if not relative:
        raise Unreadable("a distinguished name is empty")
    parts = []
    for attributes in relative:
        if len(attributes.as_list()) != 1:
            raise Unreadable("a distinguished name has a part of several values")
        (attribute,) = attributes.as_list()
        oid = attribute.type.dotted_string
        parts.append((SHORT_NAMES.get(oid, oid), _text(attribute.value)))
    return DistinguishedName(tuple(parts))


def escaped(value: bytes) -> str:
    r"""OpenSSL's escapes: what is not printable ASCII is `\xHH`."""
    return "".join(chr(b) if 0x20 <= b <= 0x7E else f"\\x{b:02X}" for b in value)


def _text(value: asn1.TLV) -> str:
    data = bytes(value.data)
    # Other string types, or letters beyond ASCII in an old one, would have the line of another text.
    if value.tag_bytes != _UTF8 and not (value.tag_bytes in _ASCII and data.isascii()):
        raise Unreadable("a distinguished name has an ambiguous string type")
    text = escaped(data)
    if any(b < 0x20 or b == 0x7F for b in data) or _ESCAPE.search(data.decode("latin-1")):
        raise Unreadable("a distinguished name has control characters or escapes in it")
    if _ANOTHER_PART.search(text):
        raise Unreadable("a value in a distinguished name reads as further parts of it")
    return text
