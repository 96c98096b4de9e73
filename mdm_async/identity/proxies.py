"""Proxy certificates: whom they stand for (RFC 3820)."""

from collections.abc import Sequence
from dataclasses import dataclass

from mdm_async.errors import Unauthenticated
from mdm_async.identity.shapes import ProxyCertInfo, read
from mdm_async.identity.x509 import Certificate

PROXY_CERT_INFO = "1.3.6.1.5.5.7.1.14"
_DRAFT = "1.3.6.1.4.1.3536.1.222"
_INHERIT_ALL, _INDEPENDENT = "1.3.6.1.5.5.7.21.1", "1.3.6.1.5.5.7.21.2"
_LIMITED = "1.3.6.1.4.1.3536.1.1.1.9"
_LEGACY = {("CN", "proxy"), ("CN", "limited proxy")}
_REMEDY = "make a new proxy with 'voms-proxy-init -rfc'"


@dataclass(frozen=True, slots=True)
class Owner:
    """The certificate that the proxies of a chain stand for."""

    proxies: tuple[Certificate, ...]
    """The last one made first."""
    certificate: Certificate
    authorities: tuple[Certificate, ...]
    """From its issuer to the root."""
    limited: bool


def owner(chain: Sequence[Certificate]) -> Owner:
    """Raises Unauthenticated where a proxy may not stand for its owner in full or as `limited`."""
    count = next((i for i, one in enumerate(chain) if PROXY_CERT_INFO not in one.extensions), len(chain))
    proxies, others = tuple(chain[:count]), tuple(chain[count:])
    if len(others) < 2 or any(PROXY_CERT_INFO in one.extensions for one in others):
        raise Unauthenticated("the certificate chain has no owner whom an authority signed", remedy=_REMEDY)
    if others[0].subject.parts[-1] in _LEGACY or any(_DRAFT in one.extensions for one in chain):
        raise Unauthenticated("legacy Globus proxies are not taken", remedy=_REMEDY)
    limited = False
    for below, proxy in enumerate(proxies):
        limited |= _check(proxy, chain[below + 1], below)
    return Owner(proxies, others[0], others[1:], limited)


def _check(proxy: Certificate, issuer: Certificate, below: int) -> bool:
    """Whether it is limited. OpenSSL saw to the signatures; it does not look at the policies."""
    info = read(ProxyCertInfo, proxy.extensions[PROXY_CERT_INFO].value)
    language = info.policy.language.dotted_string
    if language == _INDEPENDENT:
        raise Unauthenticated("independent proxies stand for nobody here", remedy=_REMEDY)
    if language not in (_INHERIT_ALL, _LIMITED):
        raise Unauthenticated("the proxy has a policy that is not understood", remedy=_REMEDY)
    if info.path_length is not None and below > info.path_length:
        raise Unauthenticated("a proxy was signed by one that may not sign proxies", remedy=_REMEDY)
    one_more = proxy.subject.parent == issuer.subject and proxy.subject.parts[-1][0] == "CN"
    if proxy.issuer != issuer.subject or not one_more:
        raise Unauthenticated("a proxy's name is not its issuer's and one part more", remedy=_REMEDY)
    return language == _LIMITED
