"""QIDO-RS (PS3.18 §10.6): studies, series and instances that match."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

from aiohttp import web

from mdm_async.dicom.indexed import Level
from mdm_async.images.studies import searching
from mdm_async.web.dicomweb import accept, results
from mdm_async.web.dicomweb.address import base_of, wanted
from mdm_async.web.dicomweb.asked import named, searched
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.reply import reply

_FUZZY: Final = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
_MORE: Final = "There are {more} additional results that can be requested"
_CUT: Final = (
    "The number of results exceeded the maximum supported by the server. Not all that can be seen was looked at;"
    " name a folder with ?path= or more attributes"
)
_IDENTIFIED: Final = (
    "The view that is shown here by default is the identified one, of which nothing is in the results;"
    " ask {base}/@identified"
)
_FIELDS: Final = "Some of the attributes in includefield are not kept for searches and are not in the results"


def search(level: Level) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        caller = await caller_of(request)
        accept.demand_json(wanted(request))
        asked = searched(request, level)
        house = request.app[HOUSE]
        told = results.told_of(asked)
        each = searching.weight(told)
        limit = max(1, searching.HELD // each)
        limit = limit if asked.asked.limit is None else min(asked.asked.limit, limit)
        final = replace(asked.asked, limit=limit, told=told)
        with house.budget.holding(caller.payer) as held:
            with house.desk.turns.serving(caller.payer):
                async with house.desk.turns.turn(caller.payer, searching.WEIGHT):
                    # Not before its turn: those who wait hold nothing.
                    held.grow_to(each * limit)
                    found = await searching.search(house.finding, caller, final)
                    held.shrink_to(each * len(found.rows))
            about = named(request)
            base = base_of(request, about)
            document = await house.cipher.run(partial(results.document, found.rows, asked, base, about.end))
            warnings = [
                *([_FUZZY] if asked.fuzzy else []),
                *([_CUT] if found.cut else []),
                *([_MORE.format(more=found.more)] if found.more else []),
                *([_FIELDS] if asked.unknown else []),
                *([_IDENTIFIED.format(base=base)] if found.identified else []),
            ]
            answer = reply(request, document, accept.JSON)
            for one in warnings:
                answer.headers.add("Warning", f'299 {base}: "{one}"')
            # The memory is held until the client has the answer.
            await answer.prepare(request)
            await answer.write_eof()
        return answer

    return serve
