"""Under which addresses things are told of, and what a request takes in return."""

from collections.abc import Sequence

from aiohttp import web

from mdm_async.web.dicomweb.accept import Wanted, parse
from mdm_async.web.dicomweb.asked import Named
from mdm_async.web.http.house import HOUSE
from mdm_async.web.turls.address import TurlAddress


def base_of(request: web.Request, about: Named) -> str:
    """The URL below which studies are, as this client reaches it."""
    return TurlAddress.choose(request, request.app[HOUSE], None, False).base + about.base


def wanted(request: web.Request) -> Sequence[Wanted]:
    """By the parameter `accept` (PS3.18 §8.3.3.1), or else by the header."""
    said = request.query.getall("accept", [])
    return parse(said if said else request.headers.getall("Accept", []))
