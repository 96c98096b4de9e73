"""Derived keys: the same from the same, different from anything else."""

import os
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag

from mdm_async.keys.derive import RecordCipher, SealedKeys, part_key


def test_a_part_key_depends_on_all_that_names_the_part() -> None:
    secret, salt, image, part = os.urandom(32), os.urandom(32), uuid4(), uuid4()
    made = [
        part_key(secret, salt, image, part),
        part_key(os.urandom(32), salt, image, part),
        part_key(secret, os.urandom(32), image, part),
        part_key(secret, salt, uuid4(), part),
        part_key(secret, salt, image, uuid4()),
    ]
    assert part_key(secret, salt, image, part) == made[0]
    assert len({bytes(m.key) for m in made}) == len({m.prefix for m in made}) == 5
    assert (len(made[0].key), len(made[0].prefix)) == (32, 7)


def test_the_derivation_is_the_one_that_stored_images_were_made_with() -> None:
    """A change here makes every stored image unreadable: it needs a new format version."""
    from uuid import UUID

    made = part_key(bytes(32), bytes(32), UUID(int=1), UUID(int=2))
    assert made.key.hex() == "220f3fbed3ed9e76af7b538433f6ccc1f1dffea4d3e44a3cb8b940d2a248c957"
    assert made.prefix.hex() == "5fa53b26c55e5e"
    keys = SealedKeys(bytes(32), bytes(32))
    assert keys.sender_private().hex() == "765520a91c845cbc1058ec86743e2cff30b1deb12e77072b47ae6fe52b0ca2b5"


def test_no_two_keys_or_nonces_of_a_sealed_transfer_are_equal() -> None:
    keys = SealedKeys(os.urandom(32), os.urandom(32))
    derived = [keys.sender_private(), *(bytes(keys.part(i).key) for i in range(3))]
    assert len(set(derived)) == 4
    assert len({keys.packet_nonce(i) for i in range(4)}) == 4


def test_a_record_opens_for_its_view_only() -> None:
    secret, image = os.urandom(32), uuid4()
    cipher = RecordCipher(secret, image)
    sealed = cipher.seal(b"record", "basic", "v1", os.urandom(12))
    assert cipher.open(sealed, "basic", "v1") == b"record"
    for other, view, version in (
        (cipher, "identified", "v1"),
        (cipher, "basic", "v2"),
        (RecordCipher(os.urandom(32), image), "basic", "v1"),
        (RecordCipher(secret, uuid4()), "basic", "v1"),
    ):
        with pytest.raises(InvalidTag):
            other.open(sealed, view, version)
