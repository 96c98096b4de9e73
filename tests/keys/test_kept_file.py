"""The server's own file of key-encryption keys: keys come and go, and a crash in between loses none that is needed."""

import base64
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdm_async.errors import Busy
from mdm_async.keys import kept_file
from mdm_async.keys.kept_file import KeptKeks


@pytest.fixture
def kept(tmp_path: Path) -> KeptKeks:
    file = KeptKeks(tmp_path / "kek")
    file.make()
    return file


async def test_a_new_key_stands_above_the_old_one_and_the_old_one_goes(kept: KeptKeks) -> None:
    (old,) = await kept.read()
    kept.add()
    new, below = await kept.read()
    assert below == old != new
    kept.destroy([old])
    assert await kept.read() == [new]
    assert [path.name for path in kept.path.parent.iterdir()] == ["kek"]
    assert kept.path.stat().st_mode & 0o777 == 0o600


async def test_the_last_key_is_never_destroyed(kept: KeptKeks) -> None:
    keks = await kept.read()
    kept.destroy(keks)
    assert await kept.read() == keks


async def test_what_is_destroyed_is_overwritten_where_it_lay(kept: KeptKeks) -> None:
    kept.add()
    _, old = await kept.read()
    with kept.path.open("rb") as where_it_lay:
        kept.destroy([old])
        where_it_lay.seek(0)
        assert set(where_it_lay.read()) == {0}


class Crash(Exception):
    """Stands for a kill: nothing of the change runs after it."""


@pytest.mark.parametrize("call", ["link", "replace", "fsync", "unlink", "_overwrite"])
@pytest.mark.parametrize("before", [True, False])
async def test_a_crash_at_any_step_leaves_all_keys_that_are_needed_and_the_next_start_clears_up(
    kept: KeptKeks, monkeypatch: pytest.MonkeyPatch, call: str, before: bool
) -> None:
    kept.add()
    new, old = await kept.read()
    owner: Any = {"unlink": Path, "replace": Path, "_overwrite": kept_file}.get(call, os)
    real: Callable[..., Any] = getattr(owner, call)

    def crashing(*given: Any, **named: Any) -> Any:
        if not before:
            real(*given, **named)
        raise Crash

    with monkeypatch.context() as broken:
        broken.setattr(owner, call, crashing)
        with pytest.raises(Crash):
            kept.destroy([old])
    assert new in await kept.read()
    assert not kept.make()
    kept.destroy([old])
    assert await kept.read() == [new]
    assert [path.name for path in kept.path.parent.iterdir()] == ["kek"]
    assert base64.b64encode(old) not in b"".join(path.read_bytes() for path in kept.path.parent.iterdir())


async def test_two_nodes_with_one_directory_do_not_change_it_at_once(kept: KeptKeks) -> None:
    before = await kept.read()
    descriptor = os.open(kept.path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(Busy, match="try again"):
            kept.add()
    finally:
        os.close(descriptor)
    assert await kept.read() == before
