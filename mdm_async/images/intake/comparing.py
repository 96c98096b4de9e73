"""A body whose sender told its digests: they are compared when it is whole, before anything of it counts."""

from collections.abc import AsyncIterator, Sequence
from functools import partial

from mdm_async.errors import WrongContent
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.parts.hashing import Digest, Hashing


async def compared(
    cipher: CipherPool, body: AsyncIterator[bytes], announced: Sequence[Digest]
) -> AsyncIterator[bytes]:
    """The body's bytes. Raises WrongContent instead of ending when one of the digests is not theirs."""
    hashing = Hashing(one.algorithm for one in announced)
    async for chunk in body:
        await cipher.run(partial(hashing.update, chunk))
        yield chunk
    found = hashing.digests()
    for one in announced:
        if found[one.algorithm] != one.value:
            # Neither value is told: that of an original would identify it.
            raise WrongContent(
                f"the {one.algorithm.upper()} is not that of what arrived", remedy="send the file again"
            )
