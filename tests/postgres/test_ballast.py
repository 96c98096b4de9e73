"""The file that keeps room on Postgres's disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mdm_async.postgres.embedded.ballast import Ballast
from tests.small_disk import MIB, fill, free, small_disk

SIZE, RESERVE = 40 * MIB, 80 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 160 * MIB) as place:
        yield place


def test_it_is_given_up_on_a_full_disk_and_made_when_there_is_room_beside_the_reserve(disk: Path) -> None:
    ballast = Ballast(disk / "ballast", SIZE, RESERVE)
    ballast.trim()
    assert ballast.held
    assert free(disk) <= 120 * MIB
    filler = fill(disk)
    ballast.trim()
    assert not ballast.held
    assert free(disk) >= SIZE
    ballast.trim()
    assert not ballast.held
    with filler.open("r+b") as file:
        file.truncate(60 * MIB)  # room for it, and not for the reserve beside it
    ballast.trim()
    assert not ballast.held
    filler.unlink()
    ballast.trim()
    assert ballast.held


def test_one_that_was_begun_and_not_finished_is_made_anew(disk: Path) -> None:
    (disk / "ballast").write_bytes(b"begun")
    ballast = Ballast(disk / "ballast", SIZE, RESERVE)
    assert not ballast.held
    ballast.trim()
    assert ballast.held


def test_without_a_size_there_is_none(disk: Path) -> None:
    Ballast(disk / "ballast", SIZE, RESERVE).trim()
    none = Ballast(disk / "ballast", 0, RESERVE)
    none.trim()
    assert not none.held
    assert not (disk / "ballast").exists()
