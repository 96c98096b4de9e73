"""Parts encrypted under other keys as they lie there, segment by segment: padded or deflated, as it is."""

import os
import zlib
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from uuid import uuid4

from mdm_async.blobs.ahead import one_ahead
from mdm_async.blobs.store import BlobReader
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.crypt4gh.segment import CIPHER_SEGMENT, RUN, SegmentKey
from mdm_async.errors import BadSeal, Damaged
from mdm_async.images.parts.depot import Depot
from mdm_async.images.parts.leases import Leases
from mdm_async.images.reading.opened import opened
from mdm_async.images.reading.view import segments_in
from mdm_async.keys.derive import SALT_BYTES, part_key
from mdm_async.keys.store import Secrets


@dataclass(frozen=True, slots=True, repr=False)
class _Keys:
    """Of one part: the one that opens it, and the one that it is sealed under."""

    before: SegmentKey
    after: SegmentKey
    segments: int

    def anew(self, cipher: bytes | memoryview, first: int) -> bytearray:
        """A run of segments from the `first` on. Raises Damaged."""
        try:
            plain = self.before.decrypt_run(cipher, first, self.segments)
        except BadSeal as why:
            raise Damaged(f"a stored part does not open: {why.detail}") from why
        return self.after.encrypt_run(plain, first, final=first + _segments(cipher) == self.segments)


async def reencrypted(depot: Depot, leases: Leases, part: Part, before: Secrets, after: Secrets) -> Part:
    """The part under the secrets of `after`: its id and sizes stay, a blob is written beside the old one.

    A mebibyte is in memory, and one ahead of it. Raises Damaged.
    """
    made = replace(part, salt=os.urandom(SALT_BYTES))
    keys = _Keys(_key(part, before), _key(made, after), segments_in(part.cipher_size))
    if part.inline is not None:
        sealed = await depot.cipher.run(partial(keys.anew, part.inline, 0))
        return replace(made, inline=bytes(sealed), cipher_adler=zlib.adler32(sealed))
    assert part.blob is not None
    blob, adler = uuid4(), 1
    async with opened(depot.blobs, [(part.blob, part.cipher_size)]) as readers:
        file = await leases.create(blob)
        jobs = (
            partial(_run, readers[part.blob], keys, first, size) for first, size in _runs(part.cipher_size)
        )
        async with aclosing(one_ahead(jobs)) as runs:
            async for run in runs:
                adler = await depot.cipher.run(partial(zlib.adler32, run, adler))
                await file.write(run)
    await file.commit()
    return replace(made, blob=blob, cipher_adler=adler)


def _key(part: Part, secrets: Secrets) -> SegmentKey:
    key = part_key(secrets.of(part.secret), part.salt, part.image, part.id)
    return SegmentKey(key.key, key.prefix)


def _runs(cipher_size: int) -> Iterator[tuple[int, int]]:
    """(first segment, bytes) of each run."""
    for first in range(0, segments_in(cipher_size), RUN):
        yield first, min(RUN * CIPHER_SEGMENT, cipher_size - first * CIPHER_SEGMENT)


async def _run(reader: BlobReader, keys: _Keys, first: int, size: int) -> bytearray:
    return await reader.apply(first * CIPHER_SEGMENT, size, partial(keys.anew, first=first))


def _segments(cipher: bytes | memoryview) -> int:
    return segments_in(len(cipher))
