"""The ASN.1 of what certificates say: X.509 (RFC 5280), proxies (RFC 3820), attribute certificates (RFC 5755, VOMS)."""

from typing import Annotated, TypeVar

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

_Shape = TypeVar("_Shape")


class Unreadable(ValueError):
    """Bytes that are not what they should be."""


def read(shape: type[_Shape], der: bytes) -> _Shape:
    """Raises Unreadable, whatever is wrong with the bytes."""
    try:
        return asn1.decode_der(shape, der)
    except (ValueError, OverflowError, TypeError) as why:
        raise Unreadable("not the DER of what it should be") from why


def parse(shape: type[_Shape], value: asn1.TLV) -> _Shape:
    """As `read`, of a part that was kept as it came."""
    return read(shape, encoded(value))


def encoded(value: asn1.TLV) -> bytes:
    """The very bytes that a part was read from (DER has one way to write them)."""
    try:
        return asn1.encode_der(value)
    except (ValueError, OverflowError, TypeError) as why:
        raise Unreadable("not the DER of what it should be") from why


@asn1.sequence
class Signed:
    """What is signed, with which algorithm, and the signature."""

    content: asn1.TLV
    algorithm: asn1.TLV
    signature: asn1.BitString


@asn1.sequence
class Extension:
    oid: ObjectIdentifier
    critical: Annotated[bool, asn1.Default(False)]
    value: bytes


@asn1.sequence
class Attribute:
    """One attribute of a distinguished name."""

    type: ObjectIdentifier
    value: asn1.TLV


@asn1.sequence
class Validity:
    not_before: asn1.UTCTime | asn1.GeneralizedTime
    not_after: asn1.UTCTime | asn1.GeneralizedTime


@asn1.sequence
class TbsCertificate:
    version: Annotated[int, asn1.Explicit(0), asn1.Default(0)]
    serial: int
    algorithm: asn1.TLV
    issuer: list[asn1.SetOf[Attribute]]
    validity: Validity
    subject: list[asn1.SetOf[Attribute]]
    public_key: asn1.TLV
    issuer_id: Annotated[asn1.BitString | None, asn1.Implicit(1)]
    subject_id: Annotated[asn1.BitString | None, asn1.Implicit(2)]
    extensions: Annotated[list[Extension] | None, asn1.Explicit(3)]


@asn1.sequence
class CrlIssuer:
    """TBSCertList as far as it is needed here: who made it."""

    version: int | None
    algorithm: asn1.TLV
    issuer: list[asn1.SetOf[Attribute]]
    this_update: asn1.UTCTime | asn1.GeneralizedTime
    next_update: asn1.UTCTime | asn1.GeneralizedTime | None
    revoked: list[asn1.TLV] | None
    extensions: Annotated[list[Extension] | None, asn1.Explicit(0)]


@asn1.sequence
class BasicConstraints:
    authority: Annotated[bool, asn1.Default(False)]
    path_length: int | None


@asn1.sequence
class ProxyPolicy:
    language: ObjectIdentifier
    policy: bytes | None


@asn1.sequence
class ProxyCertInfo:
    path_length: int | None
    policy: ProxyPolicy


@asn1.sequence
class DirectoryName:
    """GeneralNames that are one directoryName."""

    name: Annotated[list[asn1.SetOf[Attribute]], asn1.Explicit(4)]


@asn1.sequence
class IssuerSerial:
    issuer: DirectoryName
    serial: int


@asn1.sequence
class Holder:
    certificate: Annotated[IssuerSerial, asn1.Implicit(0)]


@asn1.sequence
class V2Form:
    issuer: DirectoryName


@asn1.sequence
class AttributeValidity:
    not_before: asn1.GeneralizedTime
    not_after: asn1.GeneralizedTime


@asn1.sequence
class AttributeOfHolder:
    type: ObjectIdentifier
    values: asn1.TLV


@asn1.sequence
class AttributeCertificateInfo:
    version: int
    holder: Holder
    issuer: Annotated[V2Form, asn1.Implicit(0)]
    algorithm: asn1.TLV
    serial: int
    validity: AttributeValidity
    attributes: list[AttributeOfHolder]
    issuer_id: asn1.BitString | None
    extensions: list[Extension] | None


@asn1.sequence
class AttributeCertificates:
    """VOMS's extension of a proxy: a sequence of a sequence of attribute certificates."""

    certificates: list[Signed]


@asn1.sequence
class CertificatesOfIssuer:
    """VOMS's extension of an attribute certificate: the certificates of the server that signed it."""

    certificates: list[asn1.TLV]


@asn1.sequence
class PolicyAuthority:
    uri: Annotated[asn1.IA5String, asn1.Implicit(6)]


@asn1.sequence
class IetfAttributes:
    """IetfAttrSyntax as VOMS writes it: who says so, and the FQANs."""

    authority: Annotated[PolicyAuthority, asn1.Implicit(0)]
    values: list[bytes]
