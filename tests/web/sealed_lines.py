"""A recipient of the tests' own, and what it makes of a sealed stream."""

import base64

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.stream import Unsealer

PRIVATE = new_private_key()
RECIPIENT = base64.b64encode(public_key(PRIVATE)).decode()


def unsealed(stream: bytes, private: bytes) -> bytes:
    unsealer = Unsealer(private)
    return b"".join([bytes(piece) for piece in (*unsealer.feed(stream), *unsealer.close())])
