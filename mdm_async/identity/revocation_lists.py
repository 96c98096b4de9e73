"""Certificate revocation lists: which certificates an authority has taken back (RFC 5280 §5)."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from mdm_async.errors import Unauthenticated
from mdm_async.identity.distinguished_name import distinguished_name
from mdm_async.identity.shapes import CrlIssuer, Signed, Unreadable, parse, read
from mdm_async.identity.x509 import Certificate

_REMEDY = "the site's administrator must fetch the authority's current revocation list"
_PEM = b"-----BEGIN X509 CRL-----"


class RevocationList:
    """One list, read. What cannot be relied on is kept too: its authority's certificates are refused."""

    def __init__(self, file: bytes) -> None:
        """Of PEM or DER. Raises Unreadable."""
        try:
            self._list = (x509.load_pem_x509_crl if _PEM in file else x509.load_der_x509_crl)(file)
            self._understood = not any(extension.critical for extension in self._list.extensions)
            self.this_update = self._list.last_update_utc.timestamp()
            following = self._list.next_update_utc
            der = self._list.public_bytes(Encoding.DER)
        except (
            ValueError,
            OverflowError,
            UnsupportedAlgorithm,
            x509.DuplicateExtension,
            x509.InvalidVersion,
            x509.UnsupportedGeneralNameType,
        ) as why:
            raise Unreadable("not a revocation list") from why
        self.issuer = distinguished_name(parse(CrlIssuer, read(Signed, der).content).issuer)
        self.next_update = following.timestamp() if following is not None else 0.0
        self._signed_by: dict[bytes, bool] = {}

    def is_signed_by(self, issuer: Certificate) -> bool:
        """Found out once for each key: some lists have megabytes."""
        known = self._signed_by.get(issuer.public_key)
        if known is None:
            known = self._signed_by[issuer.public_key] = self._verify(issuer)
        return known

    def refuse(self, certificate: Certificate, now: float) -> None:
        """Raises Unauthenticated unless the list is current and leaves the certificate alone."""
        if not self._understood:
            raise Unauthenticated(
                "the authority's revocation list is of a kind not understood", remedy=_REMEDY
            )
        if not self.this_update <= now < self.next_update:
            raise Unauthenticated("the authority's revocation list has expired", remedy=_REMEDY)
        if self._list.get_revoked_certificate_by_serial_number(certificate.serial) is not None:
            raise Unauthenticated(
                "the certificate was revoked by its authority",
                remedy="ask the authority for a new certificate",
            )

    def _verify(self, issuer: Certificate) -> bool:
        try:
            key = load_der_public_key(issuer.public_key)
            return self._list.is_signature_valid(key)  # type: ignore[arg-type]  # which raises TypeError for others
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return False


def look_for(
    certificate: Certificate, issuer: Certificate, lists: tuple[RevocationList | None, ...], now: float
) -> float | None:
    """Refuses a certificate by its issuer's newest list; until when that holds (None: there is no list).

    Raises Unauthenticated.
    """
    if not lists:
        return None
    signed = [one for one in lists if one is not None and one.is_signed_by(issuer)]
    if not signed:
        raise Unauthenticated(
            "the authority's revocation list cannot be read or has a bad signature", remedy=_REMEDY
        )
    newest = max(signed, key=lambda one: one.this_update)
    newest.refuse(certificate, now)
    return newest.next_update
