"""Receipts of shredding: what was destroyed where, and to whom it had been delivered, signed with the audit's key.

A receipt is a signed text (`signed_text`). It names images and entries by their ids, callers as the audit does, and
nothing that identifies a patient.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.audit import signed_text
from mdm_async.audit.keys import Keys

KIND: Final = "mdm shred receipt 1"
_FIELD: Final = "receipt"
_CALLED: Final = "receipt of shredding"

LIMITS: Final = [
    "Copies that were delivered before stay readable to those who have them, and so do copies registered elsewhere.",
    "A sealed delivery gives its recipient the key of the image's pixels with its first byte.",
    "Deliveries are those that the audit still tells of, of entries that the image had when it was shredded.",
    "Until it is final, old backups, replicas or logs of the databases can give it back together with the old"
    " key-encryption keys.",
    "What a PACS or an archive of the site's own holds is not touched.",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShredReceipt:
    """What was shredded, and how far that had come when this was signed. Times are ISO 8601 in UTC."""

    installation: str
    shred: str
    signed: str
    """When."""
    began: str
    by: str
    """The caller."""
    granted: bool
    """By an administrator's audited grant, instead of rights on every entry."""
    state: str
    """`begun`, `destroyed` (keys in all stores, rows and stored bytes are gone), `final`."""
    destroyed: str | None
    final: str | None
    waiting: list[str]
    """What is missing until it is final, for people."""
    stores: list[dict[str, Any]]
    """Key stores that have destroyed their keys: `store`, `at`, `epoch` of the key-encryption key then in use."""
    images: list[dict[str, Any]]
    """Of each image its `entries`, `views`, `parts`, `blobs`, `bytes`, `replicas`, `cohorts` that lose it, and to whom
    it was `delivered`."""
    limits: list[str]
    """What shredding does not do."""

    def text(self, private: Ed25519PrivateKey) -> str:
        """The signed text."""
        return signed_text.signed(_FIELD, KIND, asdict(self), private)

    @classmethod
    def verified(cls, text: str, keys: Keys | None) -> tuple[Self, str]:
        """What a text says, and the id of the key that signed it, which is one of `keys`.

        Without `keys` only that it is as it was signed, by whomever. Raises WrongContent.
        """
        tree, signed_by = signed_text.opened(_FIELD, KIND, text, keys, _CALLED)
        try:
            return cls(**tree), signed_by
        except TypeError:
            raise signed_text.malformed(_CALLED) from None
