"""Whom a directory follows: a credential, an installation that was the first to show it, and the key by which that
signs."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mdm_async.catalog import installation
from mdm_async.catalog.mirrors import followed
from mdm_async.catalog.mirrors.followed import FOLLOWING, Followed
from mdm_async.client.signed_records import is_signed
from mdm_async.errors import Conflict, Unauthenticated
from mdm_async.postgres.database import Database


@dataclass(frozen=True, slots=True, repr=False)
class Recognising:
    database: Database

    async def shown(self, credential: str) -> Followed:
        """Whose credential it is. Raises Unauthenticated."""
        async with self.database.acquire() as db:
            found = await followed.shown(db, credential)
        if found is None:
            raise Unauthenticated(
                "no mirror has this credential", remedy="mdm mirror accept, at the second site"
            )
        return found

    def demand_signed(self, key: bytes | None, verb: str, body: bytes | bytearray, signature: str) -> None:
        """Return when the first says this. Raises Unauthenticated."""
        if key is None or not is_signed(key, verb, body, signature):
            raise Unauthenticated(
                "this is not signed by the installation that the mirror follows",
                remedy="mdm mirror add, at the first site, with another credential: mdm mirror accept",
            )

    async def hello(
        self, name: str, first: UUID, key: bytes, epoch: int | None, complete: datetime | None
    ) -> tuple[Followed, UUID]:
        """What follows, and this installation. `complete`: up to when the first, which has signed with `key`, has sent
        everything. Raises Fenced, Conflict."""
        async with self.database.transaction() as db:
            here = await followed.get(db, name)
            if here is not None and here.key is not None:
                _demand_known(here, first, key)
            if here is None or here.state != FOLLOWING or epoch not in (None, here.epoch):
                raise followed.fenced(name)
            own = await installation.identity(db)
            if first == own:
                raise Conflict(
                    "an installation is no mirror of itself", remedy="name another server: --to URL"
                )
            if here.key is None:
                here = await followed.bind(db, name, first, key)
                _demand_known(here, first, key)
            await followed.note_heard(db, name, complete)
        return here, own


def _demand_known(here: Followed, first: UUID, key: bytes) -> None:
    if (here.first, here.key) != (first, key):
        raise Conflict("it follows another installation already", remedy="mdm mirror accept, by another name")
