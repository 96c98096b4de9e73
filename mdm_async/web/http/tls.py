"""Why OpenSSL refused a client in the handshake, before there was any HTTP."""

import ssl

_REASONS = {
    2: "the certificate is of an unknown authority",
    7: "a certificate in the chain has a bad signature",
    9: "the certificate is not yet valid",
    10: "the certificate has expired",
    18: "the certificate is of an unknown authority",
    19: "the certificate is of an unknown authority",
    20: "the certificate is of an unknown authority",
    21: "the certificate is of an unknown authority",
    24: "the certificate was signed by one that is no authority",
    25: "an authority was signed by one that may not sign authorities",
    26: "the certificate is not one of a client",
    34: "a certificate in the chain has a critical extension that is not understood",
    38: "a proxy was signed by one that may not sign proxies",
    39: "a proxy was signed by one that may not sign",
    40: "proxies are not taken",
    79: "the certificate was signed by one that is no authority",
}
"""By OpenSSL's numbers (X509_V_ERR_…)."""


def reason(why: ssl.SSLError) -> str:
    """In plain words, for the audit."""
    if isinstance(why, ssl.SSLCertVerificationError):
        return _REASONS.get(why.verify_code, f"the certificate was refused: {why.verify_message}")
    return "the TLS handshake failed"
