"""Profiles, as a first site sends them: what needs one waits until the mirror has it, and nothing else does."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from mdm_async.catalog.mirrors import changes, had
from mdm_async.catalog.mirrors.changes import Change
from mdm_async.catalog.mirrors.states import State
from mdm_async.errors import Fenced, MdmError
from mdm_async.images.mirroring.outfit import AWAY, BUSY, Line, demand
from mdm_async.names import BASIC, IDENTIFIED, OPAQUE

_ON_ITS_WAY = "it has not been sent yet"

_PIECE = 1 << 20

_log = structlog.get_logger()


def waits_for(profile: str) -> str:
    """As the reason why a change is put off."""
    return f"profile {profile}"


@dataclass(frozen=True, slots=True, repr=False)
class SentProfiles:
    line: Line

    async def lacking(self, states: Collection[State]) -> dict[UUID, str]:
        """The entries of these that the mirror cannot take yet, each with a profile that it lacks and is to be sent."""
        name = self.line.mirror.name
        async with self.line.outfit.database.transaction() as db:
            known = await had.profiles(db, name)
            for profile in sorted({one for state in states for one in _needed(state)} - known.keys()):
                # Noted before it is read, so that what becomes of it from now on is sent, too.
                await had.add_profile(db, name, profile, _ON_ITS_WAY)
                await changes.note_profile(db, name, profile)
                known[profile] = _ON_ITS_WAY
        lacking = {}
        for state in states:
            if lacks := [one for one in _needed(state) if known[one] is not None]:
                lacking[state.guid] = lacks[0]
        return lacking

    async def send(self, noted: Sequence[Change]) -> None:
        """Those that are others by now, or have another mapping, if the mirror has them or is to."""
        for change in noted:
            assert change.name is not None
            async with self.line.outfit.database.acquire() as db:
                known = await had.profiles(db, self.line.mirror.name)
            if change.kind == "mapping":
                named = await self.line.outfit.profiles.of_project(change.name)
            else:
                named = [change.name]
            failures = [why for one in named if one in known and (why := await self._one(one, known[one]))]
            async with self.line.outfit.database.acquire() as db:
                if failures:
                    await changes.put_off(db, [change], failures[0])
                else:
                    await changes.done(db, [change])

    async def _one(self, profile: str, failure: str | None) -> str | None:
        """The kind of error for which the mirror does not take it."""
        name, database = self.line.mirror.name, self.line.outfit.database
        try:
            await self._upload(profile)
        except (Fenced, *BUSY, *AWAY):
            raise
        except MdmError as why:
            if failure != why.detail:
                _log.warning(
                    "a mirror does not take a profile", mirror=name, profile=profile, reason=why.detail
                )
            async with database.acquire() as db:
                await had.add_profile(db, name, profile, why.detail)
            return type(why).__name__
        async with database.acquire() as db:
            await had.add_profile(db, name, profile, None)
            while await changes.hasten(db, name, waits_for(profile)):
                pass
        return None

    async def _upload(self, profile: str) -> None:
        told = await self.line.outfit.profiles.told(profile)
        if told is None:
            return
        (answer,) = await self.line.records([{"kind": "profile"}])
        demand(answer)

        async def content() -> AsyncIterator[memoryview]:
            for part in told:
                for at in range(0, len(part), _PIECE):
                    yield memoryview(part)[at : at + _PIECE]

        await self.line.upload(answer["upload"], content())


def _needed(state: State) -> list[str]:
    named = (BASIC, *(state.views or ()), state.default_view, state.only_view)
    return [view for view in named if view is not None and view not in (IDENTIFIED, OPAQUE)]
