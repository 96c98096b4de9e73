"""De-identification certificates: what was done to a view's images by which rules, signed with the audit's key.

A certificate is a signed text (`signed_text`). It names images by GUID, size and checksums of their de-identified
bytes, and nothing that identifies.
"""

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.audit import signed_text
from mdm_async.audit.keys import Keys
from mdm_async.errors import WrongContent

KIND: Final = "mdm de-identification certificate 1"
_FIELD: Final = "certificate"
_CALLED: Final = "de-identification certificate"


@dataclass(frozen=True, slots=True)
class CertifiedImage:
    """A view's bytes: the GUID of the file that gives them, their size and checksums."""

    guid: str
    version: str
    """By which rules and scrubber revision it was made, as the server's reports tell it."""
    size: int
    adler32: str
    """Eight hex digits, as a server tells them."""
    etag: str
    """As the server answers with, without quotes."""
    sha256: str | None
    """None of views in a certificate of many, which would take too long to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewCertificate:
    """What is certified."""

    installation: str
    at: str
    """When it was signed, ISO 8601 in UTC."""
    view: str
    profile: dict[str, Any]
    """`base`, `edition` of PS3.15, `options`, `digest`."""
    revision: int
    """Of the scrubber, that was in force when it was signed."""
    states: dict[str, int]
    """How many images are ready, refused, quarantined, pending."""
    withheld: dict[str, int]
    """Reasons why images are not ready, and how often."""
    went: dict[str, dict[str, int]]
    """By rule and by the letter of PS3.15 Table E.1-1a, how many elements were removed or changed."""
    stayed: dict[str, int]
    """By rule, how many elements were kept."""
    warnings: list[str]
    """What the profile lets through that the standard takes away."""
    seen: dict[str, int]
    """What images still show, such as a face, and how many do."""
    images: list[CertifiedImage]

    def signed(self, private: Ed25519PrivateKey) -> str:
        """The certificate's text."""
        return signed_text.signed(_FIELD, KIND, asdict(self), private)

    @classmethod
    def verified(cls, text: str, keys: Keys | None) -> tuple[Self, str]:
        """What a text certifies, and the id of the key that signed it, which is one of `keys`.

        Without `keys` only that it is as it was signed, by whomever. Raises WrongContent.
        """
        tree, signed_by = signed_text.opened(_FIELD, KIND, text, keys, _CALLED)
        try:
            images = [CertifiedImage(**image) for image in tree.pop("images")]
            return cls(**tree, images=images), signed_by
        except (KeyError, TypeError):
            raise signed_text.malformed(_CALLED) from None

    def image_of(self, pieces: Iterable[bytes]) -> CertifiedImage:
        """The image that these bytes are. Raises WrongContent when they are none that is certified."""
        size, adler, sha256 = 0, 1, hashlib.sha256()
        for piece in pieces:
            size += len(piece)
            adler = zlib.adler32(piece, adler)
            sha256.update(piece)
        for image in self.images:
            if (image.size, image.adler32) == (size, f"{adler:08x}") and (
                image.sha256 in (None, sha256.hexdigest())
            ):
                return image
        raise WrongContent(
            "these bytes are none that the certificate is of",
            remedy="pull the view again as it is now, and ask for a new certificate: mdm profile certificate",
        )
