"""Files that nobody says are DICOM are looked into: in chunks of any size the same is found."""

import os

import pytest

from mdm_async.dicom.looks import LOOKED_AT, Within, begins_as_dicom
from tests.dicom.disguises import CT, DISGUISES, TEXT


def is_dicom(data: bytes, size: int) -> bool:
    if begins_as_dicom(data[:LOOKED_AT]):
        return True
    within = Within()
    for start in range(0, len(data), size):
        within.feed(data[start : start + size])
    within.close()
    return within.found


@pytest.mark.parametrize("size", [61, 4096, 1 << 20])
@pytest.mark.parametrize("disguise", DISGUISES)
def test_dicom_is_found_in_whatever_disguise(disguise: str, size: int) -> None:
    assert is_dicom(DISGUISES[disguise](), size)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        bytes(100_000),
        TEXT * 3000,
        b"DICM",
        b"PK\x03\x04" * 50_000,
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
        b"\xfd7zXZ\0",
        CT[1000:],
    ],
    ids=["empty", "zero", "zeros", "text", "word", "members", "member", "gzip", "xz", "pixels"],
)
def test_all_else_is_let_be(data: bytes) -> None:
    assert not is_dicom(data, 1 << 16)


def test_noise_is_let_be() -> None:
    for _ in range(200):
        assert not is_dicom(b"\xff" + os.urandom(5000), 1 << 16)
