"""Puts the rooms together, starts and stops them; the only file that knows them all."""

import asyncio
import ctypes
import gc
import signal
import socket
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from mdm_async import installed, logs, opening_keys
from mdm_async.auditing.background import auditing
from mdm_async.auditing.pruning import Pruner
from mdm_async.auditing.reads import Reads
from mdm_async.auditing.refusals import Refusals
from mdm_async.auditing.signing_key import signing_key
from mdm_async.blobs.bucket import in_bucket
from mdm_async.blobs.local import LocalBlobs
from mdm_async.catalog.mirrors import mirrors
from mdm_async.catalog.namespace import bindings
from mdm_async.catalog.rights import tokens
from mdm_async.catalog.rights.callers import Callers
from mdm_async.errors import MdmError
from mdm_async.ground import admin_token, taken
from mdm_async.identity.authenticator import ADMIN, AdminToken, Authenticator, IssuedTokens, LocalTokens
from mdm_async.identity.macaroon_tokens import Macaroons
from mdm_async.identity.makers import Makers
from mdm_async.images.budget import Budget
from mdm_async.images.changed import ChangedHere
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.disks import Disks
from mdm_async.images.fairness.desk import Desk
from mdm_async.images.fairness.rates import Rates
from mdm_async.images.fairness.shares import Shares
from mdm_async.images.hooks.hooks import Hooks
from mdm_async.images.intake.intake import Intake
from mdm_async.images.intake.opaque import OpaqueQuota
from mdm_async.images.intake.placing import Placing
from mdm_async.images.metadata.indexing import index_forever
from mdm_async.images.mirroring import sending
from mdm_async.images.mirroring.credentials import Credentials
from mdm_async.images.mirroring.mirrored_profiles import MirroredProfiles
from mdm_async.images.mirroring.outfit import Outfit
from mdm_async.images.mirroring.sending import Sender
from mdm_async.images.names.guesses import Guesses
from mdm_async.images.names.user_text import UserText
from mdm_async.images.parts.depot import Depot
from mdm_async.images.reading.digests import Digests
from mdm_async.images.reading.served import BASIC_PROJECT, ServedViews
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.rekeying.rekeying import Rekeying
from mdm_async.images.rights.macaroons import minted
from mdm_async.images.shift import over_and_over
from mdm_async.images.shredding import destroying
from mdm_async.images.shredding.destroying import Destroyer
from mdm_async.images.shredding.receipts import Receipts
from mdm_async.images.shredding.shredder import Shredder
from mdm_async.images.transfers.admission import Admission
from mdm_async.images.transfers.cache import Cache
from mdm_async.images.transfers.feed_reader import FeedReader
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.known_tokens import KnownTokens
from mdm_async.images.transfers.opening import OpenedViews
from mdm_async.images.transfers.rounds import Rounds
from mdm_async.images.transfers.staging import Staging, Waiters
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.images.transfers.watch import TurlWatch
from mdm_async.images.upkeep.bindings import bind_entries_forever
from mdm_async.images.upkeep.claim import StoreWatch, claim_store
from mdm_async.images.upkeep.days import keep_days, keep_days_forever
from mdm_async.images.upkeep.queues import begin_work
from mdm_async.images.upkeep.sweep import Sweeper
from mdm_async.images.views.backfill import check_directories_forever, make_views_forever
from mdm_async.images.views.scrubbing import Scrubber
from mdm_async.images.views.workshop import Workshop
from mdm_async.keys.derive import BlindIndex, EntryBindings, MappingCipher, PseudonymFinder
from mdm_async.keys.store import KeyStore
from mdm_async.memory import give_back_forever
from mdm_async.names import Caller
from mdm_async.pacs.sources.archives import Archive, archives_of
from mdm_async.pacs.sources.fetching import Fetcher
from mdm_async.pacs.sources.settling import end_others_forever
from mdm_async.pacs.sources.staging import Bringer
from mdm_async.postgres.database import Database, connect
from mdm_async.postgres.embedded.ballast import Ballast
from mdm_async.postgres.lanes import Lanes, warn_of_little_room
from mdm_async.postgres.migrate import migrate
from mdm_async.postgres.standing import watch_database
from mdm_async.premises import Premises, premises
from mdm_async.seat import READY, Seat
from mdm_async.secret_files import private_places
from mdm_async.settings import Settings
from mdm_async.watches import Watches
from mdm_async.web.admin.sealed import sealed_application
from mdm_async.web.http.exposition import Exposition
from mdm_async.web.http.house import House
from mdm_async.web.listening import connections_for, listening

if TYPE_CHECKING:
    from mdm_async.pacs.dimse.listener import Listener

_CIPHER_THREADS, _DISK_THREADS = 2, 8
_REKEYED = 64
"""Requests to change images' keys that are served or wait."""
_M_ARENA_MAX = -8
"""From malloc.h."""
_HEARD_ELSEWHERE = 5.0
"""Seconds in which another node has heard a mirror, so that it is not promoted."""
_FINDER, _BLIND, _ENTRIES = "/finder", "/blind", "/entries"
"""No project has a name like that."""

_log = structlog.get_logger()


async def serve(settings: Settings, seat: Seat | None = None) -> None:
    """Run the server, or its process of that seat, until SIGTERM or SIGINT, then drain it. Prints one line when it is
    ready, or tells whoever gave the seat.

    Raises MdmError when it had to stop because a watch died, or whoever gave the seat.
    """
    logs.configure(settings.log, None if seat is None else str(seat.number))
    _share_freed_memory()
    _look_for_cycles_seldom()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    watches = Watches()
    try:
        async with running(settings, watches, stop, seat) as house, asyncio.TaskGroup() as beside:
            beside.create_task(house.workshop.scrubber.tell())
            if seat is None:
                print(f"mdm: ready at {url_of(settings, house.port, house.tls_port)}", flush=True)
            else:
                await seat.line.ask(READY)
            await _first(stop, watches.failed)
            _log.info("draining")
    except _StoppedSealed:
        pass
    if watches.failed.is_set():
        raise stopped_unwatched()


def stopped_unwatched() -> MdmError:
    return MdmError(
        "the server stopped: what it must not run without has failed",
        remedy="see its log, and start it again",
    )


class _StoppedSealed(Exception):
    """The server was told to stop before its custodians came."""


async def _first(*events: asyncio.Event) -> None:
    await _first_of(*(event.wait() for event in events))


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    waiting = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


def _share_freed_memory() -> None:
    """Two malloc arenas (glibc), not one for each thread, which would keep the buffers of its last transfer."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)


def _look_for_cycles_seldom() -> None:
    """Requests make few cycles and much else: the usual thresholds cost a tenth of the CPU under load."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@asynccontextmanager
async def running(
    settings: Settings,
    watches: Watches | None = None,
    stop: asyncio.Event | None = None,
    seat: Seat | None = None,
) -> AsyncIterator[House]:
    """A server that listens, with its database, sweeper and watches; all of them end with the context. With a `seat` it
    is one of several processes that are one.

    While it is sealed, `stop` ends it too.
    """
    watches = watches or Watches()
    going_on = partial(_going_on, stop or asyncio.Event(), watches)
    async with AsyncExitStack() as stack:
        stands_on = premises(settings)
        most = connections_for(settings)
        postgres = None
        if seat is None:
            ground = await stack.enter_async_context(taken(settings))
            target, postgres = ground.target, ground.postgres
        else:
            target = seat.target
        keks = opening_keys.sources_of(settings)
        async with connect(target) as connection:
            await installed.demand_same(settings, connection)
            await migrate(connection, "mdm_async.catalog")
            await migrate(connection, "mdm_async.keys")
            await opening_keys.make_missing(connection, keks)
            admin_token(settings)
            await installed.mark(settings, connection)
            await warn_of_little_room(connection, settings.database, 1 if seat is None else seat.of)
        lanes = await stack.enter_async_context(Lanes.connect(target, settings.database))
        custodians = await opening_keys.custodians_of(settings, keks, lanes, target)
        given = None if seat is None else (seat.doors, seat.local)
        ports = partial(listening, settings, stands_on.certificate, most, watches, given)
        listens = None
        if custodians:
            listens = await stack.enter_async_context(ports())
            await listens.answer(sealed_application(custodians, settings.server))
            print(f"mdm: sealed at {url_of(settings, listens.port, listens.tls_port)}", flush=True)
            await going_on(custodians.opened())
        again = partial(opening_keys.wait_for_stores, custodians, going_on) if custodians else None
        keys = await opening_keys.open_keys(
            stack, settings, _node(settings, seat), keks, lanes, watches, again
        )
        custodians.waits = None
        disk = stack.enter_context(ThreadPoolExecutor(_DISK_THREADS, "disk"))
        ballast = postgres.ballast if postgres is not None else None
        house = await _house(stack, settings, seat, stands_on, lanes, keys, disk, ballast)
        house.custodians = custodians
        work = auditing(settings, lanes.control, disk, house.refusals, house.reads, watches)
        await stack.enter_async_context(work)
        beside = await stack.enter_async_context(watches.running())
        beside(watch_database(lanes))
        beside(house.mapping.watch())
        beside(house.views.watch(lanes.control))
        beside(house.disks.watch())
        if stands_on.trust is not None:
            beside(stands_on.trust.watch())
        grace = settings.transfers.revocation_grace
        judge = replace(house.judge, database=lanes.control, callers=Callers(lanes.control))
        beside(TurlWatch(judge, house.warm, house.admission, grace).watch())
        beside(house.store_watch.forever())
        beside(house.sweeper.forever())
        check, days = replace(house.deep_check, database=lanes.bulk), settings.blobs.deep_check_days
        beside(over_and_over("deep check", partial(check.forever, days), destroying.LOOK))
        beside(bind_entries_forever(lanes.bulk, house.views.bindings))
        beside(over_and_over("looking at what readers failed on", check.suspected, destroying.LOOK))
        beside(over_and_over("shredding", house.shredder.destroyer.finish, destroying.LOOK))
        beside(keep_days_forever(lanes.bulk))
        beside(check_directories_forever(lanes.bulk, house.views, house.node))
        beside(make_views_forever(house.workshop.on(lanes.bulk), house.shelf, house.node))
        beside(over_and_over("mirroring", _sender(house).forever, sending.LOOK))
        beside(index_forever(house.workshop.on(lanes.bulk), house.shelf, house.node))
        for source in settings.pacs.sources:
            if seat is None or seat.brings(source.name):
                beside(_bringer(house, house.archives.by_name[source.name]).forever())
        beside(end_others_forever(_waiters(house), house.archives.by_name, house.node))
        beside(give_back_forever(disk))
        beside(Pruner(lanes.bulk, house.signing_key, settings.audit.keep_days).forever())
        if postgres is not None:
            beside(postgres.supervise())
        if listens is None:
            listens = await stack.enter_async_context(ports())
        devices = await _devices(stack, settings, house) if seat is None or seat.is_first else None
        if devices is not None:
            beside(devices.accept_forever())
            beside(devices.watch_certificate())
            beside(devices.reports.forever())
        await listens.serve(stack, house)
        if devices is not None:
            # Before the ports are drained, which waits for all that is coming in.
            stack.push_async_callback(devices.stop)
        yield house


async def _going_on(stop: asyncio.Event, watches: Watches, wait: Coroutine[Any, Any, object]) -> None:
    """Returns after the wait; raises _StoppedSealed when the server must stop first."""
    await _first_of(wait, stop.wait(), watches.failed.wait())
    if stop.is_set() or watches.failed.is_set():
        raise _StoppedSealed


async def _blobs(
    stack: AsyncExitStack,
    settings: Settings,
    lanes: Lanes,
    disks: Disks,
    disk: ThreadPoolExecutor,
    shared: bool,
) -> StoreWatch:
    """Over where ciphertext lies, and is this installation's."""
    if settings.blobs.url is None:
        stored = settings.blobs_directory
        local = LocalBlobs(stored, disk, disks.reserve(stored))
        mine = await claim_store(lanes.bulk, local)
        stack.enter_context(local.held(shared=shared))
        return StoreWatch(local, mine)
    bucket = await stack.enter_async_context(in_bucket(settings.blobs.url, settings.s3, disk))
    mine = await claim_store(lanes.bulk, bucket)
    await bucket.prove()
    return StoreWatch(bucket, mine)


async def _house(
    stack: AsyncExitStack,
    settings: Settings,
    seat: Seat | None,
    stands_on: Premises,
    lanes: Lanes,
    keys: KeyStore,
    disk: ThreadPoolExecutor,
    ballast: Ballast | None,
) -> House:
    """What the server's handlers and what runs beside it work on."""
    database = lanes.requests
    secret = admin_token(settings)
    await keep_days(lanes.bulk)
    views = await _served_views(database, keys)
    shelf = Shelf(keys, views, settings.transfers.writer_window)
    disks = Disks.of(settings, lanes, disk, ballast)
    await disks.look()
    shared = settings.blobs.shared or seat is not None
    store_watch = await _blobs(stack, settings, lanes, disks, disk, shared)
    blobs = store_watch.store
    archives = await stack.enter_async_context(archives_of(settings))
    cipher = stack.enter_context(CipherPool(_CIPHER_THREADS))
    scrubber = stack.enter_context(Scrubber(settings.scrub, private_places(settings)))
    finder = PseudonymFinder(await keys.make_project_key(_FINDER))
    workshop = Workshop(
        Depot(database, lanes.control, blobs, cipher, disks, settings.blobs),
        scrubber,
        finder,
        BlindIndex(await keys.make_project_key(_BLIND)),
        Hooks.of(settings),
    )
    mapping = stands_on.mapping
    issuers = await stack.enter_async_context(stands_on.issuers)
    changed = ChangedHere()
    judge = Judge(database, Callers(database), mapping, settings.delivery)
    feed = FeedReader(lanes.control, views, mapping)
    tokens = KnownTokens(database, feed, changed)
    makers = Makers(ADMIN, secret, partial(_caller_of_row, database), issuers, stands_on.trust)
    macaroons = Macaroons(partial(minted, database, keys, lambda: feed.now[0]), makers.caller)
    kinds = (AdminToken(secret), IssuedTokens(issuers), macaroons, LocalTokens(tokens.caller_of))
    kept = (settings.keys.cached, settings.keys.cached_seconds)
    warm = WarmTurls(database, shelf, blobs, cipher, judge, changed, feed, *kept)
    admission = Admission(settings.transfers.running, settings.limits.share)
    budget = Budget(settings.limits.held, settings.limits.share)
    desk = Desk.of(settings.limits)
    digests = Digests(database, shelf, blobs, cipher, Shares(settings.limits.digests, settings.limits.share))
    largest = settings.transfers.max_upload
    opaque = OpaqueQuota(settings.limits.opaque, settings.limits.opaque_each)
    node = _node(settings, seat)
    pins = (settings.limits.share, settings.transfers.default_pin)
    cache = Cache(database, settings.cache, frozenset(archives.by_name), *pins)
    await begin_work(lanes.bulk, views, node)
    async with lanes.bulk.transaction() as db:
        await mirrors.distrust(db, node, _HEARD_ELSEWHERE)
    private = signing_key(settings)
    destroyer = Destroyer(lanes.bulk, keys, blobs, node, settings.keys.backups_days)
    return House(
        settings=settings,
        lanes=lanes,
        keys=keys,
        blobs=blobs,
        disks=disks,
        cipher=cipher,
        views=views,
        shelf=shelf,
        digests=digests,
        workshop=workshop,
        changed=changed,
        mapping=mapping,
        intake=Intake(
            workshop,
            shelf,
            Placing(shelf, blobs, changed),
            settings.naming,
            largest,
            budget,
            opaque,
        ),
        judge=judge,
        warm=warm,
        rounds=Rounds(database, warm),
        opened=OpenedViews(judge, warm),
        admission=admission,
        budget=budget,
        parsing=stack.enter_context(ThreadPoolExecutor(1, "parse")),
        desk=desk,
        staging=Staging({name: one.line for name, one in archives.by_name.items()}, cache),
        cache=cache,
        archives=archives,
        user_text=UserText(keys),
        names_refused=Rates(settings.naming.refused / 3600, settings.naming.refused),
        guesses=Guesses(limited=settings.naming.refused > 0),
        near=[admission.near, budget.near, desk.near, digests.near, lanes.near, disks.near],
        authenticator=Authenticator(kinds, stands_on.trust, mapping),
        tokens=tokens,
        makers=makers,
        refusals=Refusals(lanes.control),
        reads=Reads(lanes.control),
        store_watch=store_watch,
        sweeper=Sweeper(lanes.bulk, keys, blobs, node),
        shredder=Shredder(lanes.bulk, workshop.on(lanes.bulk), shelf, destroyer, warm, changed),
        rekeying=Rekeying(
            workshop.on(lanes.bulk).depot,
            keys,
            changed,
            desk.turns,
            Shares(_REKEYED, settings.limits.share),
        ),
        receipts=Receipts(destroyer, cipher, private),
        node=node,
        signing_key=private,
        exposition=Exposition() if seat is None else Exposition(str(seat.number), seat.metrics_of_others),
    )


async def _devices(stack: AsyncExitStack, settings: Settings, house: House) -> "Listener | None":
    """The port that devices push images to, if there is one."""
    if settings.pacs.port is None:
        return None
    # Here, for few servers have one.
    from mdm_async.images.studies.decompressing import Decompressor
    from mdm_async.pacs.dimse.committing import KEPT, Commitment
    from mdm_async.pacs.dimse.conversation import Services
    from mdm_async.pacs.dimse.listener import listening as devices
    from mdm_async.pacs.dimse.shown import Shown
    from mdm_async.pacs.dimse.storing import Storage

    storage = Storage(house.intake, house.judge, house.admission, house.refusals)
    shown = Shown(
        settings.pacs.ae_title,
        house.mapping.apply,
        house.finding,
        house.desk.turns,
        house.budget,
        house.opened,
        house.admission,
        house.reads,
        house.blobs,
        house.cipher,
        Decompressor(house.blobs, house.cipher, house.workshop.scrubber, house.budget),
        settings.delivery,
    )
    seals = MappingCipher(await house.keys.make_project_key(KEPT), KEPT)
    parts = (house.database, house.blobs, house.desk.turns, house.cipher, house.workshop.blind, seals)
    commitment = Commitment(*parts)
    services = Services(storage, shown, commitment, house.archives.awaited)
    listener = await stack.enter_async_context(devices(settings, services, house.node))
    house.near.append(listener.near)
    house.pacs_port = listener.port
    return listener


def _sender(house: House) -> Sender:
    profiles = MirroredProfiles(house.lanes.bulk, house.shelf, house.changed)
    outfit = Outfit(house.lanes.bulk, house.shelf, house.blobs, house.cipher, profiles, house.node)
    return Sender(outfit, Credentials(house.keys))


def _bringer(house: House, archive: Archive) -> Bringer:
    fetcher = Fetcher(archive.source, house.intake, house.cache)
    return Bringer(fetcher, archive.line, _waiters(house), house.node)


def _waiters(house: House) -> Waiters:
    return Waiters(house.database, house.shelf, house.cipher, house.desk, house.cache)


def _node(settings: Settings, seat: Seat | None) -> str:
    """Each process takes work as a node of its own; the first as a server of one would."""
    others = "" if seat is None or seat.is_first else f"~{seat.number}"
    return f"{socket.gethostname()}:{settings.data.absolute()}{others}"


async def _served_views(database: Database, keys: KeyStore) -> ServedViews:
    await keys.make_project_key(BASIC_PROJECT)
    views = ServedViews(keys, EntryBindings(await keys.make_project_key(_ENTRIES)))
    async with database.acquire() as db:
        views.bindings.demanded = await bindings.are_bound(db)
    await views.load(database)
    return views


async def _caller_of_row(database: Database, token: int) -> Caller | None:
    async with database.acquire() as db:
        return await tokens.of_row(db, token)


def url_of(settings: Settings, port: int, tls_port: int | None) -> str:
    """By which clients reach the server."""
    if settings.server.public_url is not None:
        return settings.server.public_url.rstrip("/")
    host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    if tls_port is not None:
        return f"https://{host}:{tls_port}"
    return f"http://{host}:{port}"
