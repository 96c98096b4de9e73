"""What the first site of a mirrored directory says to the second, by a credential that opens nothing else."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from mdm_async.catalog.mirrors.followed import Followed
from mdm_async.catalog.namespace.places import of_entries
from mdm_async.client.signed_records import HEADER
from mdm_async.errors import NotFound, Unauthenticated
from mdm_async.images.mirroring.following import caller_of
from mdm_async.names import Caller
from mdm_async.web.http.body import incoming, parsed
from mdm_async.web.http.channel import demand_secure, source_of
from mdm_async.web.http.credential import CALLER
from mdm_async.web.http.encodings import demand_json
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.incoming import coming, demand_whole
from mdm_async.web.http.on_behalf import runs_for
from mdm_async.web.http.reply import json_reply

MOST = 256
"""Records, images or acts of one request."""
_RULES = 1000


ViewName = Annotated[str, Field(max_length=64)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HelloForm(_Form):
    installation: UUID
    key: str = Field(pattern=r"^[0-9a-f]{64}$", max_length=64)
    epoch: int | None
    complete: datetime | None


class RuleForm(_Form):
    principal: str = Field(max_length=1024)
    rights: str = Field(max_length=16)
    views: list[ViewName] | None = Field(None, max_length=_RULES)


Acl = Annotated[list[RuleForm], Field(max_length=_RULES)]


class EntryForm(_Form):
    kind: Literal["entry"]
    guid: UUID
    parent: UUID | None
    name: str = Field(max_length=255)
    image: UUID | None
    acl: Acl | None
    default_acl: Acl | None
    default_view: ViewName | None
    delivery: dict[Literal["identified", "deidentified"], Literal["clear", "sealed"]] | None
    views: list[ViewName] | None = Field(max_length=_RULES)
    only_view: ViewName | None
    opaque: bool | None
    force: bool | None
    created: datetime
    modified: datetime
    released: list[tuple[ViewName, int]] = Field(max_length=_RULES)
    rejected: int | None
    notes: list[UUID] = Field(max_length=_RULES)


class GoneForm(_Form):
    kind: Literal["gone"]
    guid: UUID


class ProfileForm(_Form):
    kind: Literal["profile"]


class RecordsForm(_Form):
    epoch: int
    said: int = Field(ge=1, lt=1 << 62)
    records: list[Annotated[EntryForm | GoneForm | ProfileForm, Field(discriminator="kind")]] = Field(
        max_length=MOST
    )


class ShredsForm(_Form):
    epoch: int
    images: list[UUID] = Field(max_length=MOST)


class ActForm(_Form):
    id: int
    at: datetime
    caller: str = Field(max_length=4096)
    source: str | None = Field(max_length=1024)
    act: str = Field(max_length=256)
    outcome: str = Field(max_length=256)
    guid: UUID
    view: ViewName | None
    bytes: int | None
    details: dict[str, Any]


class ActsForm(_Form):
    epoch: int
    acts: list[ActForm] = Field(max_length=MOST)


Form = TypeVar("Form", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post("/mirror/v1/hello", hello),
        web.post("/mirror/v1/records", records),
        web.put("/mirror/v1/uploads/{id}", upload),
        web.post("/mirror/v1/shreds", shreds),
        web.post("/mirror/v1/acts", acts),
    ]


async def _shown(request: web.Request) -> tuple[Followed, Caller]:
    """By whose credential this comes. Raises InsecureChannel, Unauthenticated, TooManyRequests."""
    demand_secure(request)
    house, source = request.app[HOUSE], source_of(request)
    shown = request.headers.getall("Authorization", [])
    credential = shown[0].removeprefix("Bearer ") if len(shown) == 1 else ""
    strangers = house.desk.strangers
    strangers.demand(source, credential)
    try:
        found = await house.recognising.shown(credential)
    except Unauthenticated:
        strangers.count(source, credential)
        raise
    strangers.know(credential)
    caller = caller_of(found.name)
    request[CALLER] = caller
    runs_for(request, caller)
    return found, caller


def _demand_signed(request: web.Request, key: bytes | None, verb: str, body: bytes | bytearray) -> None:
    """Return when whoever has shown the credential has not stolen it. Raises Unauthenticated."""
    house = request.app[HOUSE]
    try:
        house.recognising.demand_signed(key, verb, body, request.headers.get(HEADER, ""))
    except Unauthenticated:
        house.desk.strangers.count(source_of(request))
        raise


async def _body(request: web.Request, caller: Caller) -> bytearray:
    demand_json(request)
    with incoming(request, caller) as held:
        return await held.whole()


async def _asked(request: web.Request, verb: str, form: type[Form]) -> tuple[Followed, Form]:
    found, caller = await _shown(request)
    body = await _body(request, caller)
    _demand_signed(request, found.key, verb, body)
    return found, await parsed(request, body, form)


async def hello(request: web.Request) -> web.Response:
    found, caller = await _shown(request)
    body = await _body(request, caller)
    form = await parsed(request, body, HelloForm)
    key = bytes.fromhex(form.key)
    _demand_signed(request, key, "hello", body)
    house = request.app[HOUSE]
    here, own = await house.recognising.hello(found.name, form.installation, key, form.epoch, form.complete)
    async with house.database.acquire() as db:
        place = (await of_entries(db, [here.directory])).get(here.directory)
    if place is None:
        raise NotFound(
            "the directory that follows has been removed", remedy="accept another: mdm mirror accept"
        )
    return json_reply(
        request, {"installation": str(own), "epoch": here.epoch, "said": here.said, "path": place.lfn}
    )


async def records(request: web.Request) -> web.Response:
    found, form = await _asked(request, "records", RecordsForm)
    told = [one.model_dump(exclude_unset=True) for one in form.records]
    answers = await request.app[HOUSE].following.take(found.name, form.epoch, form.said, told)
    return json_reply(request, {"answers": answers})


async def upload(request: web.Request) -> web.Response:
    """201 when it is stored, and has its name."""
    found, caller = await _shown(request)
    try:
        id_ = UUID(request.match_info["id"])
    except ValueError:
        raise NotFound("nothing is to come by this id") from None
    _demand_signed(request, found.key, f"uploads/{id_}", b"")
    demand_whole(request)
    with coming(request) as (body, _):
        await request.app[HOUSE].following.receive(found.name, id_, body, caller.payer)
    return json_reply(request, {}, 201)


async def shreds(request: web.Request) -> web.Response:
    found, form = await _asked(request, "shreds", ShredsForm)
    shredded = await request.app[HOUSE].following.shred(found.name, form.epoch, form.images)
    return json_reply(request, {"shredded": shredded})


async def acts(request: web.Request) -> web.Response:
    found, form = await _asked(request, "acts", ActsForm)
    told = [one.model_dump(mode="json") for one in form.acts]
    await request.app[HOUSE].following.note(found.name, form.epoch, told)
    return json_reply(request, {})
