"""De-identification certificates: what is signed stays as it was signed, or is refused."""

import hashlib
import json
import zlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.audit.keys import key_id
from mdm_async.audit.view_certificate import CertifiedImage, ViewCertificate
from mdm_async.errors import WrongContent

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OURS = {key_id(PRIVATE.public_key()): PRIVATE.public_key()}
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
BYTES = b"a de-identified image" * 9


def image(data: bytes, *, hashed: bool = True) -> CertifiedImage:
    sha256 = hashlib.sha256(data).hexdigest() if hashed else None
    return CertifiedImage(
        "a" * 32, "0123456789abcdef.3", len(data), f"{zlib.adler32(data):08x}", "b" * 32, sha256
    )


MADE = ViewCertificate(
    installation="11111111-2222-3333-4444-555555555555",
    at="2026-01-31T12:00:00Z",
    view="cardio",
    profile={"base": "basic", "edition": "2025e", "options": ["retain_uids"], "digest": "d" * 64},
    revision=3,
    states={"ready": 1, "refused": 1},
    withheld={"secondary capture without Burned In Annotation NO": 1},
    went={"PS3.15 basic": {"X": 3, "Z": 2}},
    stayed={"no rule": 40},
    warnings=["keeps (0019,xx10) of Grüße 1.1, which the standard does not list as safe"],
    seen={"a face can be recognised": 1},
    images=[image(BYTES)],
)
TEXT = MADE.signed(PRIVATE)


def test_what_was_signed_is_read_again():
    assert ViewCertificate.verified(TEXT, OURS) == (MADE, next(iter(OURS)))
    assert ViewCertificate.verified(TEXT, None)[0] == MADE


def test_no_byte_can_be_changed_added_or_left_out():
    data = TEXT.encode()
    for at in range(len(data)):
        for changed in (
            data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
            data[:at] + b" " + data[at:],
            data[:at] + data[at + 1 :],
        ):
            try:
                text = changed.decode()
            except UnicodeDecodeError:
                continue
            if changed != data:
                with pytest.raises(WrongContent):
                    ViewCertificate.verified(text, None)


def resigned(**changes: object) -> str:
    """By somebody who has no key of ours."""
    return replace(MADE, **changes).signed(OTHER)


def test_a_certificate_of_another_key_is_told_by_that_key():
    text = resigned(states={"ready": 2})
    assert ViewCertificate.verified(text, None)[1] == key_id(OTHER.public_key())
    with pytest.raises(WrongContent, match=key_id(OTHER.public_key())):
        ViewCertificate.verified(text, OURS)


def test_another_key_cannot_be_put_beside_our_signature_or_its_id_beside_another_key():
    tree, theirs = json.loads(TEXT), json.loads(resigned())
    for mixed in ({**tree, "publicKey": theirs["publicKey"]}, {**theirs, "key": tree["key"]}):
        with pytest.raises(WrongContent):
            ViewCertificate.verified(json.dumps(mixed, sort_keys=True, indent=2) + "\n", OURS)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "x", "[" * 900 + "]" * 900, '{"signature": 7}', TEXT * 2, TEXT[:-1]]
)
def test_what_is_no_certificate_is_none(text):
    with pytest.raises(WrongContent, match="no de-identification certificate"):
        ViewCertificate.verified(text, OURS)


def test_bytes_are_those_of_an_image_or_of_none():
    assert MADE.image_of([BYTES[:7], BYTES[7:]]) == MADE.images[0]
    for other in (BYTES[:-1], BYTES[:-1] + b"!", b""):
        with pytest.raises(WrongContent):
            MADE.image_of([other])
    unread = replace(MADE, images=[image(BYTES, hashed=False)])
    assert unread.image_of([BYTES]).sha256 is None
