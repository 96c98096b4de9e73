"""Whether authorities may have signed what they signed: signing policies, revocation lists, validity."""

from collections.abc import Sequence
from itertools import pairwise

from mdm_async.errors import Unauthenticated
from mdm_async.identity.authorities import Authorities
from mdm_async.identity.revocation_lists import look_for
from mdm_async.identity.signing_policy import permits
from mdm_async.identity.x509 import Certificate


def check_issued(chain: Sequence[Certificate], authorities: Authorities, now: float) -> float:
    """`chain`: a certificate that is no proxy, its issuer, and so on to the root. Until when the answer holds.

    Signatures are not looked at. Raises Unauthenticated.
    """
    until = check_validity(chain, now)
    if not (chain[-1].is_self_issued and authorities.holds(chain[-1])):
        raise Unauthenticated(
            "the certificate's authority is not (or no longer) one that this server trusts",
            remedy="use a certificate of an authority in the server's CA directory",
        )
    for certificate, issuer in pairwise(chain):
        if certificate.issuer != issuer.subject:
            raise Unauthenticated("the certificate chain is out of order", remedy="connect anew")
        _check_policy(certificate, authorities)
        lists = authorities.revocation_lists.get(str(issuer.subject), ())
        current = look_for(certificate, issuer, lists, now)
        until = min(until, current) if current is not None else until
    return until


def check_validity(chain: Sequence[Certificate], now: float) -> float:
    """When the first of them ends. Raises Unauthenticated."""
    if any(now < certificate.not_before for certificate in chain):
        raise Unauthenticated("the certificate is not yet valid", remedy="wait, or check the clock")
    until = min(certificate.not_after for certificate in chain)
    if now >= until:
        raise Unauthenticated(
            "the certificate has expired",
            remedy="make a new proxy, or ask the authority for a new certificate",
        )
    return until


def _check_policy(certificate: Certificate, authorities: Authorities) -> None:
    patterns = authorities.policies.get(str(certificate.issuer))
    if patterns is None:
        raise Unauthenticated(
            f"the authority {certificate.issuer} has no signing policy here",
            remedy="the site's administrator must add its .signing_policy to the CA directory",
        )
    if not permits(patterns, str(certificate.subject)):
        raise Unauthenticated(
            f"the authority {certificate.issuer} may not sign this name by its signing policy",
            remedy="use a certificate of the authority that the name belongs to",
        )
