"""Coverage-guided fuzzing of cutting and scrubbing; needs `pip install atheris`, and is no part of the tests.

    python -m tests.fuzz.fuzz_scrub CORPUS-DIRECTORY -max_total_time=300 -max_len=20000

The first byte of an input chooses the profile, the rest is the file. A finding is what is neither a named error nor a
sound file; make it a case of tests/dicom/test_fuzz.py. Without seeds in the directory, real files are put there.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mdm_async"]):
    from tests.fuzz.target import check, profiles

SEEDS = "test_files/*.dcm"
_LARGEST = 20_000


def one_input(data: bytes) -> None:
    names = sorted(profiles())
    if data:
        check(data[1:], profiles()[names[data[0] % len(names)]])


def plant_seeds(folder: Path) -> None:
    """Small real files, one for each profile in turn."""
    import pydicom.data

    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        return
    root = Path(pydicom.data.__file__).parent
    small = (path for path in sorted(root.glob(SEEDS)) if path.stat().st_size < _LARGEST)
    for number, path in enumerate(small):
        (folder / path.name).write_bytes(bytes([number % 4]) + path.read_bytes())


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        if not argument.startswith("-"):
            plant_seeds(Path(argument))
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
