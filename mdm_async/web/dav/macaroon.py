"""POST of `application/macaroon-request`: a macaroon of the path, for whoever asks (as dCache and XRootD have it).

    {"caveats": ["activity:DOWNLOAD,LIST", "ip:192.0.2.0/24"], "validity": "PT30M"}

It serves all that is at or below the path; a view in front of it is no part of the name. `before` in its caveats says
when it ends, which may be earlier than was asked for.
"""

import re

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from mdm_async.errors import BadRequest, Forbidden, UnsupportedMediaType
from mdm_async.images.rights import macaroons
from mdm_async.images.rights.macaroons import Wanted
from mdm_async.names import IDENTIFIED, parse_surl
from mdm_async.web.dav.asked import Asked
from mdm_async.web.http.asked import asked_by_name
from mdm_async.web.http.credential import kept_credential
from mdm_async.web.http.fields import Names, Text
from mdm_async.web.http.reply import json_reply
from mdm_async.web.turls.address import TurlAddress

MEDIA_TYPE = "application/macaroon-request"
_DURATION = re.compile(
    r"P(?=.)(?:(?P<days>\d{1,5})D)?(?:T(?=.)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,8})M)?"
    r"(?:(?P<seconds>\d{1,9})(?:\.\d{1,9})?S)?)?\Z",
    re.ASCII,
)
_SECONDS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


class MacaroonForm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    caveats: Names = []
    validity: Text | None = None

    def seconds(self) -> float | None:
        """Of an ISO 8601 duration. Raises BadRequest."""
        if self.validity is None:
            return None
        found = _DURATION.match(self.validity)
        total = sum(
            int(count) * _SECONDS[unit]
            for unit, count in (found.groupdict() if found else {}).items()
            if count
        )
        if not total:
            raise BadRequest(
                "the validity is no time that a macaroon could live", remedy='write "PT30M", or "P1DT12H"'
            )
        return total


async def post(asked: Asked) -> web.Response:
    request, house = asked.request, asked.house
    if request.content_type != MEDIA_TYPE:
        raise UnsupportedMediaType(
            "a POST is for macaroons alone", remedy=f"send 'Content-Type: {MEDIA_TYPE}', or PUT a file"
        )
    caller, form = await asked_by_name(request, MacaroonForm)
    shown = kept_credential(request, caller)
    surl = parse_surl(asked.named.surl)
    if surl.view == IDENTIFIED:
        # gfal2 asks for one before each command, and shows its certificate only where it gets none.
        raise Forbidden(
            "no macaroon gives the identified view",
            remedy="show the credential itself where that is asked for",
        )
    wanted = Wanted(surl.lfn, form.caveats, form.seconds())
    location = TurlAddress.choose(request, house, TurlAddress.protocols(house), False).base
    async with house.desk.turns.turn(caller.payer, 1):
        made = await macaroons.create(
            house.database, house.keys, house.settings.limits, caller, shown, wanted, location
        )
    return json_reply(request, {"macaroon": made.text, "id": str(made.id)})
