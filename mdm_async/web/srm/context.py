"""What an operation of SRM knows of its request."""

from collections.abc import Callable, Sized
from dataclasses import dataclass
from functools import partial
from typing import Self

from aiohttp import web

from mdm_async.errors import BadRequest
from mdm_async.images.archive import Archive
from mdm_async.images.intake.intake import Intake
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.names import Caller
from mdm_async.settings import TransferSettings
from mdm_async.web.http.house import HOUSE
from mdm_async.web.turls.address import TurlAddress


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks, what the verbs work on, and how the transfer URLs in the answer are to look."""

    caller: Caller
    archive: Archive
    intake: Intake
    judge: Judge
    warm: WarmTurls
    transfers: TransferSettings
    protocols: list[str]
    """What transfer URLs may begin with."""
    address: Callable[[list[str] | None, bool], TurlAddress]
    """Where transfer URLs point, by the protocols asked for and whether they are sealed. Raises NotSupported."""

    @classmethod
    def of(cls, request: web.Request, caller: Caller) -> Self:
        house = request.app[HOUSE]
        return cls(
            caller=caller,
            archive=house.archive,
            intake=house.intake,
            judge=house.judge,
            warm=house.warm,
            transfers=house.archive.settings.transfers,
            protocols=TurlAddress.protocols(house),
            address=partial(TurlAddress.choose, request, house),
        )

    def bounded(self, files: Sized) -> None:
        most = self.transfers.max_bulk
        if len(files) > most:
            raise BadRequest(f"one request may name {most} files", remedy="split it")
