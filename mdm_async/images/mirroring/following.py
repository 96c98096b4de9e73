"""The second site: a directory that is made what the first says, file by file, until it is promoted."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import NoneType
from uuid import UUID, uuid4

from mdm_async.catalog.holdings import images, profiles
from mdm_async.catalog.mirrors import applying, followed
from mdm_async.catalog.mirrors.followed import FOLLOWING, Followed
from mdm_async.catalog.mirrors.states import State
from mdm_async.catalog.rights import kept_acls
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import directories_to_check, views_to_make
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.segment import padded
from mdm_async.errors import Fenced, Gone, MdmError, NoParent, WrongContent
from mdm_async.images.changed import ChangedHere
from mdm_async.images.intake.intake import Intake
from mdm_async.images.intake.unsealing import unsealed
from mdm_async.images.mirroring import records
from mdm_async.images.mirroring.framed import line_of
from mdm_async.images.mirroring.mirrored_profiles import MirroredProfiles
from mdm_async.images.mirroring.records import Told
from mdm_async.images.shredding.shredder import Shredder
from mdm_async.names import OPAQUE, Caller, Payer
from mdm_async.postgres.database import Connection, Database

PREFIX = "mirror:"
_LONGEST_LINE = 64 << 10
"""Bytes of what stands before a file's own."""
_MEMBERS: dict[str, type | tuple[type, ...]] = {"size": int, "sha256": str, "issuedBy": (str, NoneType)}


def caller_of(name: str) -> Caller:
    """As whom what comes is stored and audited. No ACL can name it."""
    return Caller(f"{PREFIX}{name}", frozenset())


@dataclass(frozen=True, slots=True, repr=False)
class Following:
    """Of one node."""

    intake: Intake
    changed: ChangedHere
    shredder: Shredder

    @property
    def database(self) -> Database:
        return self.intake.database

    @property
    def profiles(self) -> MirroredProfiles:
        return MirroredProfiles(self.database, self.intake.shelf, self.changed)

    async def take(self, name: str, epoch: int, said: int, told: Sequence[Told]) -> list[Told]:
        """What comes of each: {}, `upload` where something sealed is to come, `error` where it cannot be so. `said`
        grows each time."""
        answers: list[Told] = []
        async with self.database.transaction() as db:
            await followed.count(db, name, epoch, said)
        for one in told:
            try:
                answers.append(await self._take(name, epoch, one))
            except Fenced:
                raise
            except MdmError as why:
                if why.http >= 500:
                    raise
                answers.append({"error": {"type": why.urn, "detail": why.detail, "status": why.http}})
        self.changed.everything()
        return answers

    async def _take(self, name: str, epoch: int, told: Told) -> Told:
        if told["kind"] == "profile":
            async with self.database.transaction() as db:
                await followed.keep(db, name, epoch)
                return await self._expect(db, name, {"kind": "profile", "epoch": epoch})
        if told["kind"] == "gone":
            await self._remove(name, epoch, UUID(str(told["guid"])))
            return {}
        state = records.read(told)
        async with self.database.transaction() as db:
            here = await self._begin(db, name, epoch, state)
            image = None
            if state.image is not None:
                image = await followed.image_of(db, name, state.image)
                if image is None:
                    await followed.demand_kept(db, name, state.image)
                    return await self._expect(
                        db, name, {"kind": "file", "epoch": epoch, **records.told(state)}
                    )
            await self._place(db, here, state, image)
            await acts.record(db, [Act(caller_of(name), "mirror entry", guid=state.guid)])
        return {}

    async def _begin(self, db: Connection, name: str, epoch: int, state: State) -> Followed:
        # Before any entry is locked, as whoever names files or enables views does.
        if state.image is None:
            await views_to_make.lock_demands(db)
        else:
            await views_to_make.share_demands(db)
        return await followed.keep(db, name, epoch)

    async def _place(self, db: Connection, here: Followed, state: State, image: UUID | None) -> None:
        acls = records.acls(state, await kept_acls.intern(db, records.rules(state)))
        views = await applying.views_at(db, state.guid)
        bind = self.intake.shelf.served.bindings.of
        if state.parent is None:
            await applying.set_top(db, here.directory, state, acls, bind)
            if views != state.views:
                await directories_to_check.add(db, here.directory)
            return
        before = await applying.image_at(db, here.directory, state.guid)
        id_ = await applying.place(db, here.directory, state.parent, state, acls, image, bind)
        if image is None:
            if views != state.views:
                await directories_to_check.add(db, id_)
            return
        if before is not None and before != image:
            await images.doom_unreferenced(db, [before])
        notes = await followed.images_of(db, here.name, state.notes)
        await applying.hide(db, id_, image, state.rejected, notes)
        await applying.release(db, image, state.released, f"{PREFIX}{here.name}")
        if state.only_view == OPAQUE:
            return
        served = self.intake.shelf.served
        await served.refresh(db, now=True)
        wanted = (
            [state.only_view]
            if state.only_view
            else await profiles.enabled_at(db, await self._parent(db, here, state))
        )
        await views_to_make.add_lacking(db, [image], wanted, served.newest)

    async def _parent(self, db: Connection, here: Followed, state: State) -> int:
        assert state.parent is not None
        parent = await applying.inside(db, here.directory, state.parent)
        if parent is None:
            raise NoParent("the directory of a file has not come yet")
        return parent

    async def _remove(self, name: str, epoch: int, guid: UUID) -> None:
        async with self.database.transaction() as db:
            here = await followed.keep(db, name, epoch)
            gone = await applying.remove(db, here.directory, [guid])
            await images.doom_unreferenced(db, gone)
            await acts.record(db, [Act(caller_of(name), "mirror remove", guid=guid)])

    async def _expect(self, db: Connection, name: str, record: Told) -> Told:
        id_, private = uuid4(), new_private_key()
        secret = self.intake.shelf.keys.wrap_grant(private, id_, 0)
        await followed.expect(db, id_, name, secret, record)
        return {"upload": {"id": str(id_), "recipient": public_key(private).hex()}}

    async def receive(self, name: str, id_: UUID, body: AsyncIterator[bytes], payer: Payer) -> None:
        """What was to come by this id, sealed. Raises Gone, BadSeal, WrongContent, Fenced, and as `Draft.fill`."""
        async with self.database.acquire() as db:
            here = await followed.get(db, name)
            found = await followed.expected(db, name, id_)
        if here is None or here.state != FOLLOWING:
            raise followed.fenced(name)
        if found is None:
            raise Gone("nothing is to come by this id any more")
        secret, record = found
        private = self.intake.shelf.keys.unwrap_grant(secret, id_, 0)
        plain = unsealed(self.intake.workshop.cipher, body, private)
        if record["kind"] == "profile":
            await self.profiles.take(name, record["epoch"], id_, plain)
            return
        line, plain = await line_of(plain, _LONGEST_LINE, _MEMBERS)
        await self._file(name, record["epoch"], id_, records.read(record), line, plain, payer)

    async def _file(
        self,
        name: str,
        epoch: int,
        id_: UUID,
        state: State,
        line: Told,
        plain: AsyncIterator[bytes],
        payer: Payer,
    ) -> None:
        async with self.database.acquire() as db:
            here = await followed.get(db, name)
            if here is None or here.state != FOLLOWING:
                raise followed.fenced(name)
            parent = await self._parent(db, here, state)
        (await self.intake.room(payer)).demand(line["size"])
        async with self.intake.draft(
            parent,
            plain,
            payer,
            announced=line["size"],
            force=True,
            issued_by=line["issuedBy"],
            opaque=state.only_view == OPAQUE,
        ) as draft:
            if draft.sha256 != line["sha256"]:
                raise WrongContent("the SHA-256 is not that of what arrived", remedy="send the file again")
            async with self.database.transaction() as db:
                here = await self._begin(db, name, epoch, state)
                assert state.image is not None
                await followed.demand_kept(db, name, state.image)
                if not await followed.came(db, id_):
                    raise Gone("it has come already, or is not wanted any more")
                await draft.store(db, f"{PREFIX}{name}")
                await followed.add_image(db, name, state.image, draft.image)
                await self._place(db, here, state, draft.image)
                size = padded(draft.size)
                await acts.record(db, [Act(caller_of(name), "mirror file", guid=state.guid, bytes=size)])
            draft.keep()
        self.changed.everything()

    async def shred(self, name: str, epoch: int, theirs: Sequence[UUID]) -> int:
        """The first's images are destroyed here too, with a receipt of this installation's; how many there were."""
        async with self.database.transaction() as db:
            ours = await followed.shred(db, name, epoch, theirs)
        if ours:
            await self.shredder.follow(caller_of(name), ours)
        return len(ours)

    async def note(self, name: str, epoch: int, told: Sequence[Told]) -> None:
        """Rows of the first's audit, for this one's."""
        async with self.database.transaction() as db:
            await followed.keep(db, name, epoch)
            await acts.record(db, [_act(name, one) for one in told])


def _act(name: str, told: Told) -> Act:
    who = Caller(str(told["caller"]), frozenset(), source=str(told["source"] or ""))
    there = {"mirror": name, "row": told["id"], "at": told["at"]}
    return Act(
        who,
        str(told["act"]),
        str(told["outcome"]),
        UUID(str(told["guid"])),
        told["view"],
        told["bytes"],
        {**told["details"], "first": there},
    )
