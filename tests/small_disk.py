"""A file system of limited size, and what fills it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1 << 20


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """So many bytes, mounted there. Only root may do that."""
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=False)
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def free(place: Path) -> int:
    """Bytes."""
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize


def fill(place: Path) -> Path:
    """Another's file that takes all that is free at one moment, and no more of what is given up for it."""
    filler = place / "filler"
    with filler.open("wb") as file:
        left = free(place)
        while left:
            try:
                os.posix_fallocate(file.fileno(), 0, left)
                break
            except OSError:  # somebody wrote meanwhile
                left = max(0, left - 65536)
    return filler
