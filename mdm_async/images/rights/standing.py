"""Who a caller is taken for, and what they may do at a place."""

from dataclasses import dataclass

from mdm_async.errors import BadRequest, MdmError
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.rights.permissions import OwnRights, check_permission
from mdm_async.names import Caller
from mdm_async.postgres.database import Database


@dataclass(frozen=True, slots=True)
class Standing:
    """A caller, and the rights that they have at the place that was asked about, or why that is not told."""

    caller: Caller
    surl: str
    rights: OwnRights | MdmError


async def standing(database: Database, served: ServedViews, caller: Caller, surl: str) -> Standing:
    """Told to everybody about themselves, whoever they are. Raises BadRequest for a name that is none."""
    ((_, rights),) = await check_permission(database, served, caller, [surl])
    if isinstance(rights, BadRequest):
        raise rights
    return Standing(caller, surl, rights)
