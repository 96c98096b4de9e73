"""The operations of SRM v2.2 on spaces: which storage shares there are, and how they stand. None can be reserved."""

from mdm_async.errors import BadRequest
from mdm_async.images.shares import shares
from mdm_async.web.srm import forms as form
from mdm_async.web.srm.context import Context
from mdm_async.web.srm.results import ReturnStatus, Space, Spaces, SpaceTokens, overall


async def get_space_tokens(context: Context, asked: form.SpaceTokens) -> SpaceTokens:
    wanted = asked.userSpaceTokenDescription
    found = [one.name for one in shares(context.disks, context.caller) if wanted in (None, one.name)]
    if not found:
        raise _unknown()
    return SpaceTokens(tokens=tuple(found))


async def get_space_meta_data(context: Context, asked: form.SpaceMetaData) -> Spaces:
    known = {one.name: one for one in shares(context.disks, context.caller)}
    spaces = [
        Space(token=name, share=known[name])
        if name in known
        else Space(token=name, status=ReturnStatus.of(_unknown()))
        for name in asked.spaceTokens
    ]
    errors = tuple(one.status.error for one in spaces if one.status.error is not None)
    return Spaces(status=overall(len(spaces), errors), errors=errors, spaces=tuple(spaces))


def _unknown() -> BadRequest:
    return BadRequest("there is no such space", remedy="getSpaceTokens names those that there are")
