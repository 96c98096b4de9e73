"""Keys that are zeros before their memory is anybody else's."""

import os

from mdm_async.keys.wiped import Wiped


def test_a_key_that_nobody_holds_is_overwritten() -> None:
    key = Wiped(os.urandom(32))
    key.__del__()  # what Python calls; afterwards the bytes could not be looked at
    assert key == bytes(32)


def test_a_key_shows_itself_nowhere() -> None:
    key = Wiped(b"0123456789abcdef")
    assert "0123" not in f"{key} {key!r} {[key]}" + str(key)
