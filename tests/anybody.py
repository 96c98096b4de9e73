"""A Python that every user of this machine can run; the tests' own may lie in a home."""

import os
import shutil
import sys
from pathlib import Path


def python_for_anybody() -> str:
    own = Path(sys.executable)
    ways = {*own.parents, *own.resolve().parents}
    if os.geteuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in ways):
        return sys.executable
    found = shutil.which("python3", path=os.defpath)
    assert found is not None, "root's tests need a python3 that other users can run"
    return found
