"""One archive that speaks DIMSE: C-ECHO, C-FIND in the Study Root model, and C-GET or C-MOVE (PS3.4 Annexes A, C).

Each request has an association of its own. Nothing that the archive says is told to anybody.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from mdm_async.dicom import model_json
from mdm_async.dicom.filemeta import is_uid
from mdm_async.errors import NotFound, PeerFailed
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.pacs.dimse import commands
from mdm_async.pacs.dimse.awaited import Awaited
from mdm_async.pacs.dimse.commands import C_ECHO, VERIFICATION
from mdm_async.pacs.dimse.peers import Peer
from mdm_async.pacs.dimse.proposing import Proposed
from mdm_async.pacs.dimse.requestor import CalledPeer, Patience, Requestor, associated
from mdm_async.pacs.dimse.tls import certificate, tls_of_called
from mdm_async.pacs.parts import Parts
from mdm_async.pacs.retrieval import finding, getting, identifiers, moving
from mdm_async.pacs.retrieval.finding import Finding
from mdm_async.pacs.retrieval.identifiers import ENCODINGS, Keys
from mdm_async.pacs.retrieval.telling import SUCCESS, failure, not_offered, told
from mdm_async.pacs.source import FETCH_SECONDS, MOST_IN_STUDY, PATIENCE, QUERY_SECONDS, Said
from mdm_async.pacs.throttle import Throttle
from mdm_async.settings import PacsSourceSettings, Settings

_T = TypeVar("_T")
_OPENING: Final = 10.0
_MOST_SERIES: Final = 10_000
_ECHO: Final = Proposed(VERIFICATION, tuple(ENCODINGS))


@dataclass(slots=True)
class DimseSource:
    """`called`: as whom it is called. `slowest`: bytes a second below which it is cut."""

    settings: PacsSourceSettings
    called: CalledPeer
    slowest: int
    awaited: Awaited
    patience: float = PATIENCE
    query_seconds: float = QUERY_SECONDS
    throttle: Throttle = field(init=False)

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.settings.max_associations, self.settings.max_rate)

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def gives_series(self) -> bool:
        return self.settings.retrieve == "C-GET"

    async def echo(self) -> float:
        begun = time.monotonic()
        async with self._associated([_ECHO]) as requestor:
            context = requestor.context(VERIFICATION)
            if context is None:
                raise not_offered("C-ECHO")
            await requestor.send(context, commands.request(C_ECHO, requestor.next_id(), VERIFICATION))
            _, answer = await requestor.receive()
        if answer.status != SUCCESS:
            raise failure("C-ECHO", answer.status)
        return time.monotonic() - begun

    async def studies(
        self, matching: Sequence[tuple[str, str]], *, begin: int, size: int
    ) -> AsyncGenerator[list[Said], None]:
        """As `Source.studies`; DIMSE knows no pages: what comes before `begin` is passed over."""
        keys = identifiers.studies(matching)
        async with self._associated([finding.PROPOSED]) as requestor:
            found = await Finding.begin(requestor, "STUDY", keys, self.query_seconds)
            await found.skip(begin)
            async with aclosing(_pages(found, size)) as pages:
                async for page in pages:
                    yield page

    async def instances(
        self, study: Said, modality: str | None, *, size: int
    ) -> AsyncGenerator[list[Said], None]:
        """As `Source.instances`: series by series, for which all archives are asked alike (PS3.4 §C.4.1.3.1)."""
        uid, seen = model_json.study_uid(study), 0
        async with self._associated([finding.PROPOSED]) as requestor:
            for series in await self._series(requestor, uid, modality):
                keys = identifiers.instances(uid, model_json.series_uid(series))
                found = await Finding.begin(requestor, "IMAGE", keys, self.query_seconds)
                async with aclosing(_pages(found, size)) as pages:
                    async for page in pages:
                        if (seen := seen + len(page)) > MOST_IN_STUDY:
                            raise PeerFailed(
                                "the archive tells of more instances of a study than there can be"
                            )
                        yield [{**series, **one} for one in page]

    async def _series(self, requestor: Requestor, study: str, modality: str | None) -> list[Said]:
        keys = identifiers.series(study, modality)
        found, told_of = await Finding.begin(requestor, "SERIES", keys, self.query_seconds), list[Said]()
        while (one := await found.next()) is not None:
            # Anything else in its place would ask for the instances of others.
            if not is_uid(model_json.series_uid(one)) or len(told_of) == _MOST_SERIES:
                raise PeerFailed("the archive tells of a series without its UID, or of too many")
            told_of.append(one)
        return told_of

    def instance(self, source: PacsSource) -> AbstractAsyncContextManager[AsyncGenerator[bytes, None]]:
        return self._moved(source) if self.settings.retrieve == "C-MOVE" else self._got(source)

    @asynccontextmanager
    async def _got(self, source: PacsSource) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        keys = identifiers.one_instance(source)
        async with self._getting(source, "IMAGE", keys) as parts, aclosing(parts.only()) as chunks:
            yield chunks

    def series(self, source: PacsSource) -> AbstractAsyncContextManager[Parts]:
        """As `Source.series`, of the instances of the same class as this one."""
        return self._getting(source, "SERIES", identifiers.one_series(source))

    @asynccontextmanager
    async def _getting(self, source: PacsSource, level: str, keys: Keys) -> AsyncIterator[Parts]:
        sop_class = source.sop_class or await self._class_of(source)
        async with (
            self._associated(getting.proposed(sop_class)) as requestor,
            aclosing(_told(getting.fetched(requestor, level, keys))) as events,
        ):
            yield Parts(events)

    @asynccontextmanager
    async def _moved(self, source: PacsSource) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        peer, own_title = Peer.of_archive(self.settings), self.called.own_title
        with self.awaited.expecting(peer, source.instance) as arrival:
            async with self._associated(moving.PROPOSED, idle=FETCH_SECONDS) as requestor:
                fetched = moving.fetched(requestor, source, arrival, own_title, self.patience)
                async with aclosing(_told(fetched)) as chunks:
                    yield chunks

    async def has(self, source: PacsSource) -> bool:
        return await self._listed(source, {}) is not None

    async def _class_of(self, source: PacsSource) -> str:
        """Of an instance that was registered without its class. Raises NotFound."""
        said = await self._listed(source, {identifiers.CLASS: ""})
        if said is None:
            raise NotFound("the archive has no such instance")
        sop_class = model_json.class_uid(said)
        if not is_uid(sop_class):
            raise PeerFailed(
                "the archive does not tell the class of an instance, which C-GET needs",
                remedy='an administrator sets retrieve = "C-MOVE" in pacs.sources',
            )
        return sop_class

    async def _listed(self, source: PacsSource, more: Keys) -> Said | None:
        keys = {**identifiers.one_instance(source), **more}
        async with self._associated([finding.PROPOSED]) as requestor:
            found = await Finding.begin(requestor, "IMAGE", keys, self.query_seconds)
            said = await found.next()
            await found.cancel()
        return said

    @asynccontextmanager
    async def _associated(
        self, proposed: Sequence[Proposed], *, idle: float | None = None
    ) -> AsyncIterator[Requestor]:
        patience = Patience(_OPENING, idle or self.patience, self.patience, self.slowest)
        async with self.throttle.turn():
            with told():
                async with associated(self.called, proposed, patience) as requestor:
                    yield requestor


def dimse_source(settings: PacsSourceSettings, own: Settings, awaited: Awaited) -> DimseSource:
    """Of a section that names an archive by its AE title. Raises UnsafeSettings."""
    assert settings.ae is not None
    shown = certificate(settings.certificate) if settings.certificate is not None else None
    tls = tls_of_called(own.server, shown) if settings.tls else None
    called = CalledPeer(settings.host, settings.port, settings.ae, own.pacs.ae_title, tls, shown)
    return DimseSource(settings, called, own.transfers.slowest, awaited)


async def _pages(found: Finding, size: int) -> AsyncGenerator[list[Said], None]:
    """Matches, so many at once; who wants no more of them has the query cancelled."""
    page: list[Said] = []
    while (one := await found.next()) is not None:
        page.append(one)
        if len(page) == size:
            try:
                yield page
            except GeneratorExit:
                await found.cancel()
                raise
            page = []
    if page:
        yield page


async def _told(coming: AsyncGenerator[_T, None]) -> AsyncGenerator[_T, None]:
    """What ends an association while it brings a file ends for who reads the file as what that means."""
    async with aclosing(coming):
        with told():
            async for one in coming:
                yield one
