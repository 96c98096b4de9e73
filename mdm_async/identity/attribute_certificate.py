"""VOMS attribute certificates as they stand in a proxy (RFC 5755; OGF GFD.182)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mdm_async.identity.distinguished_name import DistinguishedName, distinguished_name
from mdm_async.identity.shapes import (
    AttributeCertificateInfo,
    AttributeCertificates,
    CertificatesOfIssuer,
    Extension,
    IetfAttributes,
    Signed,
    Unreadable,
    encoded,
    parse,
    read,
)
from mdm_async.identity.signatures import is_signed
from mdm_async.identity.x509 import Certificate, by_oid, read_certificate, seconds

ATTRIBUTE_CERTIFICATES: Final = "1.3.6.1.4.1.8005.100.100.5"
"""The extension of a proxy that holds them."""
TARGETS: Final = "2.5.29.55"
_FQANS = "1.3.6.1.4.1.8005.100.100.4"
_CERTIFICATES = "1.3.6.1.4.1.8005.100.100.10"
_GENERIC_ATTRIBUTES = "1.3.6.1.4.1.8005.100.100.11"
_NO_REVOCATION, _AUTHORITY_KEY = "2.5.29.56", "2.5.29.35"
UNDERSTOOD: Final = {TARGETS, _CERTIFICATES, _GENERIC_ATTRIBUTES, _NO_REVOCATION, _AUTHORITY_KEY}

_MOST = 8
"""In a proxy, and certificates in one of them: each is a signature to verify."""

_SET = b"\x31"
_VO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z")
_FQAN = re.compile(r"(?P<group>(?:/[\w.-]+)+)(?:/Role=(?P<role>[\w.-]+))?(?:/Capability=NULL)?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class AttributeCertificate:
    """What one says; nothing of it is verified yet."""

    vo: str
    fqans: tuple[str, ...]
    """As principals name them: without the parts that say NULL."""
    holder: DistinguishedName
    holder_serial: int
    issuer: DistinguishedName
    not_before: float
    not_after: float
    certificates: tuple[Certificate, ...]
    """Of the server that signed it, that server's first."""
    extensions: Mapping[str, Extension] = field(repr=False)
    signed: Signed = field(repr=False)

    def is_signed_by(self, server: Certificate) -> bool:
        content, algorithm = encoded(self.signed.content), encoded(self.signed.algorithm)
        return is_signed(content, algorithm, self.signed.signature.as_bytes(), server.public_key)


def read_attribute_certificates(extension: bytes) -> list[AttributeCertificate]:
    """Raises Unreadable."""
    listed = read(AttributeCertificates, extension).certificates
    if len(listed) > _MOST:
        raise Unreadable(f"it has more attribute certificates than {_MOST}")
    return [_read(signed) for signed in listed]


def _read(signed: Signed) -> AttributeCertificate:
    info = parse(AttributeCertificateInfo, signed.content)
    if info.version != 1 or encoded(info.algorithm) != encoded(signed.algorithm):
        raise Unreadable("not an attribute certificate of version 2")
    extensions = by_oid(info.extensions or [])
    vo, fqans = _attributes(info)
    return AttributeCertificate(
        vo=vo,
        fqans=fqans,
        holder=distinguished_name(info.holder.certificate.issuer.name),
        holder_serial=info.holder.certificate.serial,
        issuer=distinguished_name(info.issuer.issuer.name),
        not_before=seconds(info.validity.not_before),
        not_after=seconds(info.validity.not_after),
        certificates=_certificates(extensions),
        extensions=extensions,
        signed=signed,
    )


def _attributes(info: AttributeCertificateInfo) -> tuple[str, tuple[str, ...]]:
    found = [one.values for one in info.attributes if one.type.dotted_string == _FQANS]
    if len(found) != 1 or found[0].tag_bytes != _SET:
        raise Unreadable("an attribute certificate has not one list of FQANs")
    # The set has one member, so that the inside of the set is that member.
    listed = read(IetfAttributes, bytes(found[0].data))
    vo, separator, _ = listed.authority.uri.as_str().partition("://")
    if not separator or not _VO.match(vo):
        raise Unreadable("an attribute certificate does not name its VO")
    return vo, tuple(_fqan(value) for value in listed.values)


def _fqan(value: bytes) -> str:
    found = _FQAN.match(value.decode("latin-1"))
    if found is None:
        raise Unreadable("an attribute certificate has an FQAN that is none")
    role = found["role"]
    return found["group"] if role in (None, "NULL") else f"{found['group']}/Role={role}"


def _certificates(extensions: Mapping[str, Extension]) -> tuple[Certificate, ...]:
    extension = extensions.get(_CERTIFICATES)
    if extension is None:
        return ()
    listed = read(CertificatesOfIssuer, extension.value).certificates
    if len(listed) > _MOST:
        raise Unreadable(f"an attribute certificate has more certificates with it than {_MOST}")
    return tuple(read_certificate(encoded(one)) for one in listed)
