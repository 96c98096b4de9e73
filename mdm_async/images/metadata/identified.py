"""What originals say of themselves: opened with their identity secrets, for callers who may identify them."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from cryptography.exceptions import InvalidTag

from mdm_async.catalog.holdings import images
from mdm_async.catalog.metadata import blind
from mdm_async.dicom.attributes import Value
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.parts import record
from mdm_async.images.reading.served import IDENTIFIED_VERSION
from mdm_async.keys.store import IDENTITY, Fetched, KeyStore, Secrets
from mdm_async.names import IDENTIFIED
from mdm_async.postgres.database import Database


async def identified_values(
    database: Database, keys: KeyStore, cipher: CipherPool, wanted: Sequence[UUID]
) -> dict[UUID, dict[str, list[Value]]]:
    """All that these images' originals say, by keyword. Those of which nothing is kept, or opens, are left out.

    Whether the caller has the right `i` on each is asked before. Raises Unavailable.
    """
    async with database.snapshot() as db:
        sealed = await blind.sealed_of(db, wanted)
        registered = await images.registrations(db, list(sealed))
    fetched = await keys.fetch(list(registered.values()), identity=True) if registered else Fetched()
    secrets = {
        image: known for image, one in registered.items() if (known := fetched.of(image, one)) is not None
    }
    return await cipher.run(partial(_opened, sealed, secrets))


def _opened(sealed: dict[UUID, bytes], secrets: dict[UUID, Secrets]) -> dict[UUID, dict[str, list[Value]]]:
    found: dict[UUID, dict[str, list[Value]]] = {}
    for image, said in sealed.items():
        if image in secrets:
            secret = secrets[image].of(IDENTITY)
            try:
                found[image] = record.unseal_attributes(said, secret, image, IDENTIFIED, IDENTIFIED_VERSION)
            except InvalidTag:
                continue
    return found
