"""PROPPATCH (RFC 4918 §9.2): properties that a client keeps with an entry; all of them change, or none."""

from xml.etree.ElementTree import Element

from aiohttp import web

from mdm_async.errors import BadRequest, TooLarge
from mdm_async.images.names.properties import Change
from mdm_async.web.dav import multistatus
from mdm_async.web.dav.asked import Asked
from mdm_async.web.dav.document import document
from mdm_async.web.dav.inside import inside
from mdm_async.web.dav.properties import OURS, Property
from mdm_async.web.http.reply import reply

_MOST = 256
"""Changes in one request."""


async def proppatch(asked: Asked) -> web.Response:
    sent = await document(asked, "propertyupdate")
    if sent is None:
        raise BadRequest("PROPPATCH takes a DAV:propertyupdate")
    changes = _changes(sent)
    names = dict.fromkeys(Property(*name) for name, _ in changes)
    kept = [name for name in names if name.namespace in OURS]
    if kept:
        # 403 for what only the server sets, 424 for what is therefore let be.
        by_status = {403: dict.fromkeys(kept, "")}
        if others := dict.fromkeys((name for name in names if name not in kept), ""):
            by_status[424] = others
    else:
        async with asked.turn():
            await asked.house.dead_properties.change(asked.caller, asked.named.surl, changes)
        by_status = {200: dict.fromkeys(names, "")}
    told = multistatus.response(asked.named.path, by_status)
    body = f"{multistatus.BEGIN}{told}{multistatus.END}"
    return reply(asked.request, body.encode(), multistatus.KIND, 207)


def _changes(sent: Element) -> list[Change]:
    changes: list[Change] = []
    for one in sent:
        if one.tag not in ("{DAV:}set", "{DAV:}remove"):
            continue
        for prop in one.findall("{DAV:}prop"):
            for child in prop:
                name = Property.of(child.tag)
                value = inside(child) if one.tag == "{DAV:}set" else None
                changes.append(((name.namespace, name.name), value))
    if not changes:
        raise BadRequest("a DAV:propertyupdate sets or removes something")
    if len(changes) > _MOST:
        raise TooLarge(f"a request changes {_MOST} properties at the most")
    return changes
