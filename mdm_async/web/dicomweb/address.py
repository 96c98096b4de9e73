"""Under which addresses things are told of, and what a request takes in return."""

import re
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from mdm_async.web.dicomweb.accept import Wanted, parse
from mdm_async.web.dicomweb.asked import Named
from mdm_async.web.http.house import HOUSE
from mdm_async.web.turls.address import TurlAddress

_PLUS: Final = re.compile(r"(?<=\w) (?=\w)")
"""What stands between the words of a media type in a URL that writes `application/dicom+json` as it is."""


def base_of(request: web.Request, about: Named) -> str:
    """The URL below which studies are, as this client reaches it."""
    return TurlAddress.choose(request, request.app[HOUSE], None, False).base + about.base


def wanted(request: web.Request) -> Sequence[Wanted]:
    """By the parameter `accept` (PS3.18 §8.3.3.1), or else by the header."""
    said = [_PLUS.sub("+", one) for one in request.query.getall("accept", [])]
    return parse(said if said else request.headers.getall("Accept", []))
