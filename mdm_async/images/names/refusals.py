"""Why a name or text may not be: it tells who a patient is, or could be one guess of too many."""

from math import ceil, inf
from uuid import UUID

from mdm_async.errors import BadRequest, Forbidden, MdmError, Refusal, TooLarge
from mdm_async.names import Caller, Right


def revealing(caller: Caller, guid: UUID | None) -> MdmError:
    return _refused(
        caller,
        guid,
        BadRequest(
            "the name or text holds identifiers of the file's patient, which users without the right to them"
            " would see",
            remedy="choose a name without the patient's name, ID or accession number",
        ),
    )


def tried_often(caller: Caller, guid: UUID | None) -> MdmError:
    return _refused(
        caller,
        guid,
        Forbidden(
            "too many names that tell who a patient is were tried lately", remedy="try again in an hour"
        ),
    )


def said_much(caller: Caller, guid: UUID | None, wait: float) -> MdmError:
    """Guesses that miss tell something as well, so it is in the audit."""
    detail = "too much that is new was said of one patient's files lately: names, texts, and digits that may be dates"
    if wait == inf:
        return _refused(
            caller, guid, Forbidden(f"{detail}; this is more than a day's", remedy="say less at once")
        )
    hours = ceil(wait / 3600)
    return _refused(
        caller,
        guid,
        Forbidden(
            detail,
            remedy=f"repeat what was said before, or try again in {hours} {'hour' if hours == 1 else 'hours'}",
            retry_after=ceil(wait),
        ),
    )


def _refused(caller: Caller, guid: UUID | None, why: MdmError) -> MdmError:
    """Whoever tries names would learn whose image it is: each try is in the audit, with its file."""
    why.refusal = Refusal(caller.name, Right.IDENTITY, guid=guid)
    return why


def too_large() -> TooLarge:
    return TooLarge(
        "the patient's identifiers lie behind more bytes than scrub.max_head, so the name cannot be checked",
        remedy="let the administrator raise scrub.max_head",
    )
