"""The keys of images over JSON, under /admin/v1/keys; a status for each file, as in SRM's answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.catalog.holdings.generations import Generation
from mdm_async.errors import MdmError
from mdm_async.images.rekeying.rekeying import Rekeyed
from mdm_async.images.upkeep import image_keys
from mdm_async.images.upkeep.image_keys import ImageKeys
from mdm_async.web.admin.audit import Moment
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.fields import Many, SurlText
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.turn import turn
from mdm_async.web.srm.json_renderer import Tree
from mdm_async.web.srm.over_json import files_reply
from mdm_async.web.srm.results import Files, SurlStatus


class KeysForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    surls: Many[SurlText] = Field(min_length=1)


class RekeyForm(KeysForm):
    before: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedFile(SurlStatus):
    guid: UUID | None = None
    keys: Generation | None = None
    stores: Mapping[str, bool | None] | None = None
    changed: bool | None = None
    """By a request to change them."""


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post("/admin/v1/keys/list", listing),
        web.post("/admin/v1/keys/register", register),
        web.post("/admin/v1/keys/unregister", unregister),
        web.post("/admin/v1/keys/rekey", rekey),
    ]


async def listing(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, KeysForm)
    house = request.app[HOUSE]
    async with turn(request, caller, form):
        return _reply(request, await image_keys.listing(house.database, house.keys, caller, form.surls))


async def register(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, KeysForm)
    house = request.app[HOUSE]
    async with turn(request, caller, form):
        return _reply(request, await image_keys.made_good(house.database, house.keys, caller, form.surls))


async def unregister(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, KeysForm)
    async with turn(request, caller, form):
        return _reply(request, await request.app[HOUSE].unregistering.unregister(caller, form.surls))


async def rekey(request: web.Request) -> web.Response:
    caller, form = await asked_by_name(request, RekeyForm)
    house = request.app[HOUSE]
    with house.desk.turns.serving(caller.payer):
        return _reply(request, await house.rekeying.rekey(caller, form.surls, form.before))


_Outcome = ImageKeys | Rekeyed | UUID | MdmError


def _reply(request: web.Request, found: Sequence[tuple[str, _Outcome]]) -> web.Response:
    return files_reply(request, Files.done([_file(surl, one) for surl, one in found]), _told)


def _file(surl: str, found: _Outcome) -> KeyedFile:
    match found:
        case MdmError():
            return KeyedFile.failed(surl, found)
        case ImageKeys():
            return KeyedFile(surl=surl, guid=found.guid, keys=found.generation, stores=found.stores)
        case Rekeyed():
            return KeyedFile(surl=surl, guid=found.guid, keys=found.keys, changed=found.changed)
        case UUID():
            return KeyedFile(surl=surl, guid=found)


def _told(file: KeyedFile) -> Tree:
    told: Tree = {} if file.guid is None else {"guid": str(file.guid)}
    if file.keys is not None:
        told |= {
            "registration": str(file.keys.registration),
            "locality": str(file.keys.locality),
            "generation": file.keys.number,
            "keyed": file.keys.keyed.isoformat(timespec="seconds"),
        }
    if file.stores is not None:
        told["stores"] = dict(file.stores)
    if file.changed is not None:
        told["changed"] = file.changed
    return told
