"""Key files: ours read by us, the reference's in test_reference.py."""

import base64
import os

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.crypt4gh.exchange import public_key
from mdm_async.crypt4gh.keyfile import (
    format_private_key,
    format_public_key,
    needs_passphrase,
    parse_private_key,
    parse_public_key,
    parse_recipient,
)
from mdm_async.errors import BadRequest, NotSupported

PRIVATE = bytes(range(32))
PUBLIC = public_key(PRIVATE)
SSH = Ed25519PrivateKey.from_private_bytes(PRIVATE)


def private_file(content: bytes) -> str:
    body = base64.b64encode(content).decode()
    return f"-----BEGIN CRYPT4GH PRIVATE KEY-----\n{body}\n-----END CRYPT4GH PRIVATE KEY-----\n"


def fields(*values: bytes) -> bytes:
    return b"c4gh-v1" + b"".join(len(v).to_bytes(2, "big") + v for v in values)


def test_a_public_key_comes_back() -> None:
    text = format_public_key(PUBLIC)
    assert text.startswith("-----BEGIN CRYPT4GH PUBLIC KEY-----\n")
    assert parse_public_key(text) == PUBLIC
    assert parse_public_key(f"\r\n{text}\r\n".encode()) == PUBLIC


@pytest.mark.parametrize(
    ("passphrase", "comment"), [(None, None), (None, "me"), ("påss", None), ("påss", "me")]
)
def test_a_private_key_comes_back(passphrase: str | None, comment: str | None) -> None:
    text = format_private_key(PRIVATE, passphrase, comment=comment)
    assert needs_passphrase(text) == (passphrase is not None)
    assert parse_private_key(text, passphrase) == PRIVATE


def test_an_empty_passphrase_is_none() -> None:
    assert parse_private_key(format_private_key(PRIVATE, "")) == PRIVATE


@pytest.mark.parametrize(("given", "reason"), [(None, "locked"), ("", "locked"), ("wrong", "does not open")])
def test_a_locked_key_needs_its_passphrase(given: str | None, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason) as caught:
        parse_private_key(format_private_key(PRIVATE, "right"), given)
    assert "passphrase" in caught.value.remedy


def test_a_key_locked_with_bcrypt_is_refused_with_a_remedy() -> None:
    locked = private_file(fields(b"bcrypt", bytes(20), b"chacha20_poly1305", bytes(60)))
    with pytest.raises(NotSupported, match="bcrypt") as caught:
        parse_private_key(locked, "pass")
    assert "--relock" in caught.value.remedy


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"c4gh-v2",
        b"c4gh-v1",
        b"c4gh-v1\xff\xffnone",
        fields(b"none", b"none"),
        fields(b"none", b"none", bytes(31)),
        fields(b"none", b"chacha20_poly1305", bytes(60)),
        fields(b"scrypt", b"abc", b"chacha20_poly1305", bytes(60)),
        fields(b"scrypt", bytes(20), b"aes", bytes(60)),
        fields(b"scrypt", bytes(20), b"none", bytes(32)),
        fields(b"scrypt", bytes(20), b"chacha20_poly1305", bytes(27)),
        fields(b"unknown", bytes(20), b"chacha20_poly1305", bytes(60)),
        fields(b"pbkdf2_hmac_sha256", bytes(20), b"chacha20_poly1305", bytes(60)),
        fields(b"pbkdf2_hmac_sha256", b"\xff" * 20, b"chacha20_poly1305", bytes(60)),
    ],
)
def test_malformed_private_keys_are_refused(content: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_private_key(private_file(content), "pass")


@pytest.mark.parametrize(
    "text", ["", "hello", format_public_key(PUBLIC), "-----BEGIN X-----\n????\n-----END X-----"]
)
def test_what_is_no_private_key_file_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_private_key(text)


def test_openssh_keys_are_refused_by_name() -> None:
    pem = SSH.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    line = SSH.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    with pytest.raises(NotSupported, match="OpenSSH"):
        parse_private_key(pem)
    for parse in (parse_public_key, parse_recipient):
        with pytest.raises(NotSupported, match="OpenSSH"):
            parse(line)


def test_a_private_key_given_as_recipient_is_refused_and_not_quoted() -> None:
    text = format_private_key(PRIVATE)
    with pytest.raises(BadRequest, match="not a public key") as caught:
        parse_recipient(text)
    assert text.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        format_public_key(PUBLIC),
        base64.b64encode(PUBLIC).decode(),
        base64.b64encode(PUBLIC).decode().rstrip("="),
        base64.urlsafe_b64encode(PUBLIC).decode(),
        base64.b64encode(PUBLIC) + b"\n",
    ],
)
def test_a_recipient_is_a_key_file_or_bare_base64(text: str | bytes) -> None:
    assert parse_recipient(text) == PUBLIC


def test_the_url_safe_alphabet_is_read() -> None:
    public = b"\xfb\xff" * 15 + b"\x01\x02"
    assert "-" in base64.urlsafe_b64encode(public).decode()
    assert parse_recipient(base64.urlsafe_b64encode(public).decode()) == public


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AAAA",
        "%" * 43,
        base64.b64encode(bytes(33)).decode(),
        base64.b64encode(bytes(32)).decode(),  # a point of low order
        "A" * 100_000,
        b"\xff" * 32,
        "é" * 43,
    ],
)
def test_what_is_no_recipient_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadRequest):
        parse_recipient(text)


def test_errors_quote_no_passphrase() -> None:
    with pytest.raises(BadRequest) as caught:
        parse_private_key(format_private_key(os.urandom(32), "right"), "hunter2")
    assert "hunter2" not in str(caught.value)
