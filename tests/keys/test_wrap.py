"""Wrapped secrets open where they belong, and nowhere else."""

import os
from uuid import uuid4

import pytest

from mdm_async.errors import Unavailable
from mdm_async.keys.wrap import Wrapper


def test_a_secret_opens_for_its_owner_only() -> None:
    installation, kek, secret = uuid4(), os.urandom(32), os.urandom(32)
    wrapper = Wrapper(kek, installation)
    wrapped = wrapper.wrap(secret, "image", b"\x01")
    assert secret not in wrapped
    assert wrapper.unwrap(wrapped, 1, "image", b"\x01") == secret
    for owner in (
        ("identity", b"\x01"),
        ("image", b"\x02"),
        ("image",),
        ("imag", b"e\x01"),
        ("image", b"\x01", b""),
    ):
        with pytest.raises(Unavailable, match="does not open"):
            wrapper.unwrap(wrapped, 1, *owner)


def test_another_key_installation_or_epoch_opens_nothing() -> None:
    installation, kek = uuid4(), os.urandom(32)
    wrapped = Wrapper(kek, installation).wrap(b"secret", "x")
    for other in (
        Wrapper(os.urandom(32), installation),
        Wrapper(kek, uuid4()),
        Wrapper(kek, installation, epoch=2),
    ):
        with pytest.raises(Unavailable):
            other.unwrap(wrapped, other.epoch, "x")
    with pytest.raises(Unavailable):
        Wrapper(kek, installation).unwrap(wrapped, 2, "x")


def test_wrapping_twice_gives_different_bytes() -> None:
    wrapper = Wrapper(os.urandom(32), uuid4())
    assert wrapper.wrap(b"secret", "x") != wrapper.wrap(b"secret", "x")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Wrapper(b"short", uuid4())
