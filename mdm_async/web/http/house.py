"""What a handler may use, and where the server can be reached."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mdm_async.auditing.reads import Reads
from mdm_async.auditing.refusals import Refusals
from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.rights.verdicts import Verdicts
from mdm_async.identity.authenticator import Authenticator
from mdm_async.identity.makers import Makers
from mdm_async.identity.mapping import Mapping
from mdm_async.images.budget import Budget
from mdm_async.images.changed import ChangedHere
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.cohorts.making import Cohorts
from mdm_async.images.disks import Disks
from mdm_async.images.fairness.desk import Desk
from mdm_async.images.fairness.rates import Rates
from mdm_async.images.intake.intake import Intake
from mdm_async.images.metadata.originals import Originals
from mdm_async.images.metadata.rows import Desk as QueryDesk
from mdm_async.images.metadata.taking_together import TakingTogether
from mdm_async.images.mirroring.administering import Mirroring
from mdm_async.images.mirroring.credentials import Credentials
from mdm_async.images.mirroring.following import Following
from mdm_async.images.mirroring.recognising import Recognising
from mdm_async.images.names.guesses import Guesses
from mdm_async.images.names.locking import Locking
from mdm_async.images.names.properties import DeadProperties
from mdm_async.images.names.revealing import NameGuard
from mdm_async.images.names.user_text import UserText
from mdm_async.images.reading.digests import Digests
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.rekeying.rekeying import Rekeying
from mdm_async.images.shredding.receipts import Receipts
from mdm_async.images.shredding.shredder import Shredder
from mdm_async.images.shredding.unregistering import Unregistering
from mdm_async.images.studies.frames_later import FramesLater
from mdm_async.images.studies.known_pixels import KnownPixels
from mdm_async.images.transfers.admission import Admission
from mdm_async.images.transfers.cache import Cache
from mdm_async.images.transfers.filing import Landing
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.known_tokens import KnownTokens
from mdm_async.images.transfers.opening import OpenedViews
from mdm_async.images.transfers.rounds import Rounds
from mdm_async.images.transfers.staging import Staging
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.images.upkeep.claim import StoreWatch
from mdm_async.images.upkeep.deep_check import DeepCheck
from mdm_async.images.upkeep.sweep import Sweeper
from mdm_async.images.views.workshop import Workshop
from mdm_async.keys.custodians import Custodians
from mdm_async.keys.store import KeyStore
from mdm_async.limits import Near
from mdm_async.pacs.sources.archives import Archives
from mdm_async.postgres.database import Database
from mdm_async.postgres.lanes import Lanes
from mdm_async.settings import Settings
from mdm_async.web.http.exposition import Exposition


@dataclass(slots=True, kw_only=True)
class House:
    """One running server. The ports are known once it listens."""

    settings: Settings
    lanes: Lanes
    keys: KeyStore
    blobs: BlobStore
    disks: Disks
    cipher: CipherPool
    views: ServedViews
    shelf: Shelf
    digests: Digests
    workshop: Workshop
    changed: ChangedHere
    mapping: Mapping
    intake: Intake
    judge: Judge
    warm: WarmTurls
    rounds: Rounds
    opened: OpenedViews
    admission: Admission
    budget: Budget
    parsing: ThreadPoolExecutor
    """Of long request bodies."""
    desk: Desk
    staging: Staging
    cache: Cache
    archives: Archives
    user_text: UserText
    names_refused: Rates
    """By caller."""
    guesses: Guesses
    authenticator: Authenticator
    tokens: KnownTokens
    makers: Makers
    refusals: Refusals
    reads: Reads
    store_watch: StoreWatch
    sweeper: Sweeper
    shredder: Shredder
    rekeying: Rekeying
    receipts: Receipts
    node: str
    signing_key: Ed25519PrivateKey
    """The audit's."""
    custodians: Custodians = field(default_factory=lambda: Custodians(()))
    """Who hold key-encryption keys."""
    near: list[Callable[[], Iterable[Near]]] = field(default_factory=list)
    """What says how near this node's limits are."""
    exposition: Exposition = field(default_factory=Exposition)
    verdicts: Verdicts = field(default_factory=Verdicts)
    taking: TakingTogether = field(default_factory=TakingTogether)
    pixels: KnownPixels = field(default_factory=KnownPixels)
    frames_later: FramesLater = field(default_factory=FramesLater)
    own_names: Callable[[], Sequence[str]] = tuple
    """Hosts that the server's certificate is for."""
    port: int = 0
    tls_port: int | None = None
    pacs_port: int | None = None
    """That devices push images to."""
    draining: bool = False

    @property
    def name_guard(self) -> NameGuard:
        most = self.settings.scrub.max_head
        refused, guesses = self.names_refused, self.guesses
        return NameGuard(self.database, self.shelf, self.blobs, self.cipher, most, refused, guesses)

    @property
    def deep_check(self) -> DeepCheck:
        return DeepCheck(self.database, self.keys, self.blobs, self.cipher, self.cache, self.views.bindings)

    @property
    def landing(self) -> Landing:
        """Where what STOW-RS stores lands."""
        return Landing.of(self.settings.dicomweb.directory, self.settings.dicomweb.template)

    @property
    def unregistering(self) -> Unregistering:
        return Unregistering(self.database, self.keys, self.warm, self.changed)

    @property
    def mirroring(self) -> Mirroring:
        return Mirroring(self.database, Credentials(self.keys), self.changed)

    @property
    def recognising(self) -> Recognising:
        return Recognising(self.database)

    @property
    def following(self) -> Following:
        return Following(self.intake, self.changed, self.shredder)

    @property
    def locking(self) -> Locking:
        limits = self.settings.limits
        return Locking(self.database, self.user_text, limits.locks, limits.locks_each, limits.lock_seconds)

    @property
    def dead_properties(self) -> DeadProperties:
        return DeadProperties(self.database, self.user_text, self.name_guard, self.settings.limits.properties)

    @property
    def cohorts(self) -> Cohorts:
        own = (self.lanes.bulk, self.shelf, self.blobs, self.cipher, self.user_text, self.desk.turns)
        desk = replace(self.finding, database=self.lanes.bulk)
        return Cohorts(*own, self.settings.limits, desk, self.signing_key)

    @property
    def finding(self) -> QueryDesk:
        """What queries are answered with."""
        originals = Originals(self.keys, self.cipher, self.workshop.blind)
        return QueryDesk(self.database, self.verdicts, self.views, originals)

    @property
    def database(self) -> Database:
        """What handlers work on."""
        return self.lanes.requests


HOUSE = web.AppKey("house", House)
