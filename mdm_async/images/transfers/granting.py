"""What all grants of a request have in common: how long they live, and how one without a transfer URL is kept."""

import os
import time
from uuid import UUID

from mdm_async.catalog.grants.grants import Grant
from mdm_async.errors import MdmError
from mdm_async.names import Caller
from mdm_async.settings import TransferSettings


def lifetime(settings: TransferSettings, caller: Caller, asked: int | None) -> int:
    """Seconds that a pin lives: what was asked for, within bounds, and no longer than the caller's credential."""
    life = min(asked or settings.default_pin, settings.max_pin)
    return life if caller.until is None else max(1, min(life, int(caller.until - time.time())))


def unserved_grant(
    request: UUID,
    item: int,
    operation: str,
    caller: Caller,
    surl: str,
    why: MdmError | None,
    life: int,
    description: str | None,
) -> Grant:
    """An item without a transfer URL, kept so that the request's status can be asked for: failed, or done."""
    return Grant(
        turl=os.urandom(32),
        request=request,
        item=item,
        operation=operation,
        state="failed" if why else "done",
        caller=caller.name,
        owner=caller.owner,
        token=caller.token,
        description=description,
        surl=surl,
        life=float(life),
        failure=why.srm if why else None,
        explanation=str(why) if why else None,
    )
