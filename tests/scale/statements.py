"""Every statement of the catalog and the key store, as requests and background work run it, with its budget.

A budget is of rows read in all, by the statement and by the triggers that it sets off; pages follow from it. It is of
what is asked for, never of what is stored. A new statement needs an entry here: `test_every_statement_has_a_budget`.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import pytest

from mdm_async.catalog import installation
from mdm_async.catalog.cohorts import cohorts, members
from mdm_async.catalog.cohorts.members import Member
from mdm_async.catalog.grants import evicting, grants, long_pins, requests, waiting
from mdm_async.catalog.grants import shredding as transfer_urls
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.grants.requests import Release
from mdm_async.catalog.holdings import (
    blobs,
    bringers,
    damage,
    generations,
    images,
    locality,
    made_views,
    mappings,
    opaque,
    profiles,
    readiness,
    registrations,
    rejections,
    replicas,
    shredding,
    sources,
    staged,
    stored_parts,
    stored_views,
    vanished,
)
from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.holdings.rejections import Rejected
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.holdings.stored_views import StoredView
from mdm_async.catalog.metadata import (
    blind,
    collections,
    index,
    matches,
    new_image,
    own_values,
    saved_queries,
    sequences,
    sets,
    studies,
)
from mdm_async.catalog.metadata.blind import SealedOriginal
from mdm_async.catalog.metadata.candidates import candidates, probes
from mdm_async.catalog.metadata.columns import DicomAttribute, OwnAttribute
from mdm_async.catalog.metadata.index import IndexedView
from mdm_async.catalog.metadata.matches import Known, Wanted
from mdm_async.catalog.metadata.new_image import NewImage
from mdm_async.catalog.metadata.own_values import Value
from mdm_async.catalog.metadata.sets import SETS_TO_CHECK
from mdm_async.catalog.metadata.studies import Sought
from mdm_async.catalog.namespace import (
    as_it_was,
    bindings,
    cut_trees,
    dead_properties,
    entries,
    locks,
    moves,
    paths,
    places,
    taking,
)
from mdm_async.catalog.namespace.entries import Listed
from mdm_async.catalog.namespace.locks import Lock
from mdm_async.catalog.rights import callers, feed, kept_acls, macaroons, recipients, tokens, visible
from mdm_async.catalog.rights.callers import Callers
from mdm_async.catalog.rights.kept_acls import Own
from mdm_async.catalog.rights.verdicts import Verdict, Verdicts
from mdm_async.catalog.trail import acts, deliveries, ledger, unsealed
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.trail.ledger import Filter
from mdm_async.catalog.work import (
    directories_to_check,
    images_to_index,
    images_to_stage,
    keys_to_forget,
    reports_to_send,
    shreds,
    superseded_keys,
    views_to_make,
)
from mdm_async.catalog.work.cohorts_to_remove import COHORTS_TO_REMOVE
from mdm_async.catalog.work.directories_to_check import DIRECTORIES_TO_CHECK
from mdm_async.catalog.work.doomed import BLOBS_TO_DELETE, IMAGES_TO_DESTROY
from mdm_async.catalog.work.images_to_index import IMAGES_TO_INDEX
from mdm_async.catalog.work.keys_to_forget import KEYS_TO_FORGET
from mdm_async.catalog.work.queue import Queue
from mdm_async.catalog.work.reports_to_send import REPORTS_TO_SEND, Device
from mdm_async.catalog.work.shreds import SHREDS, ShreddedImage
from mdm_async.catalog.work.superseded_keys import SUPERSEDED_KEYS
from mdm_async.catalog.work.trees_to_remove import TREES_TO_REMOVE
from mdm_async.catalog.work.values_to_forget import VALUES_TO_FORGET, forget_page
from mdm_async.catalog.work.views_to_make import VIEWS_TO_MAKE
from mdm_async.dicom.attributes import Attributes
from mdm_async.dicom.indexed import Level, by_keyword
from mdm_async.errors import BadRequest, UnsafeSettings
from mdm_async.keys import (
    enrolment,
    named_keys,
    nodes,
    proofs,
    repair,
    retiring,
    rewrapping,
    rotations,
    standing,
    store_check,
)
from mdm_async.keys.derive import EntryBindings
from mdm_async.keys.enrolment import claimed
from mdm_async.keys.key_database import KeyDatabase
from mdm_async.keys.ring import KeyRing
from mdm_async.keys.row_cipher import Held, RowCipher, StoreIdentity
from mdm_async.keys.shares import Read, Shares
from mdm_async.keys.sources import GivenKeks
from mdm_async.keys.split import StorePlace
from mdm_async.keys.splitting import Key
from mdm_async.keys.store import Forgotten, new_secrets
from mdm_async.keys.wrap import Wrapper
from mdm_async.keys.wrapped import WrappedKeys
from mdm_async.names import AUTHENTICATED, BASIC, ROOT, Caller, Lfn, Right, Scope, View
from mdm_async.postgres.database import Connection, Database
from mdm_async.querying.attributes import Kind as AttributeKind
from mdm_async.querying.conditions import Compared, Not, Operator
from mdm_async.rules import Rule
from tests.scale.million import blob, guid, image, registration, request, turl

OWNER = "user:7"
CALLER = Caller(OWNER, frozenset({OWNER, AUTHENTICATED}), (Scope(ROOT, frozenset({Right.READ})),))
FILE = 600_123
"""A file in a directory of usual size, whose number none of the statements below changes for the others."""
DIRECTORY = f"/deep/d{FILE // 500}"
IN_FORCE = [("basic", "a.1")]


@dataclass(frozen=True)
class Desk:
    """What a statement is run with. `db` is in a transaction that is rolled back."""

    db: Connection
    database: Database
    keys: WrappedKeys

    async def entry(self, lfn: str) -> entries.Entry:
        place = await places.resolve_one(self.db, Lfn(lfn))
        assert place.entry is not None, lfn
        return place.entry

    async def directory(self, lfn: str = DIRECTORY) -> int:
        return (await self.entry(lfn)).id

    @property
    def files(self) -> list[str]:
        return [f"{DIRECTORY}/f{FILE + n:07}" for n in range(100)]


Statement = Callable[[Desk], Awaitable[object]]
STATEMENTS: dict[str, tuple[Statement, int]] = {}


def budget(rows: int) -> Callable[[Statement], Statement]:
    """Each statement that this runs reads at most so many rows."""

    def entered(statement: Statement) -> Statement:
        STATEMENTS[statement.__name__] = (statement, rows)
        return statement

    return entered


def _grant(number: int = 0, **fields: object) -> Grant:
    made = Grant(
        turl=turl(-number),
        request=request(-1),
        item=number,
        operation="get",
        state="pinned",
        caller=OWNER,
        owner=OWNER,
        surl="/a",
        life=60.0,
        entry=5,
        image=image(FILE),
        view="basic",
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def _existing(number: int, operation: str = "get") -> Grant:
    return _grant(turl=turl(number), item=number % 100, operation=operation)


# Grants


@budget(200)
async def a_request_of_a_hundred_files_is_kept(desk: Desk) -> None:
    await grants.insert(desk.db, [_grant(n) for n in range(100)])
    act = Act(CALLER, "read")
    await grants.insert_audited(desk.db, [_grant(100 + n) for n in range(100)], [act], sync=False)


@budget(10)
async def a_transfer_url_is_found(desk: Desk) -> None:
    assert await grants.by_turl(desk.db, turl(500_001)) is not None
    assert await grants.by_turl(desk.db, turl(-77)) is None


@budget(6_000)
async def a_thousand_transfer_urls_are_watched(desk: Desk) -> None:
    found = await grants.liveness(desk.db, [turl(10 * n + 1) for n in range(1000)])
    assert len(found) == 1000
    await grants.liveness_unkept(desk.db, [_grant(n) for n in range(100)])


@budget(400)
async def pins_of_images_are_counted(desk: Desk) -> None:
    await grants.pins_of(desk.db, [image(FILE + n) for n in range(100)])


@budget(20)
async def a_grant_is_settled(desk: Desk) -> None:
    await grants.insert(desk.db, [_grant(1, operation="put", state="open")])
    grant = _grant(1)
    assert await grants.settle(desk.db, grant, "uploaded", "open")
    await grants.fail(desk.db, grant, BadRequest("no"))
    await grants.pin(desk.db, grant, "a.1", 60)


@budget(400)
async def a_request_is_found_released_extended_and_aborted(desk: Desk) -> None:
    of_7 = request(7)
    assert len(await requests.of_request(desk.db, of_7, CALLER)) == 100
    await requests.extend(desk.db, CALLER, of_7, None, 60)
    await requests.release(desk.db, [Release(CALLER, of_7)])
    await requests.abort(desk.db, CALLER, of_7, None)
    assert await requests.created(desk.db, of_7, CALLER) is not None
    await requests.forget(desk.db, of_7, CALLER)


@budget(400)
async def entries_are_released(desk: Desk) -> None:
    await requests.release_entries(desk.db, CALLER, range(700, 800))


@budget(4_000)
async def a_callers_requests_are_told(desk: Desk) -> None:
    assert await requests.requests_of(desk.db, CALLER, None)


@budget(20)
async def uploads_that_nobody_finished_are_ended(desk: Desk) -> None:
    await grants.insert(desk.db, [_grant(1, operation="put", state="uploaded", life=-60.0)])
    assert await grants.expire_uploads(desk.db, 200) == (1, [image(FILE)])


@budget(60)
async def an_image_is_waited_for_and_brought(desk: Desk) -> None:
    await grants.insert(
        desk.db,
        [_grant(1, state="queued"), _grant(2, operation="bring_online", state="queued", turl=turl(-3))],
    )
    assert await waiting.anybody(desk.db, image(FILE))
    await waiting.begun(desk.db, image(FILE))
    await waiting.put_off(desk.db, image(FILE))
    first, second = await waiting.of_image(desk.db, image(FILE), 100)
    await waiting.fail(desk.db, first.grant, BadRequest("no"))
    await waiting.brought(desk.db, second.grant)
    assert not await waiting.of_image(desk.db, image(FILE), 100)


@budget(2_500)
async def a_hundred_images_are_put_into_an_archives_line(desk: Desk) -> None:
    wanted = [image(FILE + n) for n in range(100)]
    await sources.archives(desk.db, wanted)
    await images_to_stage.add(desk.db, dict.fromkeys(wanted, "main"), "user:8")
    await images_to_stage.add(desk.db, dict.fromkeys(wanted, "main"), "user:7")
    assert await images_to_stage.ahead(desk.db, "main", "user:8", 1000) == 100
    assert await images_to_stage.ahead(desk.db, "main", "user:7", 1000) == 0
    (row, *_) = await images_to_stage.of_archive("main").take(desk.db, "node", 1)
    assert await images_to_stage.attempts(desk.db, row) == 1
    assert await images_to_stage.lock(desk.db, row)
    assert not await images_to_stage.with_it(desk.db, "main", row.key[0], 1000)
    assert not await images_to_stage.take_with_it(desk.db, "main", row, 1000)
    assert not await sources.in_series(desk.db, row.key[0], 1000)
    await sources.sealed_of(desk.db, wanted)
    assert not await sources.registered(desk.db, "main", [b"instance"])
    await images_to_stage.alone(desk.db, wanted)
    await images_to_stage.to_the_end(desk.db, wanted[:1])
    await vanished.listed(desk.db, "main", b"study", [b"instance"])
    assert await vanished.not_listed(desk.db, "main", None, await vanished.now(desk.db) + 60, 20) == [
        b"study"
    ]
    assert not await vanished.believed_there(desk.db, "main", b"study", UUID(int=0), 500)
    await vanished.forget_study(desk.db, "main", b"study")
    assert await sources.away(desk.db, "main", None, None, 500) is not None
    await vanished.mark(desk.db, wanted)
    await vanished.of_images(desk.db, wanted)
    assert await sources.away(desk.db, "main", None, None, 500, gone=True) is not None
    await vanished.given(desk.db, image(FILE))
    await sources.found(desk.db, image(FILE), Locality.LOST)
    assert await profiles.wanted_of(desk.db, image(FILE)) == ["basic"]


# Holdings


_SAID: Final = Attributes(
    {"PatientID": ["P"]}, {"StudyID": ["S"]}, {"Modality": ["CT"]}, {"InstanceNumber": [1]}
)


def _part(of: UUID) -> Part:
    return Part(uuid4(), of, "head", "basic", "image", 1, bytes(32), 10, 1, b"inline", None)


@budget(60)
async def an_image_is_kept(desk: Desk) -> None:
    made = uuid4()
    view = StoredView(made, "basic", "a.1", "image", b"record", None)
    said = IndexedView(made, "basic", "a.1", _SAID)
    await index.announce(desk.db, [said])
    await new_image.insert(
        desk.db,
        NewImage(
            made,
            uuid4(),
            OWNER,
            parts=[_part(made)],
            views=[view],
            indexed=[said],
            original=SealedOriginal(made, b"sealed", [(20, b"digest")]),
        ),
    )
    await images.fill(desk.db, made, [], [])
    await bringers.was_brought_by(desk.db, made, OWNER)
    await bringers.accounts(desk.db, [made])
    await bringers.brought_by(desk.db, [made], OWNER)
    await bringers.is_lately_brought(desk.db, 1, made, [OWNER], 3600)
    await images.registration(desk.db, made)
    await images.lock(desk.db, made)
    registered = await images.registration(desk.db, made)
    await made_views.renew_record(desk.db, made, registered, "basic", "a.1", b"other")
    renewed = [(replace(view, record=b"other"), b"third", [uuid4()])]
    assert await made_views.add_parts(desk.db, made, [_part(made)], renewed)
    newer = replace(view, version="b.2")
    await made_views.add(desk.db, [_part(made)], newer)
    await made_views.drop_superseded(desk.db, made, "basic", "b.2", 1)
    await stored_views.ready(desk.db, made)
    await made_views.drop(desk.db, (made, "basic", "b.2"))


@budget(30)
async def an_image_is_registered(desk: Desk) -> None:
    made = uuid4()
    await sources.reseal(desk.db, uuid4(), b"sealed")
    await sources.register(
        desk.db, made, uuid4(), uuid4(), b"sealed", "main", sources.Digests(b"a", b"b", b"c")
    )
    await sources.of_image(desk.db, made)
    await generations.replace(desk.db, await generations.keyed(desk.db, made))
    await images.fill(desk.db, made, [_part(made)], [])


async def _staged(db: Connection) -> UUID:
    """An image of the cache, the least recently used."""
    made = uuid4()
    digests = sources.Digests(b"a", b"b", b"c")
    await sources.register(db, made, uuid4(), uuid4(), b"sealed", "main", digests)
    await staged.set_aside(db, made, 1000)
    await images.fill(db, made, [_part(made)], [])
    await db.execute("update staged_images set used = now() - interval '9 years' where image = $1", made)
    return made


@budget(60)
async def an_image_of_the_cache_comes_and_goes(desk: Desk) -> None:
    made = await _staged(desk.db)
    await images_to_stage.add(desk.db, {made: "main"}, "user:8")
    await images_to_stage.wait_for_room(desk.db, made)
    await images_to_stage.another_is_first(desk.db, made)
    await images_to_stage.to_the_front(desk.db, made)
    await images_to_stage.wait_no_more(desk.db, made)
    assert await staged.expected(desk.db, made) == 10
    await staged.expect(desk.db, made, 20)
    await staged.set_aside(desk.db, image(FILE), 1000)
    assert (await staged.totals(desk.db)).images
    await staged.give_up(desk.db, uuid4())
    await staged.give_up_lapsed(desk.db)
    assert await staged.hold(desk.db, {made: uuid4()}) == {made}
    await images.hold(desk.db, [made], -60)
    await staged.note_use(desk.db, [made], 1e9)
    await grants.insert(desk.db, [_grant(n, turl=turl(-9 - n), image=made) for n in range(3)])
    (pinned,) = await evicting.of_images(desk.db, ["main"], [made])
    assert pinned.kept == "pinned"
    assert await evicting.holders(desk.db, [made]) == [(made, OWNER)]
    assert await long_pins.sizes(desk.db, [made]) == {made: 10}
    await grants.keep(desk.db, [_grant(1, turl=turl(-10), keeper=OWNER, keeps=10, life=90_000.0)])
    assert await long_pins.kept(desk.db, OWNER) == long_pins.Kept(10, 0)
    await transfer_urls.end(desk.db, [made])
    free = await evicting.lock(desk.db, ["main"], made)
    assert free is not None
    assert free.kept is None
    assert await staged.evict(desk.db, made) == 10


@budget(5_000)
async def what_may_be_evicted_is_looked_for_page_by_page(desk: Desk) -> None:
    wanted = {await _staged(desk.db) for _ in range(3)}
    page, after = await evicting.page(desk.db, ["main"], None, 256)
    assert {one.image for one in page} == wanted
    assert after is not None
    await evicting.page(desk.db, ["main"], after, 256)


@budget(300)
async def a_hundred_views_are_found(desk: Desk) -> None:
    wanted = [(image(FILE + n), "basic") for n in range(100)]
    held = await stored_views.holdings(desk.db, wanted, ["a.1"])
    assert len((await stored_views.parts_needed(desk.db, held.values()))[0]) == 100
    await stored_parts.by_id(desk.db, [part for one in held.values() if one.view for part in one.view.parts])
    untold = [replace(one, view=replace(one.view, parts=())) for one in held.values() if one.view is not None]
    await stored_views.parts_needed(desk.db, untold)
    await stored_views.reports(desk.db, [(*one, "a.1") for one in wanted])
    await locality.of_images(desk.db, [of for of, _ in wanted])
    await locality.registered(desk.db, [of for of, _ in wanted])
    await bringers.lately_brought(desk.db, [of for of, _ in wanted], [OWNER], 3600)


@budget(100)
async def an_image_is_given_other_keys(desk: Desk) -> None:
    of = image(FILE)
    await generations.lock_members(desk.db, of)
    found = await generations.keyed(desk.db, of)
    await generations.demand(desk.db, of, found.registration)
    await superseded_keys.add(desk.db, found.registration, of, generations.blobs_of(found.parts), 60)
    await generations.replace(desk.db, replace(found, registration=uuid4(), generation=2))
    assert await superseded_keys.of_images(desk.db, [of]) == {of}
    await superseded_keys.hold(desk.db, [found.registration], 60)
    assert await superseded_keys.end_of_images(desk.db, [of]) == {found.registration: of}


@budget(1_500)
async def a_hundred_images_generations_are_known_and_end(desk: Desk) -> None:
    some = [image(FILE + n) for n in range(100)]
    known = await generations.generations(desk.db, some)
    assert len(known) == 100
    for of, one in known.items():
        await superseded_keys.add(desk.db, one.registration, of, [], 60)
    ended = await superseded_keys.end(desk.db, [one.registration for one in known.values()])
    assert len(ended) == 100


@budget(1_500)
async def a_cohort_is_made_told_and_goes(desk: Desk) -> None:
    root = (await desk.entry(ROOT)).id
    directory = await desk.directory()
    made, _, _ = await cohorts.make(desk.db, directory, "new", None, OWNER, 1000)
    pins = [(image(FILE + n), "basic", "a.1") for n in range(100)]
    some = [Member(n, n, guid(FILE + n), *pin, b"d", b"s") for n, pin in enumerate(pins)]
    assert await members.add(desk.db, made, some) == 100
    assert await cohorts.finish(desk.db, made, 100, b"sealed")
    assert await cohorts.named(desk.db, directory, "new") is not None
    assert len(await cohorts.at(desk.db, root, "c0000500", 200)) == 200
    assert len(await members.page(desk.db, 77, 49, 200)) == 50
    assert len(await members.with_guids(desk.db, 77, [guid(n) for n in range(100)])) == 100
    assert len(await members.each(desk.db, [(77, guid(n)) for n in range(100)])) == 100
    place = await places.resolve_one(desk.db, ROOT)
    await as_it_was.note(desk.db, {number: as_it_was.of_file(place) for number in range(100)})
    assert len(await stored_views.pinned(desk.db, pins)) == 100
    assert await members.beside_others(desk.db, pins) == []
    assert await cohorts.cut_off(desk.db, made)
    assert len(await members.remove_page(desk.db, made, 1000)) == 100


@budget(100)
async def cohorts_that_nobody_finished_are_given_up(desk: Desk) -> None:
    root = (await desk.entry(ROOT)).id
    await desk.db.execute(
        "insert into cohorts (directory, name, created, created_by)"
        " select $1, 'left ' || n, now() - interval '1 day', 'a' from generate_series(1, 20) n",
        root,
    )
    assert await cohorts.give_up_unfinished(desk.db, 10) == 10


@budget(200)
async def a_pseudonym_is_found(desk: Desk) -> None:
    await stored_views.with_pseudonym(desk.db, b"p", ["a.1"], UUID(int=0), 10)


@budget(500)
async def images_are_used_kept_and_doomed(desk: Desk) -> None:
    some = [image(FILE + n) for n in range(100)]
    await images.use(desk.db, some, 60)
    await images.note_use(desk.db, some)
    await images.keep(desk.db, some)
    await images.doom_unreferenced(desk.db, some)


@budget(30)
async def a_blob_comes_and_goes(desk: Desk) -> None:
    made = uuid4()
    await blobs.lease(desk.db, made, 60)
    assert await blobs.renew(desk.db, [made], 60) == 1
    await blobs.settle(desk.db, [made])
    await blobs.give_up(desk.db, [made])
    await blobs.lease(desk.db, uuid4(), -60)
    assert await blobs.doom_lapsed(desk.db, 200) == 1
    await blobs.forget(desk.db, [made])
    assert not await blobs.keep_named(desk.db, [made])
    assert await blobs.recognised(desk.db, [blob(5)])
    assert not await blobs.recognised(desk.db, [])
    assert not await blobs.keep_named(desk.db, [blob(5)])
    assert not await images.keep_named(desk.db, [image(FILE)])


@budget(30)
async def replicas_are_kept(desk: Desk) -> None:
    entry = (await desk.entry(desk.files[0])).id
    assert await replicas.lock(desk.db, [entry]) == {entry}
    assert await replicas.add(desk.db, entry, "basic", "srm://a/b", OWNER)
    await replicas.get(desk.db, entry, "srm://a/b")
    await replicas.of_entries(desk.db, [entry])
    await replicas.set_master(desk.db, entry, "srm://a/b")
    await replicas.remove(desk.db, entry, "srm://a/b")


@budget(30)
async def profiles_and_mappings_are_kept(desk: Desk) -> None:
    await profiles.put(desk.db, "p", "source", "digest", OWNER)
    await profiles.listing(desk.db)
    await profiles.digests(desk.db)
    await mappings.put(desk.db, "p", b"sealed", "digest", 3, OWNER)
    await mappings.of_project(desk.db, "p")
    await mappings.listing(desk.db)
    await mappings.remove(desk.db, "p")


@budget(2_000)
async def a_profile_is_enabled_in_a_directory(desk: Desk) -> None:
    directory = await desk.directory()
    await profiles.enable(desk.db, directory, "p")
    assert await profiles.enabled_at(desk.db, directory) == ["basic", "p"]
    await profiles.set_default(desk.db, directory, "p")
    await profiles.directories_below(desk.db, directory)


@budget(20)
async def a_view_is_released(desk: Desk) -> None:
    held = StoredView(image(FILE), "p", "q.2", "image", None, "text", quarantined=True)
    await made_views.add(desk.db, [], held)
    assert await profiles.release(desk.db, image(FILE), "p", "q.2", OWNER)
    assert await profiles.is_released(desk.db, image(FILE), "p", 2)
    await profiles.forget_releases(desk.db, image(FILE))
    assert not await profiles.is_released(desk.db, image(FILE), "p", 2)


@budget(200)
async def registrations_are_judged(desk: Desk) -> None:
    some = [(registration(FILE + n), image(FILE + n)) for n in range(100)]
    await registrations.being_named(desk.db, [one for one, _ in some])
    named, unnamed = await registrations.judged(desk.db, some)
    assert len(named) == 100
    assert not unnamed


# Names


@budget(500)
async def a_hundred_names_are_resolved(desk: Desk) -> None:
    found = await places.resolve(desk.db, [Lfn(one) for one in desk.files])
    ids = [one.entry.id for one in found if one.entry is not None]
    assert len(await places.of_entries(desk.db, ids)) == 100
    assert len(await places.of_guids(desk.db, [guid(FILE + n) for n in range(100)])) == 100
    await places.acls_of(desk.db, [found[0].acl.id])
    await kept_acls.ancestors(desk.db, ids)


@budget(600)
async def images_names_are_found(desk: Desk) -> None:
    assert len(await paths.of_images(desk.db, [image(FILE + n) for n in range(100)])) == 100
    _, whole = await entries.images_below(desk.db, await desk.directory("/wide"), 100)
    assert not whole


@budget(300)
async def a_page_of_a_directory_of_a_hundred_thousand_is_listed(desk: Desk) -> None:
    wide = await desk.directory("/wide")
    own = await entries.own_acls(desk.db, wide)
    assert len(own) == 1
    assert len(await entries.page(desk.db, wide, Listed(True), 100)) == 100
    assert len(await entries.page(desk.db, wide, Listed(False, own), 100)) == 100
    assert len(await entries.page(desk.db, wide, Listed(True), 100, after="f0050000")) == 100


@budget(300)
async def a_directory_of_directories_is_listed(desk: Desk) -> None:
    assert len(await entries.page(desk.db, await desk.directory("/deep"), Listed(True), 100)) == 100


@budget(400)
async def what_has_no_binding_is_bound_some_at_a_time(desk: Desk) -> None:
    bind = EntryBindings(bytes(32)).of
    assert await bindings.bind_some(desk.db, bind, 100) == 100
    await bindings.bind_some_members(desk.db, bind, 100)
    (bound, *_) = await bindings.of_image(desk.db, image(FILE))
    await bindings.renew(desk.db, bound.guid, bytes(16))
    await bindings.end(desk.db)
    assert not await bindings.are_bound(desk.db)


@budget(40)
async def a_name_is_made_swapped_moved_and_removed(desk: Desk) -> None:
    directory = await desk.directory()
    await entries.lock(desk.db, directory)
    await entries.make_directory(desk.db, directory, "new")
    assert await entries.add_file(desk.db, directory, "file", image(FILE)) is not None
    more = [entries.NewFile(name, image(FILE), None, None) for name in ("one", "other")]
    assert len(await entries.add_files(desk.db, directory, more)) == 2
    assert await entries.image_at(desk.db, directory, "file") is not None
    assert await entries.add_file_unless_named(desk.db, directory, "another", image(FILE), None) is not None
    assert await entries.add_file_unless_named(desk.db, directory, "another", image(FILE), None) is not None
    assert await entries.is_taken(desk.db, directory, "file")
    assert await entries.swap_image(desk.db, directory, "file", image(FILE), image(FILE + 1)) is not None
    entry = await desk.entry(f"{DIRECTORY}/file")
    await entries.move(desk.db, entry, directory, "moved")
    await entries.remove_files(desk.db, [entry.id])
    await entries.remove_directory(desk.db, await desk.directory(f"{DIRECTORY}/new"))
    await kept_acls.set_delivery(desk.db, directory, None)


@budget(100)
async def a_tree_of_a_hundred_thousand_files_is_removed(desk: Desk) -> None:
    place = await places.resolve_one(desk.db, Lfn("/wide"))
    assert place.entry is not None
    await cut_trees.lock_tree(desk.db, place.entry.id)
    await places.kinds_below(desk.db, place, [])
    await cut_trees.cut_off(desk.db, place.entry.id)


@budget(5_000)
async def a_page_of_a_removed_tree_goes(desk: Desk) -> None:
    directory = await desk.directory()
    place = (await places.of_entries(desk.db, [directory]))[directory]
    await cut_trees.cut_off(desk.db, directory, as_it_was.in_directory(place))
    orphans, more = await cut_trees.remove_page(desk.db, directory, 1000)
    assert len(orphans) == 500
    assert not more


@budget(9_000)
async def rights_in_a_tree_of_two_thousand_directories_are_told(desk: Desk) -> None:
    deep = await places.resolve_one(desk.db, Lfn("/deep"))
    assert await places.kinds_below(desk.db, deep, [])
    await entries.demand_levels(desk.db, deep.ancestor.id, 60)


@budget(60)
async def a_name_is_locked_and_unlocked(desk: Desk) -> None:
    directory = await desk.directory()
    lock = Lock(uuid4(), directory, "locked", (1, directory), False, False, OWNER, OWNER, None)
    taken = await locks.take(desk.db, lock, None, 60, 100, 100)
    assert [[one.token for one in over] for over in await locks.over(desk.db, [(directory, "locked")])] == [
        [taken.token]
    ]
    assert await locks.own(desk.db, [taken.token], OWNER) == {taken.token}
    await locks.refresh(desk.db, taken.token, 60)
    await locks.demand_unlocked(desk.db, directory, "free")
    await locks.locked(desk.db, [FILE])
    await locks.give_up(desk.db, taken.token)


@budget(60)
async def a_move_is_announced_to_who_gives_a_name_below(desk: Desk) -> None:
    directory = await desk.directory()
    assert await moves.announced(desk.db, directory) is None
    above = await desk.db.fetchval("select parent from entries where id = $1", directory)
    await moves.announce(desk.db, above)
    assert await moves.announced(desk.db, directory) == above
    assert await moves.is_going_on(desk.db, above)
    await moves.end(desk.db, above)
    assert not await moves.is_going_on(desk.db, above)
    assert await moves.announced(desk.db, directory) is None


@budget(40)
async def properties_are_kept_told_and_copied(desk: Desk) -> None:
    its_image = await desk.db.fetchval("select image from entries where id = $1", FILE)
    assert await dead_properties.locked(desk.db, FILE, its_image) is None
    await dead_properties.put(desk.db, FILE, b"sealed")
    assert await dead_properties.of_entries(desk.db, [FILE]) == {FILE: b"sealed"}
    await dead_properties.copy(desk.db, [FILE], [guid(FILE + 1)])
    await dead_properties.put(desk.db, FILE, None)


@budget(120)
async def collections_are_made_changed_and_removed(desk: Desk) -> None:
    directory = await desk.directory()
    await collections.lock(desk.db, directory)
    new = [("quality", "int", None), ("state", "text", ["new", "done"])]
    await collections.make(desk.db, directory, "mine", new, CALLER.name)
    place = await places.resolve_one(desk.db, Lfn(desk.files[0]))
    found = (await collections.at_place(desk.db, place.way))["mine"]
    ids = [one.id for one in found.attributes.values()]
    assert await collections.keep(desk.db, ids)
    assert await collections.are_there(desk.db, ids)
    await collections.remove_attributes(desk.db, ids[:1])
    assert not await collections.are_there(desk.db, ids)
    await collections.add(desk.db, found.id, new[:1])
    await collections.remove(desk.db, found.id)


@budget(100)
async def own_values_are_kept_told_copied_and_forgotten(desk: Desk) -> None:
    its_image = await desk.db.fetchval("select image from entries where id = $1", FILE)
    assert await own_values.lock(desk.db, [(FILE, its_image)]) == {FILE}
    await own_values.put(desk.db, [Value(FILE, 1, ("new", None)), Value(FILE, 2, (None, 3.0))])
    assert await own_values.of_entries(desk.db, [FILE], [1, 2], 1000) == {
        FILE: {1: ("new", None), 2: (None, 3.0)}
    }
    for attribute, kept in ((1, ("new", None)), (2, (None, 3.0))):
        assert await own_values.with_value(desk.db, attribute, kept, 8, 0) == [FILE]
    assert await own_values.lock_free(desk.db, [(FILE, its_image), (FILE + 1, its_image)], 1) == [FILE]
    await own_values.copy(desk.db, [FILE], [guid(FILE + 1)])
    await own_values.put(desk.db, [Value(FILE, 1, (None, None))])
    assert await forget_page(desk.db, 2, 10)
    assert not await forget_page(desk.db, 2, 10)


@budget(60)
async def what_directories_have_under_names_is_kept_and_told(desk: Desk) -> None:
    directory = await desk.directory()
    await sequences.make(desk.db, directory, "run", 1, 1)
    assert await sequences.take(desk.db, directory, "run", 3) == range(1, 4)
    assert [one.next for one in await sequences.at_directory(desk.db, directory)] == [4]
    assert await sequences.remove(desk.db, directory, "run")
    await saved_queries.add(desk.db, directory, "kept", b"sealed", CALLER.name)
    assert await saved_queries.count(desk.db, directory) == 1
    assert len(await saved_queries.at_directory(desk.db, directory)) == 1
    assert await saved_queries.get(desk.db, directory, "kept") is not None
    assert await saved_queries.remove(desk.db, directory, "kept")


@budget(40)
async def what_a_directory_takes_is_said_and_told(desk: Desk) -> None:
    directory = await desk.directory()
    await taking.say(desk.db, directory, "force", True)
    await taking.said_at(desk.db, directory, "force")
    await taking.taken_at(desk.db, directory)
    root = await desk.directory(ROOT)
    assert not await taking.some_take_opaque_below(desk.db, root)
    await taking.say(desk.db, directory, "opaque", True)
    assert await taking.some_take_opaque_below(desk.db, root)


@budget(20)
async def an_opaque_file_is_charged_and_paid_back(desk: Desk) -> None:
    assert not await opaque.is_opaque(desk.db, image(FILE))
    await opaque.charge(desk.db, image(FILE), OWNER, 10, 100, 100)
    assert await opaque.room(desk.db, OWNER, 100, 50) == 40
    await opaque.pay_back(desk.db, [(OWNER, 10)])


@budget(10_000)
async def a_thousand_images_are_destroyed(desk: Desk) -> None:
    doomed = [image(FILE + n) for n in range(1000)]
    await desk.db.execute("update images set doomed = now() where id = any($1::uuid[])", doomed)
    await desk.db.execute("delete from entries where image = any($1::uuid[])", doomed)
    assert len(await images.to_destroy(desk.db, doomed)) == 1000
    assert len(await images.destroy_doomed(desk.db, doomed)) == 1000


@budget(1_500)
async def a_hundred_images_are_shredded(desk: Desk) -> None:
    some = [image(FILE + n) for n in range(100)]
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    await paths.lock_entries_of_images(desk.db, some)
    await shredding.lock(desk.db, some)
    assert len(await shredding.wholes(desk.db, some)) == 100
    named = await paths.entries_of_images(desk.db, some)
    await shredding.pins(desk.db, some)
    assert len(await deliveries.of_entries(desk.db, {one: long_ago for _, one, _ in named})) == 100
    await transfer_urls.live(desk.db, some)
    await entries.remove_files(desk.db, [entry for entry, _, _ in named])
    await transfer_urls.end(desk.db, some)
    await shredding.doom(desk.db, some)


@budget(1_500)
async def the_keys_of_a_hundred_images_are_destroyed(desk: Desk) -> None:
    await shredding.lose(desk.db, [image(FILE + n) for n in range(100)])


@budget(300)
async def how_far_shreds_are_is_known(desk: Desk) -> None:
    made, some = uuid4(), [image(FILE + n) for n in range(100)]
    await shreds.begin(desk.db, made, OWNER, OWNER, 100, granted=False)
    gone = [ShreddedImage(one, uuid4(), (), {}) for one in some]
    await shreds.add_images(desk.db, made, gone)
    await shreds.get(desk.db, made)
    await shreds.newest(desk.db, OWNER)
    await shreds.newest(desk.db, None)
    assert len(await shreds.images_of(desk.db, made, UUID(int=0), 50)) == 50
    await shreds.remaining(desk.db, some, [])
    await shreds.store_done(desk.db, made, {"a": 1})
    await shreds.stores_done(desk.db, made)
    await shreds.set_destroyed(desk.db, made)
    await shreds.set_final(desk.db, made)


@budget(3_500)
async def a_page_of_everything_is_looked_through(desk: Desk) -> None:
    found = await blobs.page(desk.db, blob(1), 1000)
    assert len(found) == 1000
    await blobs.known(desk.db, [one.id for one in found])
    assert len(await blobs.of_images(desk.db, [image(FILE + n) for n in range(10)])) == 10
    await images.here(desk.db, image(1), 100)
    rotten = [(image(FILE + n), damage.Damage("part", "it is missing", "basic")) for n in range(10)]
    await damage.put_down(desk.db, [at for at, _ in rotten], rotten)
    assert len(await damage.page(desk.db, UUID(int=0), 100)) == 10
    assert await damage.parts(desk.db)
    assert await damage.turn(desk.db, 1e9) is not None
    await damage.end_turn(desk.db, None)
    assert await damage.turn(desk.db, 0) == UUID(int=0)
    await damage.standing(desk.db)
    lost, after = await stored_views.lost_parts(desk.db, (image(1), "", ""), 1000)
    assert not lost
    assert after is not None


@budget(3_000)
async def how_the_files_of_a_directory_stand_is_told_by_page(desk: Desk) -> None:
    below = await profiles.directories_below(desk.db, await desk.directory("/deep"))
    found, _ = await profiles.standings(desk.db, await desk.directory(), below, "basic", "a.1", "", 1000)
    assert len(found) == 500


# Metadata


@budget(300)
async def a_view_is_indexed_and_its_sets_go_with_it(desk: Desk) -> None:
    of_files = [IndexedView(image(FILE + n), "q", "q.1", _SAID) for n in range(10)]
    for one in of_files:
        await made_views.add(desk.db, [], StoredView(one.image, "q", "q.1", "image", b"record", None))
    await index.announce(desk.db, of_files)
    await index.add(desk.db, of_files)
    assert await matches.said(desk.db, [(image(FILE), View("q"))], ["q.1"]) == [_SAID.all()]
    for one in of_files:
        await made_views.drop(desk.db, (one.image, one.view, "q.1"))
    for _ in range(3):
        rows = await SETS_TO_CHECK.take(desk.db, "a", 20)
        await sets.drop_unnamed(desk.db, await sets.of_rows(desk.db, [row.key[0] for row in rows]))
        await SETS_TO_CHECK.done(desk.db, rows)


@budget(300)
async def an_original_is_found_by_a_value(desk: Desk) -> None:
    some = [image(FILE + n) for n in range(10)]
    for one in some:
        await blind.put(desk.db, SealedOriginal(one, b"sealed", [(tag, b"digest") for tag in range(10)]))
    await blind.put(desk.db, SealedOriginal(some[0], b"again", [(20, b"digest")]))
    assert len(await blind.with_value(desk.db, 5, b"digest", UUID(int=0), 5)) == 5
    await blind.lock(desk.db, 5, b"digest")
    found = await blind.with_values(desk.db, 5, dict.fromkeys([b"digest", b"other"], UUID(int=0)), 5)
    assert [len(found[one]) for one in (b"digest", b"other")] == [5, 0]
    assert await blind.having(desk.db, some, 5, b"digest") == {*some[1:]}
    assert len(await paths.own_entries(desk.db, some, 5)) == 5
    assert set((await paths.own_entries_below(desk.db, some, await desk.directory())).values()) == {*some}
    assert await paths.own_entries_below(desk.db, some, await desk.directory("/wide")) == {}
    assert await blind.of_stored(desk.db, some, [5, 6]) == {}, "all of these are cached"
    assert len(await blind.sealed_of(desk.db, some)) == len(await images.registrations(desk.db, some)) == 10


@budget(500)
async def a_rejection_note_hides_ten_of_a_study(desk: Desk) -> None:
    some = [image(FILE + n) for n in range(10)]
    for one in some:
        uid = (0x00080018, one.bytes)
        await blind.put(desk.db, SealedOriginal(one, b"sealed", [uid, (0x00100000, b"patient")]))
    note, directory = image(FILE + 20), await desk.directory()
    await blind.put(desk.db, SealedOriginal(note, b"sealed", [(0x00100000, b"patient")]))
    await rejections.put(desk.db, note, Rejected(113001, [one.bytes for one in some]))
    assert await rejections.lock(desk.db, note)
    named, last = await rejections.named_by(desk.db, note, "ae:", b"", 100)
    assert {one.image for one in named} == {*some}
    assert await rejections.named_by(desk.db, note, "ae:", last or b"", 100) == ([], None)
    await rejections.lock_notes(desk.db, [note, *some])
    await rejections.lock_files(desk.db, some)
    assert len(await rejections.hide(desk.db, note, some)) == 10
    assert len(await rejections.hidden(desk.db, 0, 100)) == 10
    assert await rejections.apply_later(desk.db, note, guid(FILE + 20), directory, None) == 113001


# Rights


@budget(20)
async def callers_are_kept(desk: Desk) -> None:
    known = Callers(desk.database)
    assert len(await known.get([await known.id_of(CALLER)])) == 1
    await callers.forget_unused(desk.db, date.today(), 1000)


@budget(4_000)
async def acls_are_given(desk: Desk) -> None:
    await kept_acls.lock(desk.db)
    rules = (Rule("user:new", "rl", None),)
    acl = (await kept_acls.intern(desk.db, [rules]))[rules]
    entry = await desk.entry(DIRECTORY)
    await kept_acls.assign(desk.db, [Own(entry.id + n, acl, None) for n in range(1000)])
    await kept_acls.owners_below(desk.db, entry.id)
    await feed.tell_older_nodes(desk.db)
    look = await feed.read(desk.db, None)
    await feed.read(desk.db, look.snapshot)
    await desk.db.execute("update installation set changes_marked = now() - interval '1 hour'")
    await feed.trim(desk.db)


@budget(20)
async def tokens_and_recipients_are_kept(desk: Desk) -> None:
    text = await tokens.create(desk.db, CALLER, "t", Scope(ROOT, frozenset({Right.READ})), 60)
    shown = await tokens.shown(desk.db, text)
    assert shown is not None
    assert shown.caller.token is not None
    await tokens.is_revoked(desk.db, shown.caller.token)
    await tokens.revoke(desk.db, CALLER, "t")
    await tokens.listing(desk.db)
    await recipients.put(desk.db, OWNER, bytes(32), OWNER)
    await recipients.keys_of(desk.db, [OWNER])
    await recipients.listing(desk.db)
    await recipients.remove(desk.db, OWNER)


@budget(30)
async def macaroons_are_made_found_and_ended(desk: Desk) -> None:
    text = await tokens.create(desk.db, CALLER, "m", Scope(ROOT, frozenset({Right.READ})), 60)
    shown = await tokens.shown(desk.db, text)
    assert shown is not None
    assert shown.caller.token is not None
    await tokens.of_row(desk.db, shown.caller.token)
    for made in (one := uuid4(), uuid4()):
        await macaroons.create(desk.db, shown.caller, made, bytes(48), b"{}", ["path:/"], 60, 1000)
    await macaroons.find(desk.db, one)
    await macaroons.listing(desk.db, shown.caller, 10)
    await macaroons.revoke(desk.db, CALLER, one, shown.caller)
    await tokens.revoke(desk.db, CALLER, "m")
    await macaroons.forget_expired(desk.db, 10)


@budget(6_000)
async def files_that_may_be_read_are_told(desk: Desk) -> None:
    await Verdicts().of(desk.db, CALLER, 0)
    seen = await visible.below(desk.db, CALLER, Verdict(0, {}), await places.resolve_one(desk.db, ROOT))
    assert len(await visible.files(desk.db, seen, None, 100)) == 100


# Queries

READER = replace(CALLER, scopes=(Scope(ROOT, frozenset({Right.READ, Right.GET_METADATA})),))
MODALITY = DicomAttribute.of("Modality", by_keyword()["Modality"])
WANTED = Wanted(Not(Compared(MODALITY, Operator.EQUAL, "CT")), (MODALITY,), True, None, True, ["a.1"])


@budget(9_000)
async def a_page_of_everything_visible_is_asked_about(desk: Desk) -> None:
    await Verdicts().of(desk.db, READER, 0)
    seen = await visible.below(desk.db, READER, Verdict(0, {}), await places.resolve_one(desk.db, ROOT))
    rows, after = await matches.page(desk.db, seen, WANTED, 100, (0, ""))
    assert len(rows) == 100
    assert after == (rows[-1].parent, rows[-1].name)
    rows, _ = await matches.page(desk.db, seen, WANTED, 100, after)
    assert len(rows) == 100


@budget(1_000)
async def a_hundred_candidates_are_asked_about(desk: Desk) -> None:
    found = [one.entry for one in await places.resolve(desk.db, [Lfn(one) for one in desk.files])]
    known = [Known(one.id, one.image, BASIC, True) for one in found if one is not None]
    assert len(await matches.among(desk.db, known, WANTED)) == 100


STUDIES = Sought(Level.STUDY, WANTED.condition, (), None, ["a.1"], False, 0, 10, ["StudyDate"])


@budget(9_000)
async def studies_are_put_together_from_what_is_visible(desk: Desk) -> None:
    seen = await visible.below(desk.db, READER, Verdict(0, {}), await places.resolve_one(desk.db, ROOT))
    assert (await studies.of_visible(desk.db, seen, STUDIES, 100)).cut


@budget(1_000)
async def studies_are_put_together_from_a_hundred_candidates(desk: Desk) -> None:
    found = [one.entry for one in await places.resolve(desk.db, [Lfn(one) for one in desk.files])]
    known = [Known(one.id, one.image, BASIC, True) for one in found if one is not None]
    assert not (await studies.of_known(desk.db, known, STUDIES)).cut


@budget(70_000)
async def studies_are_put_together_from_ten_thousand_candidates(desk: Desk) -> None:
    """So many read a study of that size; of what else there is, the directories."""
    of_many = replace(MODALITY, row=replace(MODALITY.row, tag=1))
    (probe,) = probes(Compared(of_many, Operator.EQUAL, "50"))
    seen = await visible.below(desk.db, READER, Verdict(0, {}), await places.resolve_one(desk.db, ROOT))
    assert not (await studies.of_candidates(desk.db, seen, probe, STUDIES, 100)).cut


@budget(1_000)
async def whether_a_hundred_views_can_be_sent_is_known(desk: Desk) -> None:
    found = [one.entry for one in await places.resolve(desk.db, [Lfn(one) for one in desk.files])]
    views = [(one.id, BASIC) for one in found if one is not None]
    assert len(await readiness.of_entries(desk.db, views, WANTED.versions)) == 100


@budget(1_000)
async def what_a_hundred_views_say_is_told(desk: Desk) -> None:
    found = [one.entry for one in await places.resolve(desk.db, [Lfn(one) for one in desk.files])]
    views = [(one.image, BASIC) for one in found if one is not None and one.image is not None]
    said = await matches.said(desk.db, views, WANTED.versions)
    assert len(said) == 100


@budget(1_000)
async def few_candidates_are_found_by_an_index(desk: Desk) -> None:
    uid = DicomAttribute.of("SOPInstanceUID", by_keyword()["SOPInstanceUID"])
    (probe,) = probes(Compared(uid, Operator.EQUAL, "u600123"))
    assert len(await candidates(desk.db, probe, ["a.1"], 100) or ()) == 1
    # More than may be looked at.
    for tag, value in ((1, "50"), (7, 50.0)):
        of_many = replace(MODALITY, row=replace(MODALITY.row, tag=tag))
        if isinstance(value, float):
            of_many = replace(of_many, kind=AttributeKind.NUMBER)
        (probe,) = probes(Compared(of_many, Operator.EQUAL, value))
        assert await candidates(desk.db, probe, ["a.1"], 100) is None
    (probe,) = probes(Compared(OwnAttribute("mine.state", AttributeKind.TEXT, 1), Operator.EQUAL, "new"))
    assert await candidates(desk.db, probe, ["a.1"], 100) == {}


# The trail


@budget(60)
async def acts_are_written_and_sealed(desk: Desk) -> None:
    await acts.record(desk.db, [Act(CALLER, "read")])
    assert await ledger.may_seal(desk.db)
    await ledger.wait_for_seal(desk.db)
    found = await unsealed.waiting(desk.db, await ledger.now(desk.db), 10)
    ids = [row["id"] for row in found.rows]
    await ledger.add_seal(desk.db, 1, "seal", b"rows", ids)
    await unsealed.sealed(desk.db, found)
    await ledger.last_seal(desk.db)
    await ledger.seals_from(desk.db, 1, 10)
    await ledger.index_sizes(desk.db, 0, 1, 10)
    await ledger.seals_between(desk.db, 0, 1)
    await ledger.marked(desk.db, (0, 0), 1, 10)
    await ledger.rows_by_id(desk.db, ids)
    await ledger.indexes_over(desk.db, 1, 10)
    await ledger.beyond(desk.db, (0, 0), 1, 10)
    await ledger.unmarked(desk.db, 0, 10)


@budget(60)
async def what_is_old_is_pruned(desk: Desk) -> None:
    for number in range(1, 11):
        await ledger.add_seal(desk.db, number, "seal", b"rows", [number])
    await ledger.wait_for_pruning(desk.db)
    await ledger.set_pruned(desk.db, 1, 1)
    assert await ledger.pruned(desk.db) == (1, 1)
    await ledger.first_seal_since(desk.db, datetime.now(UTC) + timedelta(days=1))
    await ledger.remove(desk.db, 1, [1])


@budget(300)
async def rows_are_found(desk: Desk) -> None:
    lately = datetime.now(UTC) - timedelta(minutes=5)
    for wanted in (Filter(guid=guid(FILE)), Filter(caller=OWNER), Filter(since=lately), Filter(until=lately)):
        await ledger.filtered_rows(desk.db, wanted, 0, 50)
        await ledger.newest(desk.db, wanted, 50)


# Work


@budget(2_000)
async def directories_are_checked(desk: Desk) -> None:
    await directories_to_check.add(desk.db, await desk.directory())
    await directories_to_check.add_all(desk.db)
    await directories_to_check.check_all_by_newer_rules(desk.db, "x.1")
    await views_to_make.lock_demands(desk.db)
    for row in await DIRECTORIES_TO_CHECK.take(desk.db, "a", 2):
        await directories_to_check.check_page(desk.db, row, [("basic", "b.2")])


@budget(60)
async def views_are_demanded(desk: Desk) -> None:
    await views_to_make.share_demands(desk.db)
    await views_to_make.add(desk.db, [(image(FILE), "basic")])
    await views_to_make.add_lacking(
        desk.db, [image(FILE + n) for n in range(10)], ["basic"], [("basic", "b.2")]
    )
    assert not await views_to_make.add_lacking_at(
        desk.db, image(FILE), await desk.directory(), [("basic", "b.2")]
    )
    await views_to_make.lack(desk.db, image(FILE), "basic", "a.1", 1)
    await views_to_make.left_to_newer_nodes(desk.db, "a.1")


@budget(1_600)
async def images_are_looked_through_to_be_indexed(desk: Desk) -> None:
    assert not await images_to_index.left_to_newer_nodes(desk.db, 7)
    await images_to_index.add(desk.db, image(FILE))
    await images_to_index.begin(desk.db, 7)
    assert await images_to_index.add_page(desk.db, 500)
    said = Attributes(series={"Modality": ["CT"]})
    await index.replace(desk.db, image(FILE), [IndexedView(image(FILE), "basic", "a.1", said)])


@budget(20)
async def keys_are_to_be_forgotten(desk: Desk) -> None:
    await keys_to_forget.add(desk.db, [registration(FILE)])
    older = uuid4()
    await keys_to_forget.add_older(desk.db, {older: image(FILE)})
    (whole,) = await shredding.wholes(desk.db, [image(FILE)])
    assert older in whole.older


@budget(1_200)
async def reports_of_commitment_are_kept(desk: Desk) -> None:
    device, sealed, bounds = Device("CT", "192.0.2.1"), bytes(100), {"most": 256, "most_bytes": 1 << 20}
    called = await reports_to_send.add(desk.db, device, sealed, called=True, **bounds)
    here = await reports_to_send.add(desk.db, device, sealed, called=False, **bounds)
    assert called is not None
    assert here is not None
    await reports_to_send.answered(desk.db, called)
    assert await reports_to_send.wanted(desk.db, called)
    assert await reports_to_send.waiting(desk.db, "CT", 256)
    assert await reports_to_send.take(desk.db, here)
    await reports_to_send.done(desk.db, here)
    assert not await reports_to_send.drop_older(desk.db, 72)
    assert await reports_to_send.devices(desk.db) == [device]
    await reports_to_send.call(desk.db, device, called=False)


# The installation, the key store


@budget(10)
async def the_installation_is_known(desk: Desk) -> None:
    assert await installation.identity(desk.db) == await installation.identity_if_any(desk.db)
    _, store = await installation.blob_store(desk.db)
    await installation.set_blob_store(desk.db, store or uuid4())


@budget(500)
async def secrets_are_kept(desk: Desk) -> None:
    secrets = {uuid4(): new_secrets() for _ in range(10)}
    named = [one.registration for one in secrets.values()]
    await desk.keys.register(secrets)
    await desk.keys.unconfirmed(0, 10)
    await desk.keys.confirm(named)
    assert len(await desk.keys.fetch(named, identity=True)) == 10
    assert (await desk.keys.holders(named)).popitem()[1] == set(named)
    await desk.keys.forget_lapsed(named, 3600)
    await desk.keys.forget(named)
    await desk.keys.make_project_key("p")


@budget(2 * standing.COUNTED + 1_000)
async def wrapped_keys_stand(desk: Desk) -> None:
    await desk.keys.status()


@budget(1_100)
async def project_keys_are_wrapped_anew(desk: Desk) -> None:
    installed = await installation.identity(desk.db)
    old = KeyRing([Wrapper(b"\x01" * 32, installed, 2)])
    await desk.db.execute(
        "insert into mdm_keys.project_keys values ('q', 2, $1)", old.wrap(bytes(32), "project", "q")
    )
    await desk.db.execute("insert into mdm_keys.kek_proofs (epoch, wrapped) values (3, 'new')")
    ring = KeyRing([Wrapper(bytes(32), installed, 3), Wrapper(b"\x01" * 32, installed, 2)])
    cipher = RowCipher(ring, StoreIdentity(UUID(int=1), 0, installed))
    assert await rewrapping.project_keys(desk.db, cipher) == (1, 0)


@budget(1_100)
async def secrets_are_wrapped_anew(desk: Desk) -> None:
    installed = await installation.identity(desk.db)
    assert await proofs.are_there(desk.db)
    assert await proofs.are_used(desk.db)
    # Of a key that nobody gives any more, for nothing is wrapped under it.
    await desk.db.execute("insert into mdm_keys.kek_proofs (epoch, wrapped) values (99, 'lost')")
    await proofs.prove(desk.db, [b"\x02" * 32, bytes(32)], installed)
    ring = KeyRing([Wrapper(b"\x02" * 32, installed, 100), Wrapper(bytes(32), installed, 1)])
    cipher = RowCipher(ring, await claimed(desk.db, StoreIdentity(UUID(int=1), 0, installed)))
    await rewrapping.image_secrets(desk.db, cipher, 1, rewrapping.FIRST)


@budget(1_000)
async def a_rotation_is_kept_account_of(desk: Desk) -> None:
    assert await rotations.is_left(desk.db, [1], 9)
    assert await rotations.begin(desk.db, 9, "here")
    assert await rotations.begin(desk.db, 9, "there") is None
    await rotations.expect(desk.db, 9, 100)
    await rotations.renew(desk.db, 9, "here", 7)
    await rotations.end(desk.db, 9, "here", 0)
    assert (last := await rotations.last(desk.db)) is not None
    assert (last.done, last.total) == (7, 100)


@budget(rewrapping.COUNTED + 1_000)
async def what_is_wrapped_under_a_key_is_counted_page_by_page(desk: Desk) -> None:
    await rewrapping.count_project_keys(desk.db, 1)
    count, _ = await rewrapping.count_page(desk.db, 1, rewrapping.FIRST)
    assert count == rewrapping.COUNTED


@budget(1_000)
async def nodes_tell_which_keys_they_have(desk: Desk) -> None:
    await nodes.report(desk.db, "there", keeps=True, has=[1], in_use=1)
    assert "there" in {node.name for node in await nodes.known(desk.db)}
    assert await nodes.strike_off(desk.db, ["there"]) == []


@budget(1_000)
async def a_key_encryption_key_ends(desk: Desk) -> None:
    await desk.db.execute(
        "insert into mdm_keys.kek_proofs (epoch, wrapped) values (50, 'x'), (51, 'y'), (52, 'z')"
    )
    await retiring.expect_transfers(desk.db, 60)
    assert await retiring.close(desk.db, 52) == [50, 51]
    assert await retiring.open_epochs(desk.db) == [1, 52]
    assert await retiring.note_destroyed(desk.db) == [50, 51]


@budget(1_000)
async def keys_of_transfers_come_and_go(desk: Desk) -> None:
    await desk.keys.add_transfer_key(5, bytes(32))
    assert 5 in await desk.keys.transfer_keys()
    await desk.keys.remove_transfer_keys(6)


@budget(1_100)
async def stores_are_enrolled(desk: Desk) -> None:
    installed = await installation.identity(desk.db)
    await enrolment.demand_whole(desk.db)
    with pytest.raises(UnsafeSettings, match="lie whole"):
        await enrolment.enrol(desk.db, ["a", "b"], 2, installed)
    await desk.db.execute("insert into mdm_keys.sharing (threshold, begun) values (2, true)")
    identities = await enrolment.enrol(desk.db, ["a", "b"], 2, installed)
    assert await enrolment.begun_stores(desk.db) == {"a", "b"}
    with pytest.raises(UnsafeSettings, match="lack b"):
        await enrolment.enrol(desk.db, ["a"], 2, installed)
    await enrolment.begin(desk.db)
    await enrolment.enrolled(desk.db, installed, ["a", "b"], 2)
    with pytest.raises(UnsafeSettings, match="a catalog's"):
        await enrolment.demand_this_store(desk.db, "a", identities["a"], identities)


@budget(1_100)
async def stores_that_are_new_are_enrolled(desk: Desk) -> None:
    installed = await installation.identity(desk.db)
    # Of the locks that an emptied table needs, none is held by others.
    for table in ("image_secrets", "project_keys"):
        await desk.db.execute(f"alter table mdm_keys.{table} rename to {table}_before")
        await desk.db.execute(f"create table mdm_keys.{table} (like mdm_keys.{table}_before)")
    await enrolment.enrol(desk.db, ["a", "b"], 2, installed)
    await enrolment.enrol(desk.db, ["a", "c"], 2, installed)
    await enrolment.enrolled(desk.db, installed, ["a", "b", "c"], 2)


@budget(1_100)
async def a_store_is_looked_at(desk: Desk) -> None:
    await store_check.look(
        desk.db, StorePlace("a", "", GivenKeks(b64encode(bytes(32)).decode())), store_check.Seen()
    )


@budget(3_300)
async def what_a_store_missed_is_made_good(desk: Desk) -> None:
    cipher = RowCipher(KeyRing([Wrapper(bytes(32), UUID(int=1))]), StoreIdentity(UUID(int=1), 1, UUID(int=1)))
    store = KeyDatabase("a", desk.database, cipher)
    assert len(await repair._listed(store, UUID(int=0))) == 1000
    shares = [Held(uuid4(), uuid4(), "image", bytes(40)) for _ in range(10)]
    registrations = [share.registration for share in shares]
    assert await repair._give(store, shares) == 10
    assert len(await repair._listed_of(store, registrations)) == 10
    await store.withdraw(registrations[:5])
    await store.forget(registrations)
    assert len((await repair._state(store, registrations)).forgotten) == 10
    assert await repair._give(store, shares) == 0


class _NoShares(Shares):
    """Keys that belong to a name are nowhere but there."""

    def __init__(self) -> None:
        super().__init__([], 2)
        self.held: dict[Key, Held] = {}

    async def register(self, secrets: Sequence[Held], *, intended: bool) -> None:
        self.held |= {(one.registration, one.kind): one for one in secrets}

    async def read(self, keys: Collection[Key]) -> Read:
        return Read({key: self.held[key] for key in keys}, set())

    async def forget(self, registrations: Collection[UUID]) -> Forgotten:
        return Forgotten((), ())


@budget(1_100)
async def keys_that_are_shared_are_named(desk: Desk) -> None:
    shares = _NoShares()
    await named_keys.make_project_key(desk.database, shares, "p")
    await named_keys.make_project_key(desk.database, shares, "p")
    await named_keys.take_project_key(desk.database, shares, "p", bytes(32))
    assert len(await named_keys.project_keys(desk.database, shares, ["p"])) == 1
    for _ in range(2):
        await named_keys.add_transfer_key(desk.database, shares, 7, bytes(32))
    for made, named in (await named_keys.transfer_keys(desk.database)).items():
        await named_keys.remove_transfer_key(desk.database, shares, made, named)
    async with desk.database.acquire() as db:
        await db.execute("delete from mdm_keys.shared_project_keys")


# Queues, each with a thousand rows more than is taken


QUEUES: dict[str, tuple[Queue, str]] = {
    "views": (
        VIEWS_TO_MAKE,
        "insert into views_to_make (image, view) select md5('image' || n)::uuid, 'q' from generate_series(1, {}) n",
    ),
    "directories": (
        DIRECTORIES_TO_CHECK,
        "insert into directories_to_check (directory) select n from generate_series(1, {}) n",
    ),
    "cohorts": (
        COHORTS_TO_REMOVE,
        "insert into cohorts_to_remove (cohort) select n from generate_series(1, {}) n",
    ),
    "images": (
        IMAGES_TO_DESTROY,
        "update images set doomed = now() where id in (select md5('image' || n)::uuid from generate_series(1, {}) n)",
    ),
    "indexing": (
        IMAGES_TO_INDEX,
        "insert into images_to_index (image) select md5('image' || n)::uuid from generate_series(1, {}) n",
    ),
    "staging": (
        images_to_stage.of_archive("main"),
        "insert into images_to_stage (image, pacs)"
        " select md5('image' || n)::uuid, case when n % 2 = 0 then 'main' else 'other' end"
        " from generate_series(1, {}) n",
    ),
    "sets": (
        SETS_TO_CHECK,
        "insert into sets_to_check (set) select n from generate_series(1, {}) n",
    ),
    "trees": (
        TREES_TO_REMOVE,
        "insert into trees_to_remove (directory) select n from generate_series(1, {}) n",
    ),
    "values": (
        VALUES_TO_FORGET,
        "insert into values_to_forget (attribute) select n from generate_series(1, {}) n",
    ),
    "keys": (
        KEYS_TO_FORGET,
        "insert into keys_to_forget (registration, image)"
        " select md5('registration' || n)::uuid, md5('image' || n)::uuid from generate_series(1, {}) n",
    ),
    "superseded": (
        SUPERSEDED_KEYS,
        "insert into superseded_keys (registration, image, blobs, due)"
        " select md5('registration' || n)::uuid, md5('image' || n)::uuid, '{{}}', now()"
        " from generate_series(1, {}) n",
    ),
    "shreds": (
        SHREDS,
        "insert into shreds (id, caller, owner, granted, images)"
        " select md5('shred' || n)::uuid, 'user:a', 'user:a', false, 1 from generate_series(1, {}) n",
    ),
    "reports": (
        REPORTS_TO_SEND,
        "insert into reports_to_send (ae, source, called, asked, due)"
        " select 'AE' || n % 100, '192.0.2.1', n % 2 = 0, '', now() from generate_series(1, {}) n",
    ),
    "blobs": (
        BLOBS_TO_DELETE,
        "update blobs set state = 'doomed', doomed = now()"
        " where id in (select md5('blob' || n)::uuid from generate_series(1, {}) n)",
    ),
}


async def turn(db: Connection, queue: Queue) -> None:
    """A node's turn at a queue, with all that it may do."""
    await queue.give_back(db, "node")
    rows = await queue.take(db, "node", 200)
    assert len(rows) == 200
    await queue.renew(db, rows)
    await queue.fail(db, rows[0], "Damaged")
    await queue.put_back(db, rows[1:100], 0)
    if queue.table not in ("images", "blobs", "shreds"):  # those go by ways of their own
        await queue.done(db, rows[100:])
    assert await queue.hurry(db, 200) == 1
    await queue.standing(db)
