"""Storage commitment by push (PS3.4 Annex J): whether what a device has sent is kept here, so that it may forget it.

It is told of its own directory alone, whatever others hold: yes, where an original with that SOP class and instance
lies there, its bytes stored for good.
"""

import os
import zlib
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from cryptography.exceptions import InvalidTag

from mdm_async.blobs.store import BlobStore
from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.filemeta import is_uid
from mdm_async.dicom.query_keys import Referenced, asked_to_commit, committed
from mdm_async.errors import Damaged, Malformed
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.fairness.turns import Turns
from mdm_async.images.studies.holding import TOGETHER, Held, Instance, held
from mdm_async.keys.derive import NONCE_BYTES, BlindIndex, MappingCipher
from mdm_async.names import Caller, Lfn
from mdm_async.pacs.dimse.answers import Unfit
from mdm_async.postgres.database import Database

KEPT: Final = "/commitment"
"""The key that seals requests. No project has a name like that."""
COMMITMENT: Final = "1.2.840.10008.1.20.1"
INSTANCE: Final = "1.2.840.10008.1.20.1.1"
"""The well-known one that is asked."""
REQUEST: Final = 1
"""The type of its only action."""
MOST_INSTANCES: Final = 10_000
"""In one request."""
MOST_REQUEST: Final = 4 << 20
"""Bytes of one."""
ALL, SOME = 1, 2
"""Types of events: all are committed, or not all."""
NO_SUCH_INSTANCE, NO_SUCH_ACTION, OTHER_CLASS, BAD_ARGUMENT = 0x0112, 0x0123, 0x0119, 0x0115
_REASONS: Final = {Held.NO: NO_SUCH_INSTANCE, Held.OTHER_CLASS: OTHER_CLASS}
_WEIGHT: Final = 16
"""Looking for so many as are asked about at once takes as long as so many files of a request."""


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """What is to be committed."""

    transaction: str
    instances: list[Referenced]

    def text(self) -> bytes:
        """To be kept; UIDs of one study have much in common."""
        lines = (self.transaction, *(" ".join(one) for one in self.instances))
        return zlib.compress("\n".join(lines).encode(), 1)

    @classmethod
    def of_text(cls, text: bytes) -> Self:
        transaction, *lines = zlib.decompress(text).decode().split("\n")
        return cls(transaction, [Referenced(*line.split(" ")) for line in lines])


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """What came of it."""

    event: int
    transaction: str
    held: list[Referenced]
    failed: list[tuple[Referenced, int]]

    def data_set(self, encoding: Encoding) -> bytes:
        return committed(self.transaction, self.held, self.failed, encoding)


@dataclass(frozen=True, slots=True)
class Commitment:
    """Of one node."""

    database: Database
    blobs: BlobStore
    turns: Turns
    cipher: CipherPool
    index: BlindIndex
    seals: MappingCipher
    """For what is asked while it is kept."""

    async def parse(self, data: bytes, encoding: Encoding) -> Asked:
        """Raises Unfit."""
        try:
            work = partial(asked_to_commit, data, encoding, MOST_INSTANCES)
            transaction, instances = await self.cipher.run(work)
        except Malformed as why:
            raise Unfit(why.detail, BAD_ARGUMENT) from None
        if not is_uid(transaction) or not instances:
            raise Unfit("there is no Transaction UID, or nothing to commit", BAD_ARGUMENT)
        if not all(is_uid(one.sop_class) and is_uid(one.instance) for one in instances):
            raise Unfit("what is to be committed is not named by UIDs", BAD_ARGUMENT)
        return Asked(transaction, instances)

    async def sealed(self, asked: Asked) -> bytes:
        return await self.cipher.run(lambda: self.seals.seal(asked.text(), os.urandom(NONCE_BYTES)))

    async def opened(self, asked: bytes) -> Asked:
        """Raises Damaged."""
        try:
            return await self.cipher.run(lambda: Asked.of_text(self.seals.open(asked)))
        except InvalidTag:
            raise Damaged("a request for storage commitment does not open") from None

    async def report(self, caller: Caller, directory: Lfn, asked: Asked) -> Report:
        """Raises Unavailable, TooManyRequests."""
        told: list[Held] = []
        with self.turns.serving(caller.payer):
            for start in range(0, len(asked.instances), TOGETHER):
                some = [Instance(*one) for one in asked.instances[start : start + TOGETHER]]
                async with self.turns.turn(caller.payer, _WEIGHT):
                    told += await held(self.database, self.blobs, self.index, caller, directory, some)
        pairs = list(zip(asked.instances, told, strict=True))
        kept = [one for one, is_held in pairs if is_held is Held.YES]
        failed = [(one, _REASONS[is_held]) for one, is_held in pairs if is_held is not Held.YES]
        return Report(SOME if failed else ALL, asked.transaction, kept, failed)
