"""Delivery policies of directories and recipients' keys, over JSON under /admin/v1."""

from base64 import b64encode
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.catalog.rights.recipients import Recipient
from mdm_async.images.rights import delivery, recipients
from mdm_async.images.rights.delivery import Kind, Policy, Value
from mdm_async.web.http.asked import asked
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.fields import SurlText, Text
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.srm.forms import decode_key
from mdm_async.web.srm.json_renderer import origin_tree


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PlaceForm(_Form):
    surl: SurlText = "/"


class DeliveryForm(PlaceForm):
    """What is left out stays as it is."""

    identified: Literal["clear", "sealed", "inherit"] | None = None
    deidentified: Literal["clear", "sealed", "inherit"] | None = None

    def said(self) -> dict[Kind, Value | None]:
        named: dict[Kind, Value | None] = {}
        if self.identified is not None:
            named["identified"] = None if self.identified == "inherit" else self.identified
        if self.deidentified is not None:
            named["deidentified"] = None if self.deidentified == "inherit" else self.deidentified
        return named


class WhoseForm(_Form):
    """Without a principal, the caller's own key."""

    principal: Text | None = Field(None, max_length=1024)


class RecipientForm(WhoseForm):
    key: Text = Field(max_length=64)


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post("/admin/v1/delivery", get_delivery),
        web.put("/admin/v1/delivery", set_delivery),
        web.get("/admin/v1/recipients", list_recipients),
        web.put("/admin/v1/recipients", set_recipient),
        web.post("/admin/v1/recipients/remove", remove_recipient),
    ]


async def get_delivery(request: web.Request) -> web.Response:
    caller, form = await asked(request, PlaceForm)
    house = request.app[HOUSE]
    found = await delivery.get_delivery(house.database, house.settings.delivery, caller, form.surl)
    return json_reply(request, _policies(found))


async def set_delivery(request: web.Request) -> web.Response:
    caller, form = await asked(request, DeliveryForm)
    house = request.app[HOUSE]
    found = await delivery.set_delivery(
        house.database, house.settings.delivery, house.changed, caller, form.surl, form.said()
    )
    return json_reply(request, _policies(found))


async def list_recipients(request: web.Request) -> web.Response:
    found = await recipients.listing(request.app[HOUSE].database, await caller_of(request))
    return json_reply(request, {"recipients": [_recipient(one) for one in found]})


async def set_recipient(request: web.Request) -> web.Response:
    caller, form = await asked(request, RecipientForm)
    key = decode_key(form.key)
    principal = await recipients.put(request.app[HOUSE].database, caller, form.principal, key)
    return json_reply(request, {"principal": principal, "key": form.key})


async def remove_recipient(request: web.Request) -> web.Response:
    caller, form = await asked(request, WhoseForm)
    principal = await recipients.remove(request.app[HOUSE].database, caller, form.principal)
    return json_reply(request, {"principal": principal})


def _policies(found: dict[Kind, Policy]) -> dict[str, object]:
    return {
        kind: {"delivery": one.value, "bySettings": one.by_settings, **origin_tree("from", one.origin)}
        for kind, one in found.items()
    }


def _recipient(one: Recipient) -> dict[str, object]:
    key = b64encode(one.key).decode()
    return {"principal": one.principal, "key": key, "setBy": one.set_by, "at": one.at}
