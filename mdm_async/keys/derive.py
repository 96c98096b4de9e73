"""Keys that are derived, never stored: of parts, of view records, of sealed transfers.

HKDF-SHA256 (RFC 5869). Every derivation has its own salt and label, so that no key and no nonce ever repeats.
"""

import base64
import hmac
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mdm_async.keys.wiped import Wiped

SALT_BYTES = 32
SEED_BYTES = 32
FORMAT = 1
"""Version of the stored format; part of every derivation."""

_KEY_BYTES, _PREFIX_BYTES, NONCE_BYTES = 32, 7, 12


@dataclass(frozen=True, slots=True, repr=False)
class StreamKey:
    """A segment key, wiped when nobody needs it any more, and the nonce prefix that goes with it."""

    key: Wiped
    prefix: bytes

    @classmethod
    def derived(cls, secret: bytes, salt: bytes, info: bytes) -> Self:
        made = Wiped(_KEY_BYTES + _PREFIX_BYTES)
        HKDF(SHA256(), len(made), salt, info).derive_into(secret, made)
        view = memoryview(made)
        return cls(Wiped(view[:_KEY_BYTES]), bytes(view[_KEY_BYTES:]))


def part_key(secret: bytes, salt: bytes, image: UUID, part: UUID) -> StreamKey:
    """Key and prefix of one stored part; `salt` is fresh for every attempt to write it."""
    return StreamKey.derived(secret, salt, b"mdm part" + bytes([FORMAT]) + image.bytes + part.bytes)


class RecordCipher:
    """Seals a view's record (sizes, checksums, parts) under one of its image's secrets."""

    def __init__(self, secret: bytes, image: UUID) -> None:
        self._cipher = AESGCMSIV(_hkdf(secret, image.bytes, b"mdm view record" + bytes([FORMAT]), _KEY_BYTES))
        self._image = image.bytes

    def seal(self, record: bytes, view: str, version: str, nonce: bytes) -> bytes:
        return nonce + self._cipher.encrypt(nonce, record, self._bind(view, version))

    def open(self, sealed: bytes, view: str, version: str) -> bytes:
        """Raises cryptography's InvalidTag when the record is not this view's."""
        return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._bind(view, version))

    def reseal(self, other: Self, sealed: bytes, view: str, version: str, nonce: bytes) -> bytes:
        """What `other` sealed, under this one's secret. Raises as `open`."""
        return self.seal(other.open(sealed, view, version), view, version, nonce)

    def _bind(self, view: str, version: str) -> bytes:
        return b"\0".join((self._image, view.encode(), version.encode()))


class PseudonymFinder:
    """Digests by which a pseudonym is found again; without the key they link nothing to anything."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, pseudonym: str) -> bytes:
        """16 bytes."""
        return hmac.digest(self._key, pseudonym.encode(), "sha256")[:16]


class BlindIndex:
    """Digests by which an original is found again by whoever knows a value of it. Who sees them sees which are equal;
    without the key, not of what.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, tag: int, value: str) -> bytes:
        """16 bytes; of the same value of another attribute others."""
        told = b"mdm blind index" + bytes([FORMAT]) + tag.to_bytes(4, "big") + value.encode()
        return hmac.digest(self._key, told, "sha256")[:16]


class EntryBindings:
    """Binds entries to the images they were given. `demanded`: none is without a binding any more."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.demanded = False

    def of(self, guid: UUID, image: UUID, only_view: str | None) -> bytes:
        """16 bytes."""
        told = b"mdm entry%c%b%b%b" % (FORMAT, guid.bytes, image.bytes, (only_view or "").encode())
        return blake2b(told, digest_size=16, key=self._key).digest()

    def fits(self, guid: UUID, image: UUID, only_view: str | None, binding: bytes | None) -> bool:
        """Whether the entry points to what it was given."""
        if binding is None:
            return not self.demanded
        return hmac.compare_digest(binding, self.of(guid, image, only_view))


class MappingCipher:
    """Seals a project's mapping of patients to subjects under the project's key."""

    def __init__(self, key: bytes, project: str) -> None:
        self._cipher = AESGCMSIV(
            _hkdf(key, project.encode(), b"mdm project mapping" + bytes([FORMAT]), _KEY_BYTES)
        )

    def seal(self, mapping: bytes, nonce: bytes) -> bytes:
        return nonce + self._cipher.encrypt(nonce, mapping, None)

    def open(self, sealed: bytes) -> bytes:
        """Raises cryptography's InvalidTag when the mapping is not this project's."""
        return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)


def turl_token(secret: bytes) -> str:
    """The token of a transfer URL, from its grant's own secret: 256 bits, which do not disclose the secret."""
    made = hmac.digest(secret, b"mdm transfer url" + bytes([FORMAT]), "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def mirror_seed(secret: bytes, credential: str) -> bytes:
    """Of the Ed25519 key by which an installation signs what it says with this mirror's credential."""
    return _hkdf(secret, credential.encode(), b"mdm mirror signing" + bytes([FORMAT]), _KEY_BYTES)


class SealedKeys:
    """All that a sealed transfer needs, from its random seed and the digest of what it carries.

    The same seed and context give the same bytes on every request, node and restart.
    """

    def __init__(self, seed: bytes, context: bytes) -> None:
        self._seed, self._context = seed, context

    def sender_private(self) -> bytes:
        return self._expand("sender key", _KEY_BYTES)

    def part(self, index: int) -> StreamKey:
        return StreamKey.derived(self._seed, self._context, _label(f"part {index}"))

    def packet_nonce(self, index: int) -> bytes:
        return self._expand(f"packet nonce {index}", NONCE_BYTES)

    def _expand(self, label: str, length: int) -> bytes:
        return _hkdf(self._seed, self._context, _label(label), length)


def _label(of: str) -> bytes:
    return b"mdm sealed " + bytes([FORMAT]) + of.encode()


def _hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)
