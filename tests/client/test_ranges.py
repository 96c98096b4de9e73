"""Ranges of a view, clear and sealed: the bytes asked for, and no more ciphertext than they need."""

import itertools
import os

import pytest

from mdm_async import errors
from mdm_async.crypt4gh.segment import CIPHER_SEGMENT

SURL = "/vo/a.dcm"
IMAGE = os.urandom(400_000)


@pytest.mark.parametrize("sealed", [False, True])
async def test_any_range_is_what_lies_there(fake, client, sealed):
    fake.files[SURL] = IMAGE
    edges = [
        0,
        1,
        65_535,
        65_536,
        65_537,
        79_999,
        80_000,
        80_001,
        145_536,
        319_999,
        320_001,
        399_999,
        400_000,
    ]
    async with await client.open(SURL, sealed=sealed) as file:
        for start, stop in itertools.combinations_with_replacement(edges, 2):
            assert await file.pull.read(start, stop) == IMAGE[start:stop], (start, stop)


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_range_past_the_end_is_refused(fake, client, sealed):
    fake.files[SURL] = IMAGE
    with pytest.raises(errors.BadRequest):
        await client.read(SURL, len(IMAGE) + 1, len(IMAGE) + 2, sealed=sealed)


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_range_that_ends_past_the_end_ends_at_the_end(fake, client, sealed):
    fake.files[SURL] = IMAGE
    assert await client.read(SURL, 399_000, 500_000, sealed=sealed) == IMAGE[399_000:]


async def test_a_sealed_range_fetches_the_header_once_and_then_the_covering_segments(fake, client):
    fake.files[SURL] = IMAGE
    async with await client.open(SURL, sealed=True) as file:
        assert await file.pull.read(200_000, 200_010) == IMAGE[200_000:200_010]
        assert await file.pull.read(300_000, 300_010) == IMAGE[300_000:300_010]
    header, first, second = fake.gets
    assert header.startswith("bytes=0-")
    for fetched in (first, second):
        start, stop = map(int, fetched.removeprefix("bytes=").split("-"))
        assert stop + 1 - start == CIPHER_SEGMENT
