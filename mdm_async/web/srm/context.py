"""What an operation of SRM knows of its request."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from mdm_async.errors import BadRequest
from mdm_async.images.archive import Archive
from mdm_async.names import Caller
from mdm_async.web.http.house import HOUSE
from mdm_async.web.turls.address import TurlAddress


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks, and how the transfer URLs in the answer are to look."""

    archive: Archive
    caller: Caller
    request: web.Request

    def address(self, protocols: list[str] | None, *, sealed: bool) -> TurlAddress:
        return TurlAddress.choose(self.request, self.request.app[HOUSE], protocols, sealed=sealed)

    def bounded(self, files: list[Any]) -> None:
        most = self.archive.settings.transfers.max_bulk
        if len(files) > most:
            raise BadRequest(f"one request may name {most} files", remedy="split it")
