"""What an operation of SRM knows of its request."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from aiohttp import web

from mdm_async.identity.mapping import Mapping
from mdm_async.images.changed import ChangedHere
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.disks import Disks
from mdm_async.images.fairness.desk import Desk
from mdm_async.images.intake.intake import Intake
from mdm_async.images.names.revealing import NameGuard
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.rounds import Rounds
from mdm_async.images.transfers.staging import Staging
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.keys.store import KeyStore
from mdm_async.names import Caller
from mdm_async.postgres.database import Database
from mdm_async.settings import DeliverySettings, NamingSettings, TransferSettings
from mdm_async.web.copying.copies import COPIES_HERE, Copies
from mdm_async.web.http.house import HOUSE
from mdm_async.web.turls.address import TurlAddress


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks, what the verbs work on, and how the transfer URLs in the answer are to look."""

    caller: Caller
    database: Database
    bulk: Database
    """For what may take long."""
    keys: KeyStore
    cipher: CipherPool
    views: ServedViews
    shelf: Shelf
    changed: ChangedHere
    mapping: Mapping
    delivery: DeliverySettings
    name_guard: NameGuard
    naming: NamingSettings
    intake: Intake
    judge: Judge
    warm: WarmTurls
    rounds: Rounds
    desk: Desk
    staging: Staging
    disks: Disks
    transfers: TransferSettings
    protocols: list[str]
    """What transfer URLs may begin with."""
    copies: Copies | None
    """Between servers, where these are set up."""
    address: Callable[[list[str] | None, bool], TurlAddress]
    """Where transfer URLs point, by the protocols asked for and whether they are sealed. Raises NotSupported."""

    @classmethod
    def of(cls, request: web.Request, caller: Caller) -> Self:
        house = request.app[HOUSE]
        return cls(
            caller=caller,
            database=house.database,
            bulk=house.lanes.bulk,
            keys=house.keys,
            cipher=house.cipher,
            views=house.views,
            shelf=house.shelf,
            changed=house.changed,
            mapping=house.mapping,
            delivery=house.settings.delivery,
            name_guard=house.name_guard,
            naming=house.settings.naming,
            intake=house.intake,
            judge=house.judge,
            warm=house.warm,
            rounds=house.rounds,
            desk=house.desk,
            staging=house.staging,
            disks=house.disks,
            transfers=house.settings.transfers,
            copies=request.app.get(COPIES_HERE),
            protocols=TurlAddress.protocols(house),
            address=partial(TurlAddress.choose, request, house),
        )
