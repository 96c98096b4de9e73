"""X25519 keys as text: the PEM-like files of the reference tools, and the bare base64 of a public key.

A private key file holds, between its BEGIN and END lines, the base64 of
'c4gh-v1' ‖ kdf ‖ [kdf options] ‖ cipher ‖ key ‖ [comment], each field led by its length as u16, big endian;
the options are u32 rounds ‖ salt, the key under a passphrase is nonce(12) ‖ ciphertext ‖ tag(16).
https://crypt4gh.readthedocs.io/en/latest/keys.html

Nothing here touches a file; whoever writes a private key gives it mode 0400. What is wrong with a key is a
BadRequest that quotes nothing of it.
"""

import base64
import binascii
import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mdm_async.crypt4gh.exchange import agree
from mdm_async.crypt4gh.segment import NONCE, TAG
from mdm_async.errors import BadRequest, BadSeal, NotSupported

_MAGIC: Final = b"c4gh-v1"
_SSH_MAGIC: Final = b"openssh-key-v1"
_CIPHER: Final = b"chacha20_poly1305"
_SALT: Final = 16
_MAX_ROUNDS: Final = 10_000_000
_MAX_TEXT: Final = 16_384
_MAKE_ONE: Final = "make a key pair with crypt4gh-keygen"


def format_public_key(public: bytes) -> str:
    """The public key file's text."""
    return _frame("PUBLIC", _demand_size(public))


def parse_public_key(text: str | bytes) -> bytes:
    """The 32 bytes of a public key file. BadRequest, or NotSupported for an OpenSSH key."""
    content = _text(text)
    if content.startswith(("ssh-", "ecdsa-")):
        raise NotSupported("OpenSSH public keys are not read", remedy=_MAKE_ONE)
    return _demand_public(_unframe("PUBLIC", content))


def parse_recipient(text: str | bytes) -> bytes:
    """A recipient's public key as users give it: a public key file's text, or base64 of the 32 bytes alone
    (the URL-safe alphabet and missing padding are accepted)."""
    content = _text(text)
    if content.startswith(("-----", "ssh-", "ecdsa-")):
        return parse_public_key(content)
    ordinary = content.rstrip("=").translate(str.maketrans("-_", "+/"))
    return _demand_public(_decode(ordinary + "=" * (-len(ordinary) % 4)))


def format_private_key(private: bytes, passphrase: str | None = None, *, comment: str | None = None) -> str:
    """The private key file's text; with a passphrase locked by scrypt, as the reference does."""
    key = _demand_size(private)
    if passphrase:
        salt, nonce = os.urandom(_SALT), os.urandom(NONCE)
        aead = ChaCha20Poly1305(_derive(b"scrypt", passphrase, salt, 0))
        sealed = nonce + aead.encrypt(nonce, key, None)
        fields = [b"scrypt", bytes(4) + salt, _CIPHER, sealed]
    else:
        fields = [b"none", b"none", key]
    if comment is not None:
        fields.append(comment.encode())
    return _frame("PRIVATE", _MAGIC + b"".join(len(f).to_bytes(2, "big") + f for f in fields))


def needs_passphrase(text: str | bytes) -> bool:
    """Whether a private key file is locked, so that its user is asked only then."""
    return _Fields(_unframe("PRIVATE", _text(text))).take() != b"none"


def parse_private_key(text: str | bytes, passphrase: str | None = None) -> bytes:
    """The 32 bytes of a private key file.

    BadRequest when it is malformed, or the passphrase is missing or wrong; NotSupported for OpenSSH keys and
    for a bcrypt lock. Deriving the key from a passphrase takes some 50 ms and 16 MiB.
    """
    fields = _Fields(_unframe("PRIVATE", _text(text)))
    kdf = fields.take()
    options = b"" if kdf == b"none" else fields.take()
    cipher, material = fields.take(), fields.take()
    if kdf == b"none" and cipher == b"none":
        return _demand_size(material)
    if kdf == b"none" or cipher != _CIPHER or len(options) < 4:
        raise BadRequest("the private key is locked in an unknown way", remedy=_MAKE_ONE)
    if not passphrase:
        raise BadRequest("the private key is locked", remedy="give its passphrase")
    key = _derive(kdf, passphrase, options[4:], int.from_bytes(options[:4], "big"))
    if len(material) < NONCE + TAG:
        raise BadRequest("the private key is malformed")
    try:
        return _demand_size(ChaCha20Poly1305(key).decrypt(material[:NONCE], material[NONCE:], None))
    except InvalidTag:
        raise BadRequest("the private key does not open", remedy="give its right passphrase") from None


def _derive(kdf: bytes, passphrase: str, salt: bytes, rounds: int) -> bytes:
    if kdf == b"scrypt":
        return hashlib.scrypt(passphrase.encode(), salt=salt, n=1 << 14, r=8, p=1, dklen=32)
    if kdf == b"pbkdf2_hmac_sha256" and 0 < rounds <= _MAX_ROUNDS:
        return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, rounds, dklen=32)
    if kdf == b"bcrypt":
        raise NotSupported("private keys locked with bcrypt are not read", remedy="crypt4gh-keygen --relock")
    raise BadRequest("the private key is locked in an unknown way", remedy=_MAKE_ONE)


class _Fields:
    """The length-led fields of a private key, taken one by one."""

    def __init__(self, data: bytes) -> None:
        if data.startswith(_SSH_MAGIC):
            raise NotSupported("OpenSSH private keys are not read", remedy=_MAKE_ONE)
        if not data.startswith(_MAGIC):
            raise BadRequest("not a Crypt4GH private key", remedy=_MAKE_ONE)
        self._data = data[len(_MAGIC) :]

    def take(self) -> bytes:
        length = int.from_bytes(self._data[:2], "big")
        field, self._data = self._data[2 : 2 + length], self._data[2 + length :]
        if not length or len(field) < length:
            raise BadRequest("the private key is malformed")
        return field


def _text(text: str | bytes) -> str:
    if len(text) > _MAX_TEXT:
        raise BadRequest("this is too long for a key")
    try:
        return (text if isinstance(text, str) else text.decode("ascii")).strip()
    except UnicodeDecodeError:
        raise BadRequest("a key is ASCII text", remedy=_MAKE_ONE) from None


def _frame(kind: str, data: bytes) -> str:
    body = base64.b64encode(data).decode()
    return f"-----BEGIN CRYPT4GH {kind} KEY-----\n{body}\n-----END CRYPT4GH {kind} KEY-----\n"


def _unframe(kind: str, content: str) -> bytes:
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if not lines or not lines[0].startswith("-----BEGIN ") or not lines[-1].startswith("-----END "):
        raise BadRequest(f"not a {kind.lower()} key file", remedy=_MAKE_ONE)
    if "OPENSSH" in lines[0]:
        raise NotSupported(f"OpenSSH {kind.lower()} keys are not read", remedy=_MAKE_ONE)
    if f"{kind} KEY" not in lines[0]:
        raise BadRequest(
            f"this key file is not a {kind.lower()} key", remedy="give the other file of the pair"
        )
    return _decode("".join(lines[1:-1]))


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("the key is not base64") from None


def _demand_size(key: bytes) -> bytes:
    if len(key) != 32:
        raise BadRequest("an X25519 key is 32 bytes")
    return bytes(key)


def _demand_public(key: bytes) -> bytes:
    """Refuse a point of low order early, rather than when something is to be sealed for it."""
    try:
        agree(b"\x40" * 32, _demand_size(key))
    except BadSeal as error:
        raise BadRequest(error.detail, remedy=error.remedy) from None
    return key
