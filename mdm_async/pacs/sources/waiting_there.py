"""Files of an archive by their names: those that can be brought, and those that it has no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

from mdm_async.catalog.holdings import sources
from mdm_async.catalog.holdings.sources import Spot
from mdm_async.catalog.namespace import paths, places
from mdm_async.catalog.rights import acl
from mdm_async.errors import BadRequest
from mdm_async.images.parts import pacs_source
from mdm_async.keys.derive import BlindIndex
from mdm_async.names import Caller
from mdm_async.pacs.sources.archives import Archives
from mdm_async.pacs.sources.asking import Wanted, demand_asker
from mdm_async.postgres.database import Database

_AT_ONCE: Final = 500
_NAMES: Final = 5000


@dataclass(frozen=True, slots=True)
class After:
    """Where a page ends."""

    spot: Spot

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises BadRequest."""
        study, _, source = text.partition(".")
        try:
            return cls(Spot(bytes.fromhex(study), UUID(source)))
        except ValueError:
            raise BadRequest("the page to go on after is none that was given") from None

    def __str__(self) -> str:
        return f"{self.spot.study.hex()}.{self.spot.source}"


async def files(
    database: Database,
    archives: Archives,
    blind: BlindIndex,
    caller: Caller,
    name: str,
    study: str | None,
    after: After | None,
    *,
    gone: bool,
) -> tuple[Sequence[str], After | None]:
    """A page of the files, of one study or all, that are not here and may be asked for, or that the archive has no more
    (`gone`), as far as the caller sees them; and after what the next page begins, None at the end. For administrators;
    of one study it takes the right to know who is in the archive. Raises NotFound, BadRequest.
    """
    wanted = Wanted.parse(study, None)
    digest = pacs_source.study_digest(study, blind) if study is not None else None
    async with database.acquire() as db:
        await demand_asker(db, caller, wanted)
        archives.named(name)
        images, last = await sources.away(
            db, name, digest, after.spot if after is not None else None, _AT_ONCE, gone=gone
        )
        found = await places.of_entries(db, await paths.own_entries(db, images, _NAMES))
    seen = [place.lfn for place in found.values() if acl.sees(caller, place)]
    return sorted(seen), After(last) if last is not None else None
