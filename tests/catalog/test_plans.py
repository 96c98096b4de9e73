"""Plans made while tables are empty are kept while they fill: what every request runs looks into the right index."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast
from uuid import UUID

import pytest

from mdm_async.catalog.grants import grants, requests
from mdm_async.catalog.grants.requests import Release
from mdm_async.catalog.holdings import blobs, images, locality, stored_views
from mdm_async.catalog.namespace import entries, places
from mdm_async.catalog.namespace.entries import Listed
from mdm_async.catalog.rights import kept_acls, visible
from mdm_async.catalog.rights.verdicts import Verdict, Verdicts
from mdm_async.catalog.trail import ledger, unsealed
from mdm_async.catalog.trail.ledger import Filter
from mdm_async.catalog.work import directories_to_check, views_to_make
from mdm_async.catalog.work.directories_to_check import DIRECTORIES_TO_CHECK
from mdm_async.catalog.work.doomed import BLOBS_TO_DELETE, IMAGES_TO_DESTROY
from mdm_async.catalog.work.keys_to_forget import KEYS_TO_FORGET
from mdm_async.catalog.work.queue import Row
from mdm_async.catalog.work.views_to_make import VIEWS_TO_MAKE
from mdm_async.names import AUTHENTICATED, ROOT, Caller, Lfn, Right, Scope
from mdm_async.postgres.database import Connection, Database

ID = UUID(int=1)
CALLER = Caller("user:a", frozenset({"user:a", AUTHENTICATED}), (Scope(ROOT, frozenset({Right.READ})),))
SMALL = {"audit_sealing", "installation"}


class Explained:
    """A connection that plans each statement before it runs it."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self.nodes: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        run = getattr(self._db, name)
        if name not in ("fetch", "fetchrow", "fetchval", "execute"):
            return run

        async def planned(query: str, *arguments: Any) -> Any:
            if not query.startswith("set "):
                told = await self._db.fetchval(f"explain (format json) {query}", *arguments)
                self.nodes += _below(told[0]["Plan"])
            return await run(query, *arguments)

        return planned

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}


def _below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for each in node.get("Plans", ()):
        yield from _below(each)


async def _readable_files(db: Connection) -> None:
    seen = await visible.below(db, CALLER, Verdict(0, {}), await places.resolve_one(db, ROOT))
    await visible.files(db, seen, None, 10)


TAKEN = Row((ID, "basic"), "a#1")


async def _check(db: Connection) -> None:
    await db.execute(
        "insert into directories_to_check (directory) select id from entries where parent is null"
    )
    (row,) = await DIRECTORIES_TO_CHECK.take(db, "a", 1)
    await directories_to_check.check_page(db, row, [("basic", "a.1")])


Statement = Callable[[Connection], Awaitable[object]]

STATEMENTS: dict[str, tuple[Statement, str]] = {
    "names are looked up": (lambda db: places.resolve(db, [Lfn("/a/b")]), "entries_parent_name_key"),
    "entries are judged": (lambda db: places.of_entries(db, [1]), "entries_pkey"),
    "GUIDs are looked up": (lambda db: places.of_guids(db, [ID]), "entries_guid_key"),
    "all is listed": (
        lambda db: entries.page(db, 1, Listed(True, [1], ["a"]), 10),
        "entries_parent_name_key",
    ),
    "some is listed": (lambda db: entries.page(db, 1, Listed(False, [1], ["a"]), 10), "entries_own_acls"),
    "directories are looked into": (_readable_files, "entries_directories"),
    "files that may be read are told": (_readable_files, "entries_parent_name_key"),
    "ACLs that name one are found": (lambda db: Verdicts().of(db, CALLER, 0), "acls_principals"),
    "own ACLs are listed": (lambda db: entries.own_acls(db, 1), "entries_own_acls"),
    "own ACLs below are found": (lambda db: kept_acls.owners_below(db, 1), "entries_directories"),
    "a transfer URL is found": (lambda db: grants.by_turl(db, b"t"), "_turl_idx"),
    "transfer URLs are watched": (lambda db: grants.liveness(db, [b"t"]), "_turl_idx"),
    "an image's pins are counted": (lambda db: grants.pins_of(db, [ID]), "_image_expires_idx"),
    "a request is found": (lambda db: requests.of_request(db, ID, CALLER), "_request_idx"),
    "a request is released": (lambda db: requests.release(db, [Release(CALLER, ID)]), "_request_idx"),
    "a request is aborted": (lambda db: requests.abort(db, CALLER, ID, None), "_request_idx"),
    "a request is extended": (lambda db: requests.extend(db, CALLER, ID, None, 60), "_request_idx"),
    "entries are released": (lambda db: requests.release_entries(db, CALLER, [1]), "_entry_idx"),
    "images without a name are doomed": (lambda db: images.doom_unreferenced(db, [ID]), "entries_of_image"),
    "views are found": (lambda db: stored_views.holdings(db, [(ID, "basic")], ["v"]), "views_pkey"),
    "places of images are found": (lambda db: locality.of_images(db, [ID]), "images_pkey"),
    "a pseudonym is found": (
        lambda db: stored_views.with_pseudonym(db, b"p", ["v"], ID, 10),
        "views_pseudonyms",
    ),
    "views to make are taken": (lambda db: VIEWS_TO_MAKE.take(db, "a", 10), "views_to_make_due"),
    "directories to check are taken": (
        lambda db: DIRECTORIES_TO_CHECK.take(db, "a", 10),
        "directories_to_check_due",
    ),
    "images to destroy are taken": (lambda db: IMAGES_TO_DESTROY.take(db, "a", 10), "images_to_destroy"),
    "keys to forget are taken": (lambda db: KEYS_TO_FORGET.take(db, "a", 10), "keys_to_forget_due"),
    "blobs to delete are taken": (lambda db: BLOBS_TO_DELETE.take(db, "a", 10), "blobs_to_delete"),
    "lapsed writes are given up": (lambda db: blobs.doom_lapsed(db, 10), "blobs_being_written"),
    "a row of work is settled": (lambda db: VIEWS_TO_MAKE.done(db, [TAKEN]), "views_to_make_pkey"),
    "a row of work fails": (lambda db: VIEWS_TO_MAKE.fail(db, TAKEN, "Damaged"), "views_to_make_pkey"),
    "what an image lacks is found": (lambda db: views_to_make.lack(db, ID, "basic", "a.1", 1), "views_pkey"),
    "what a named image lacks is added": (
        lambda db: views_to_make.add_lacking(db, [ID], ["basic"], [("basic", "a.1")]),
        "views_pkey",
    ),
    "a directory is checked": (_check, "entries_parent_name_key"),
    "rows wait to be sealed": (lambda db: unsealed.waiting(db, 0, 10), "audit_unsealed"),
    "rows sealed before are told": (lambda db: ledger.marked(db, (0, 0), 5, 10), "audit_sealed"),
    "seals that name rows are found": (lambda db: ledger.indexes_over(db, 1, 10), "audit_seals_ids"),
    "an entry's rows are told": (lambda db: ledger.filtered_rows(db, Filter(guid=ID), 0, 10), "audit_guid"),
    "an entry's last rows are told": (lambda db: ledger.newest(db, Filter(guid=ID), 10), "audit_guid"),
    "a caller's rows are told": (lambda db: ledger.newest(db, Filter(caller="a"), 10), "audit_caller"),
}


@pytest.mark.parametrize("what", STATEMENTS)
async def test_a_statement_of_requests_looks_into_its_index(database: Database, what: str) -> None:
    statement, index = STATEMENTS[what]
    async with database.acquire() as db:
        explained = Explained(db)
        await statement(cast(Connection, explained))
    assert any(name.endswith(index) for name in explained.indexes), explained.indexes
    for node in explained.nodes:
        scanned = node["Node Type"] == "Seq Scan" and node["Relation Name"] not in SMALL
        walked = node["Node Type"] in ("Index Scan", "Index Only Scan") and "Index Cond" not in node
        # Whether a table has any row at all is known by its first.
        walked = walked and node.get("Parent Relationship") != "InitPlan"
        assert not scanned, node
        assert not walked, node


async def test_a_look_into_an_inverted_index_changes_no_plan_of_the_transaction_around_it(
    database: Database,
) -> None:
    async with database.transaction() as db:
        await Verdicts().of(db, CALLER, 0)
        await stored_views.with_pseudonym(db, b"p", ["v"], ID, 10)
        assert await db.fetchval("show enable_bitmapscan") == "off"


NEVER_DELETED = {"acls"}


async def test_whoever_is_referred_to_finds_who_refers_to_it_by_an_index(db: Connection) -> None:
    """Or each deletion would read a table whole."""
    rows = await db.fetch(
        "select conrelid::regclass::text as table, confrelid::regclass::text as referred, conname as name"
        " from pg_constraint c where contype = 'f' and not exists ("
        "  select from pg_index i where indrelid = conrelid and indkey[0] = conkey[1])"
    )
    assert {row["referred"] for row in rows} <= NEVER_DELETED, [tuple(row) for row in rows]
