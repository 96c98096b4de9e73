"""What a handler may use, and where the server can be reached."""

from dataclasses import dataclass, field

from aiohttp import web

from mdm_async.auditing.reads import Reads
from mdm_async.auditing.refusals import Refusals
from mdm_async.catalog.rights.verdicts import Verdicts
from mdm_async.identity.authenticator import Authenticator
from mdm_async.images.archive import Archive
from mdm_async.images.intake.intake import Intake
from mdm_async.images.transfers.admission import Admission
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.images.upkeep.sweep import Sweeper


@dataclass(slots=True)
class House:
    """One running server. The ports are known once it listens."""

    archive: Archive
    intake: Intake
    judge: Judge
    warm: WarmTurls
    admission: Admission
    authenticator: Authenticator
    refusals: Refusals
    reads: Reads
    sweeper: Sweeper
    node: str
    verdicts: Verdicts = field(default_factory=Verdicts)
    port: int = 0
    tls_port: int | None = None
    draining: bool = False


HOUSE = web.AppKey("house", House)
