"""Bringing files online: /stage, how that stands, and its end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from aiohttp import web

from mdm_async.catalog.grants.grants import Grant
from mdm_async.errors import MdmError
from mdm_async.images.transfers import download, requests, staged
from mdm_async.images.transfers.download import Ask
from mdm_async.web.http import problem
from mdm_async.web.http.asked import asked
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import json_reply
from mdm_async.web.http.turn import turn
from mdm_async.web.srm.forms import Nothing, request_token
from mdm_async.web.tape.forms import Paths, Stage
from mdm_async.web.tape.paths import entry_named, surl_of
from mdm_async.web.turls.address import TurlAddress

BASE = "/tape/v1"
_OF_NO_REQUEST = "gfal2-placeholder-id"
"""What gfal2 releases files by that it has no request's id of."""
_STATES = {
    "queued": "SUBMITTED",
    "staging": "STARTED",
    "aborted": "CANCELLED",
    "failed": "FAILED",
}
"""All others have come online."""


def routes() -> list[web.AbstractRouteDef]:
    return [
        web.post(f"{BASE}/stage{{slash:/?}}", stage),
        web.get(f"{BASE}/stage/{{id}}", standing),
        web.delete(f"{BASE}/stage/{{id}}", forget),
        web.post(f"{BASE}/stage/{{id}}/cancel", cancel),
        web.post(f"{BASE}/release/{{id}}", release),
    ]


async def stage(request: web.Request) -> web.Response:
    """201 while one of the files can come online: of the others their status tells."""
    caller, form = await asked(request, Stage)
    house = request.app[HOUSE]
    paths = [file.path for file in form.files]
    ask = Ask([surl_of(path) for path in paths], pin=form.pin(), names=paths)
    with house.desk.turns.serving(caller.payer):
        made, outcomes = await download.bring_online(
            house.desk, house.judge, house.shelf, house.settings.transfers, caller, ask, house.staging
        )
        refused = [(path, why) for path, why in outcomes if isinstance(why, MdmError)]
        errors = [why for _, why in refused]
        if made is None:
            return _none(request, refused, errors)
        where = f"{TurlAddress.choose(request, house, None, False).base}{BASE}/stage/{made}"
        return json_reply(request, {"requestId": str(made)}, 201, errors=errors, headers={"Location": where})


def _none(
    request: web.Request, refused: Sequence[tuple[str, MdmError]], errors: Sequence[MdmError]
) -> web.Response:
    """Nothing is kept of a request of which no file can come online."""
    files = [{"path": path, "error": str(why)} for path, why in refused]
    return problem.answer(request, errors[0], causes=errors, beside={"files": files})


async def standing(request: web.Request) -> web.Response:
    caller, token = await caller_of(request), _token(request)
    async with turn(request, caller, Nothing()):
        house = request.app[HOUSE]
        found = await staged.standing(house.database, house.staging, caller, token)
        return json_reply(request, _told(token, found))


def _told(token: UUID, found: staged.Staged) -> dict[str, Any]:
    made = _unix(found.created)
    files = [_file(file, found.held_up.get(file.item)) for file in found.files]
    told: dict[str, Any] = {"id": str(token), "createdAt": made, "startedAt": made, "files": files}
    if all(file["state"] not in ("SUBMITTED", "STARTED") for file in files):
        # What is stored here is online as soon as it is asked for.
        told["completedAt"] = made
    return told


def _file(file: Grant, held_up: str | None) -> dict[str, Any]:
    told = {"path": file.surl, "state": _STATES.get(file.state, "COMPLETED")}
    if held_up is not None:
        told["explanation"] = held_up
    if file.state == "failed":
        told["error"] = file.explanation or "the file cannot come online"
    return told


def _unix(when: datetime) -> int:
    return int(when.timestamp())


async def cancel(request: web.Request) -> web.Response:
    caller, form = await asked(request, Paths)
    house = request.app[HOUSE]
    async with turn(request, caller, form):
        await staged.cancel(
            house.desk, house.database, house.changed, caller, _token(request), form.paths, entry_named
        )
        return json_reply(request, {})


async def forget(request: web.Request) -> web.Response:
    caller, house = await caller_of(request), request.app[HOUSE]
    async with turn(request, caller, Nothing()):
        await staged.forget(house.desk, house.database, house.changed, caller, _token(request))
        return json_reply(request, {})


async def release(request: web.Request) -> web.Response:
    caller, form = await asked(request, Paths)
    house = request.app[HOUSE]
    async with turn(request, caller, form):
        if request.match_info["id"] == _OF_NO_REQUEST:
            surls = [surl_of(path) for path in form.paths]
            outcomes = await requests.release_surls(house.desk, house.database, house.changed, caller, surls)
            errors = [why for _, why in outcomes if why is not None]
            if len(errors) == len(outcomes):
                return problem.answer(request, errors[0], causes=errors)
            return json_reply(request, {}, errors=errors)
        await staged.release(
            house.desk,
            house.database,
            house.rounds,
            house.changed,
            caller,
            _token(request),
            form.paths,
            entry_named,
        )
        return json_reply(request, {})


def _token(request: web.Request) -> UUID:
    return request_token(request.match_info["id"])
