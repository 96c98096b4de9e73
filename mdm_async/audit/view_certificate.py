"""De-identification certificates: what was done to a view's images by which rules, signed with the audit's key.

A certificate is a text in ASCII: JSON with sorted keys, indented by two, and `signature`, which is over the same JSON
without it, after a line that no seal begins with. It names images by GUID, size and checksums of their de-identified
bytes, and nothing that identifies.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mdm_async.audit.keys import Keys, key_id
from mdm_async.errors import WrongContent

KIND: Final = "mdm de-identification certificate 1"
_SIGNED: Final = KIND.encode() + b"\n"
_MALFORMED: Final = "this is no de-identification certificate, or it has been changed"


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
        public = private.public_key()
        tree = {
            **asdict(self),
            "certificate": KIND,
            "key": key_id(public),
            "publicKey": base64.b64encode(public.public_bytes_raw()).decode(),
        }
        signature = private.sign(_SIGNED + _text(tree).encode())
        return _text({**tree, "signature": base64.b64encode(signature).decode()})

    @classmethod
    def verified(cls, text: str, keys: Keys | None) -> tuple[Self, str]:
        """What a text certifies, and the id of the key that signed it, which is one of `keys`.

        Without `keys` only that it is as it was signed, by whomever. Raises WrongContent.
        """
        try:
            tree = orjson.loads(text)
            exact = _text(tree) == text and tree.pop("certificate") == KIND
            signature = base64.b64decode(tree.pop("signature"), validate=True)
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(tree["publicKey"], validate=True))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            exact = False
        if not exact:
            raise WrongContent(_MALFORMED, remedy="ask for the file as it was written")
        signed_by = key_id(public)
        try:
            public.verify(signature, _SIGNED + _text({**tree, "certificate": KIND}).encode())
            matching = tree.pop("key") == signed_by
            del tree["publicKey"]
            images = [CertifiedImage(**image) for image in tree.pop("images")]
            found = cls(**tree, images=images)
        except InvalidSignature:
            raise WrongContent(
                "the certificate is not as it was signed", remedy="ask for the file as it was written"
            ) from None
        except (KeyError, TypeError):
            matching = False
        if not matching:
            raise WrongContent(_MALFORMED, remedy="ask for the file as it was written")
        if keys is not None and signed_by not in keys:
            raise WrongContent(
                f"the certificate is signed by the key {signed_by}, which is none of those given",
                remedy="give the public keys of the server that is to have signed it: DIR/audit/audit.pub",
            )
        return found, signed_by

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


def _text(tree: dict[str, Any]) -> str:
    return json.dumps(tree, sort_keys=True, indent=2) + "\n"
