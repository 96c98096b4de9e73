"""Several key-encryption keys: each wrapped thing opens under the one that it was wrapped under, and no other."""

import os
from uuid import UUID, uuid4

import pytest

from mdm_async.errors import Unavailable
from mdm_async.keys.ring import KeyRing
from mdm_async.keys.wrap import Wrapper

INSTALLATION = UUID(int=7)
OLD, NEW = os.urandom(32), os.urandom(32)


def ring(*keks: tuple[bytes, int]) -> KeyRing:
    return KeyRing([Wrapper(kek, INSTALLATION, epoch) for kek, epoch in keks])


def marked(ring: KeyRing, *owner: bytes | str) -> bytes:
    """As the version before wrapped secrets of transfers."""
    return b"\x02" + ring.epoch.to_bytes(4, "big") + ring.wrap(b"s" * 32, *owner)


def test_new_things_are_wrapped_under_the_first_and_old_ones_stay_readable() -> None:
    before, after = ring((OLD, 1)), ring((NEW, 2), (OLD, 1))
    wrapped = marked(before, "grant")
    assert after.unwrap_marked(wrapped, "grant") == b"s" * 32
    assert (before.epoch, after.epoch, before.older, after.older) == (1, 2, [], [1])
    again = marked(after, "grant")
    assert ring((NEW, 2)).unwrap_marked(again, "grant") == b"s" * 32
    with pytest.raises(Unavailable, match="key number 2, which is not here"):
        before.unwrap_marked(again, "grant")


def test_a_key_that_is_not_in_use_yet_opens_what_other_nodes_wrap_under_it() -> None:
    waiting = ring((OLD, 1), (NEW, 2))
    assert (waiting.epoch, waiting.older) == (1, [])
    assert waiting.unwrap_marked(marked(ring((NEW, 2), (OLD, 1)), "x"), "x") == b"s" * 32


def test_what_the_version_before_wrapped_for_a_grant_opens() -> None:
    request = uuid4().bytes
    bare = Wrapper(OLD, INSTALLATION).wrap(b"s" * 32, "grant", request, b"\0\0\0\1")
    assert ring((NEW, 2), (OLD, 1)).unwrap_marked(bare, "grant", request, b"\0\0\0\1") == b"s" * 32
    with pytest.raises(Unavailable):
        ring((NEW, 2), (OLD, 1)).unwrap_marked(bare, "grant", request, b"\0\0\0\2")


def test_an_epoch_that_was_changed_or_taken_away_opens_nothing() -> None:
    both = ring((NEW, 2), (OLD, 1))
    wrapped = marked(both, "x")
    for other in (
        b"\x02\0\0\0\x01" + wrapped[5:],
        wrapped[5:],
        wrapped[:20],
        wrapped[:64],
        b"\x03" + wrapped[1:],
        b"",
    ):
        with pytest.raises(Unavailable):
            both.unwrap_marked(other, "x")
