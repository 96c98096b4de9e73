"""One X.509 certificate, read (RFC 5280 §4)."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Final

from cryptography.hazmat import asn1

from mdm_async.identity.distinguished_name import DistinguishedName, distinguished_name
from mdm_async.identity.shapes import (
    BasicConstraints,
    Extension,
    Signed,
    TbsCertificate,
    Unreadable,
    encoded,
    parse,
    read,
)
from mdm_async.identity.signatures import is_signed

BASIC_CONSTRAINTS: Final = "2.5.29.19"
KEY_USAGE: Final = "2.5.29.15"
_KEY_CERT_SIGN = 0x04
_DIGITAL_SIGNATURE = 0x80
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """What a certificate says; times are Unix times."""

    der: bytes = field(repr=False)
    subject: DistinguishedName
    issuer: DistinguishedName
    serial: int
    not_before: float
    not_after: float
    extensions: Mapping[str, Extension] = field(repr=False)
    public_key: bytes = field(repr=False)
    signed: Signed = field(repr=False)

    @property
    def is_self_issued(self) -> bool:
        return self.subject == self.issuer

    def is_signed_by(self, issuer: "Certificate") -> bool:
        return is_signed(
            encoded(self.signed.content),
            encoded(self.signed.algorithm),
            self.signed.signature.as_bytes(),
            issuer.public_key,
        )

    def may_sign_certificates(self, below: int) -> bool:
        """As an authority over `below` further authorities (RFC 5280 §4.2.1.9, §4.2.1.3)."""
        basic = self._constraints
        if not basic.authority or (basic.path_length is not None and below > basic.path_length):
            return False
        return self._may(_KEY_CERT_SIGN)

    @property
    def may_sign_attributes(self) -> bool:
        """As one that is no authority over certificates (RFC 5755 §4.5)."""
        return not self._constraints.authority and self._may(_DIGITAL_SIGNATURE)

    @property
    def _constraints(self) -> BasicConstraints:
        found = self.extensions.get(BASIC_CONSTRAINTS)
        none = BasicConstraints(authority=False, path_length=None)
        return read(BasicConstraints, found.value) if found is not None else none

    def _may(self, use: int) -> bool:
        """Whether the key is for this; one that does not say is for everything."""
        usage = self.extensions.get(KEY_USAGE)
        if usage is None:
            return True
        bits = read(asn1.BitString, usage.value).as_bytes()
        return bool(bits) and bool(bits[0] & use)


def read_certificate(der: bytes) -> Certificate:
    """Raises Unreadable."""
    signed = read(Signed, der)
    tbs = parse(TbsCertificate, signed.content)
    if encoded(tbs.algorithm) != encoded(signed.algorithm):
        raise Unreadable("a certificate names two algorithms")
    return Certificate(
        der=der,
        subject=distinguished_name(tbs.subject),
        issuer=distinguished_name(tbs.issuer),
        serial=tbs.serial,
        not_before=seconds(tbs.validity.not_before),
        not_after=seconds(tbs.validity.not_after),
        extensions=by_oid(tbs.extensions or []),
        public_key=encoded(tbs.public_key),
        signed=signed,
    )


def read_pem(text: str) -> list[Certificate]:
    """Every certificate of a PEM file."""
    try:
        return [read_certificate(ssl.PEM_cert_to_DER_cert(block)) for block in _PEM.findall(text)]
    except ValueError as why:
        raise Unreadable("not PEM certificates") from why


def by_oid(extensions: list[Extension]) -> dict[str, Extension]:
    found = {extension.oid.dotted_string: extension for extension in extensions}
    if len(found) != len(extensions):
        raise Unreadable("an extension stands there twice")
    return found


def seconds(moment: asn1.UTCTime | asn1.GeneralizedTime) -> float:
    """Unix time."""
    return moment.as_datetime().replace(tzinfo=UTC).timestamp()
