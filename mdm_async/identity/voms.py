"""Membership of virtual organisations: the attribute certificates of a proxy, verified against LSC files."""

from dataclasses import dataclass

from mdm_async.errors import Unauthenticated
from mdm_async.identity.attribute_certificate import (
    ATTRIBUTE_CERTIFICATES,
    TARGETS,
    UNDERSTOOD,
    AttributeCertificate,
    read_attribute_certificates,
)
from mdm_async.identity.authorities import Authorities
from mdm_async.identity.issuing import check_issued
from mdm_async.identity.proxies import PROXY_CERT_INFO, Owner
from mdm_async.identity.x509 import Certificate

_SKEW = 300.0
"""Seconds that clocks may differ."""
_LONGEST_CHAIN = 8
_NAME_CONSTRAINTS = "2.5.29.30"
_UNDERSTOOD_OF_SERVERS = {
    "2.5.29.15",  # keyUsage
    "2.5.29.17",  # subjectAltName
    "2.5.29.19",  # basicConstraints
    "2.5.29.32",  # certificatePolicies
    "2.5.29.37",  # extKeyUsage
}


@dataclass(frozen=True, slots=True)
class Membership:
    """What one attribute certificate gives."""

    fqans: tuple[str, ...]
    until: float
    """When it ends."""
    current_until: float
    """When something that its verification rests on ends, if that is earlier."""


def memberships(owner: Owner, authorities: Authorities, now: float) -> list[Membership]:
    """Those of the proxy made last of those that carry any.

    One attribute certificate that is not good spoils the request. Raises Unauthenticated or Unreadable.
    """
    carrying = (proxy.extensions.get(ATTRIBUTE_CERTIFICATES) for proxy in owner.proxies)
    extension = next((one for one in carrying if one is not None), None)
    if extension is None:
        return []
    return [
        _verify(attributes, owner.certificate, authorities, now)
        for attributes in read_attribute_certificates(extension.value)
    ]


def _verify(
    attributes: AttributeCertificate, holder: Certificate, authorities: Authorities, now: float
) -> Membership:
    vo = attributes.vo
    lsc = authorities.vos.get(vo)
    if lsc is None:
        raise _refused(
            vo, "is of a VO unknown here", remedy="the site's administrator must add its LSC files"
        )
    # VOMS writes the holder's own name where the standard has the holder's issuer.
    if attributes.holder not in (holder.issuer, holder.subject) or attributes.holder_serial != holder.serial:
        raise _refused(vo, "was made for another certificate")
    if now < attributes.not_before - _SKEW:
        raise _refused(vo, "is not yet valid", remedy="check the clock")
    if now >= attributes.not_after + _SKEW:
        raise _refused(vo, "has expired")
    if TARGETS in attributes.extensions:
        raise _refused(vo, "is meant for particular hosts", remedy="make a proxy without -target")
    if any(one.critical and oid not in UNDERSTOOD for oid, one in attributes.extensions.items()):
        raise _refused(vo, "has a critical extension that is not understood")
    if any(fqan != f"/{vo}" and not fqan.startswith(f"/{vo}/") for fqan in attributes.fqans):
        raise _refused(vo, "speaks of another VO's groups")
    chain = _chain(attributes, authorities)
    names = [str(certificate.subject) for certificate in chain]
    if not any(tuple(names[: len(one)]) == one for one in lsc):
        raise _refused(vo, "was made by a server that the VO's LSC files do not name")
    if attributes.issuer != chain[0].subject or not attributes.is_signed_by(chain[0]):
        raise _refused(vo, "has a bad signature")
    until = attributes.not_after + _SKEW
    return Membership(attributes.fqans, until, min(until, check_issued(chain, authorities, now)))


def _chain(attributes: AttributeCertificate, authorities: Authorities) -> list[Certificate]:
    """From the server's certificate to a root in the CA directory, every signature verified."""
    if not attributes.certificates:
        raise _refused(attributes.vo, "does not have its server's certificate with it")
    chain = [attributes.certificates[0]]
    while not chain[-1].is_self_issued:
        known = authorities.certificates.get(str(chain[-1].issuer), ())
        issuer = next(
            (
                candidate
                for candidate in (*known, *attributes.certificates[1:])
                if candidate.subject == chain[-1].issuer
                and candidate.may_sign_certificates(below=len(chain) - 1)
                and chain[-1].is_signed_by(candidate)
            ),
            None,
        )
        if issuer is None or len(chain) == _LONGEST_CHAIN:
            raise _refused(attributes.vo, "was made by a server whose authority is unknown here")
        chain.append(issuer)
    if not chain[0].may_sign_attributes:
        raise _refused(
            attributes.vo, "was made by a server whose certificate says that it may not sign attributes"
        )
    for certificate in chain[:-1]:
        strange = (
            oid
            for oid, one in certificate.extensions.items()
            if oid in (PROXY_CERT_INFO, _NAME_CONSTRAINTS)
            or (one.critical and oid not in _UNDERSTOOD_OF_SERVERS)
        )
        if any(strange):
            raise _refused(attributes.vo, "was made by a server whose certificate is not understood")
    return chain


def _refused(vo: str, why: str, remedy: str = "make a new proxy with voms-proxy-init") -> Unauthenticated:
    return Unauthenticated(f"the attribute certificate of the VO {vo} {why}", remedy=remedy)
