"""What an administrator says of mirrors, at the first site and at the second: accept, add, stop, promote, status."""

import re
import secrets
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mdm_async.catalog import installation
from mdm_async.catalog.mirrors import changes, followed, had, mirrors, read_only
from mdm_async.catalog.mirrors.changes import Lag
from mdm_async.catalog.mirrors.followed import Followed
from mdm_async.catalog.mirrors.mirrors import Mirror
from mdm_async.catalog.namespace import entries, places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.client.second_site import SecondSite
from mdm_async.errors import BadRequest, Conflict, Exists, NotADirectory, NotEmpty, NotFound, Unauthenticated
from mdm_async.images.changed import ChangedHere
from mdm_async.images.mirroring import metrics
from mdm_async.images.mirroring.credentials import Credentials
from mdm_async.names import ROOT, Caller, Lfn
from mdm_async.postgres.database import Connection, Database

_PAGE: Final = 1000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class Sent:
    """A mirror of a directory here, how far it is behind, and why it does not take profiles, by their names."""

    mirror: Mirror
    path: Lfn | None
    lag: Lag
    refused: dict[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """A directory here that follows another site's, or did."""

    followed: Followed
    path: Lfn | None


@dataclass(frozen=True, slots=True, repr=False)
class Mirroring:
    """Of one node."""

    database: Database
    credentials: Credentials
    changed: ChangedHere

    async def accept(self, caller: Caller, name: str, path: Lfn) -> str:
        """Let a directory here, missing or empty, follow one elsewhere; the credential that the first site is to
        show. Raises NotEmpty, NotADirectory, Exists, BadRequest."""
        credential = secrets.token_urlsafe(32)
        async with self.database.transaction() as db:
            await acl.demand_administrator(db, caller)
            _demand_name(name)
            place = await _directory(db, path)
            assert place.entry is not None
            if await entries.page(db, place.entry.id, entries.Listed(inheriting=True), 1):
                raise NotEmpty(
                    "a directory that follows another is empty at first", remedy="name one that is"
                )
            if await read_only.barred(db, place.way):
                raise Conflict("a directory in a mirror is no mirror", remedy="name one outside of it")
            await followed.add(db, name, place.entry.id, credential, caller.name)
            await acts.record(db, [_act(caller, "mirror accept", name, place.entry.guid)])
        self.changed.everything()
        return credential

    async def add(self, caller: Caller, name: str, path: Lfn, url: str, credential: str) -> None:
        """Send a directory to a site that has accepted it, now and whatever changes. Raises what that site says,
        Exists, NotFound, NotADirectory, Conflict."""
        async with self.database.acquire() as db:
            await acl.demand_administrator(db, caller)
            _demand_name(name)
            own = await installation.identity(db)
            await _mirrorable(db, path)
        async with SecondSite(url, credential, await self.credentials.signing(credential)) as site:
            try:
                there = await site.hello(own, None, None)
            except Unauthenticated as why:
                # It is not whoever asks here that is unknown.
                raise Conflict(f"the second site says: {why.detail}", remedy=why.remedy) from why
        if there["path"] != path:
            raise Conflict(
                "the second site has accepted another directory",
                remedy="a mirror has the same path at both sites: mdm mirror accept NAME PATH",
            )
        sealed = await self.credentials.sealed(credential, name)
        async with self.database.transaction() as db:
            await acl.demand_administrator(db, caller)
            place = await _mirrorable(db, path)
            assert place.entry is not None
            guid = place.entry.guid
            await mirrors.add(db, name, place.entry.id, guid, url, sealed, int(there["epoch"]), caller.name)
            await acts.record(db, [_act(caller, "mirror add", name, guid)])

    async def stop(self, caller: Caller, name: str, *, diverge: bool) -> None:
        """Send nothing more, and forget the mirror. Raises NotFound, Conflict when it was promoted and nobody says
        that the two are to `diverge`."""
        async with self.database.transaction() as db:
            await acl.demand_administrator(db, caller)
            mirror = await mirrors.get(db, name)
            if mirror is None:
                raise NotFound(
                    "no directory here has a mirror of that name",
                    remedy="mdm mirror status; what follows another site is promoted, not stopped",
                )
            if mirror.state == "fenced" and not diverge:
                raise Conflict(
                    "that mirror was promoted: with it stopped, both sites' directories take changes of their own",
                    remedy=f"if that is meant: mdm mirror stop {name} --diverge",
                )
            await mirrors.stop(db, mirror)
            await acts.record(db, [_act(caller, "mirror stop", name)])
        more = True
        while more:
            async with self.database.transaction() as db:
                more = await mirrors.forget_page(db, name, _PAGE)
        for gauge in (metrics.FAILED, metrics.FENCED, metrics.LAG_SECONDS, metrics.WAITING):
            gauge.labels(name).set(0)
        self.changed.everything()

    async def promote(self, caller: Caller, name: str) -> Followed:
        """Let what follows another site take its place, for good; how it stands then. A repetition changes nothing.
        Raises NotFound."""
        async with self.database.transaction() as db:
            await acl.demand_administrator(db, caller)
            found = await followed.get(db, name)
            if found is None:
                raise NotFound(
                    "nothing here follows another site by that name",
                    remedy="promote at the second site; mdm mirror status tells which this is",
                )
            if await followed.promote(db, found) is not None:
                await acts.record(db, [_act(caller, "mirror promote", name)])
            now = await followed.get(db, name)
            assert now is not None
        self.changed.everything()
        return now

    async def status(self, caller: Caller) -> tuple[list[Sent], list[Kept]]:
        async with self.database.acquire() as db:
            await acl.demand_administrator(db, caller)
            sent = await mirrors.listing(db)
            lags = [await changes.lag(db, one.name) for one in sent]
            profiles = [await had.profiles(db, one.name) for one in sent]
            kept = await followed.listing(db)
            where = await places.of_entries(
                db, [*(one.directory for one in sent), *(one.directory for one in kept)]
            )
        paths = {id_: place.lfn for id_, place in where.items()}
        return (
            [
                Sent(one, paths.get(one.directory), lag, {name: why for name, why in had_.items() if why})
                for one, lag, had_ in zip(sent, lags, profiles, strict=True)
            ],
            [Kept(one, paths.get(one.directory)) for one in kept],
        )


def _demand_name(name: str) -> None:
    if not _NAME.match(name):
        raise BadRequest("a mirror's name is 1 to 63 small letters, digits, '.', '_' and '-'")


async def _directory(db: Connection, path: Lfn) -> Place:
    """Made if need be."""
    place = await places.resolve_one(db, path)
    if path == ROOT:
        raise BadRequest("the root is no mirror", remedy="name a directory")
    if place.missing:
        if not place.ancestor.is_directory:
            raise NotADirectory()
        await entries.make_directories(db, place.ancestor.id, path.split("/")[-place.missing :])
        place = await places.resolve_one(db, path)
    if place.entry is None or not place.entry.is_directory:
        raise NotADirectory()
    return place


async def _mirrorable(db: Connection, path: Lfn) -> Place:
    place = await places.resolve_one(db, path)
    if path == ROOT:
        raise BadRequest("the root has no mirror", remedy="name a directory")
    if place.entry is None:
        raise NotFound()
    if not place.entry.is_directory:
        raise NotADirectory("directories are mirrored")
    if await read_only.barred(db, place.way):
        raise Conflict("it follows another site itself, or lies in what does", remedy="mdm mirror status")
    for other in await mirrors.listing(db):
        there = (await places.of_entries(db, [other.directory])).get(other.directory)
        if there is not None and (path + "/").startswith(there.lfn + "/") | (there.lfn + "/").startswith(
            path + "/"
        ):
            raise Exists(
                f"the mirror {other.name!r} has it already, or something in it", remedy="mdm mirror status"
            )
    return place


def _act(caller: Caller, act: str, name: str, guid: UUID | None = None) -> Act:
    return Act(caller, act, guid=guid, details={"mirror": name})
