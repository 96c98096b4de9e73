"""Copies that nobody waits for: asked about, aborted, forgotten."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import pytest

from mdm_async.errors import Aborted, Forbidden, NotFound, TooManyRequests, UnknownRequest
from mdm_async.names import AUTHENTICATED, Caller
from mdm_async.web.copying.asking import CopyAsk, Direction
from mdm_async.web.copying.copies import Copies
from mdm_async.web.copying.other_side import OtherSide
from tests.faults.conditions import until
from tests.patience import PATIENCE
from tests.web.copying.conftest import Copying
from tests.web.copying.peers import Talk, gives


@pytest.fixture
async def caller(copying: Copying, place: str) -> Caller:
    """Who may do everything in the test's directory."""
    for path, rights in ((place, "pdrwlxgs"), ("/", "x")):
        rule = {"principal": "user:ada", "rights": rights}
        await copying.server.srm("setPermission", surls=[path], permissionType="ADD", rules=[rule])
    return Caller("user:ada", frozenset({"user:ada", AUTHENTICATED}), source="192.0.2.1")


def _pull(copying: Copying, place: str, path: str) -> CopyAsk:
    return CopyAsk(Direction.PULL, f"{place}/f", OtherSide.parse(copying.peer.url(path)))


async def _ended(copies: Copies, caller: Caller, id_: UUID) -> None:
    await copies.settled(caller, id_, seconds=PATIENCE)
    assert copies.known(caller, id_).ended.is_set()


async def test_a_copy_is_known_until_it_has_ended_and_after(
    copying: Copying, place: str, caller: Caller, ct: bytes
) -> None:
    go = asyncio.Event()

    async def waits(talk: Talk) -> None:
        await go.wait()
        await talk.answer(200, ct)

    copying.peer.on["/later"] = waits
    copies = copying.copies
    id_ = copies.begin(caller, _pull(copying, place, "/later"))
    known = await copies.settled(caller, id_, seconds=0)
    assert (known.ended.is_set(), known.failure) == (False, None)
    go.set()
    await _ended(copies, caller, id_)
    assert (known.failure, known.progress.bytes) == (None, len(ct))
    assert await copying.exists(f"{place}/f")


async def test_an_aborted_copy_leaves_nothing(
    copying: Copying, place: str, caller: Caller, ct: bytes
) -> None:
    async def half(talk: Talk) -> None:
        await talk.say(f"HTTP/1.1 200 OK\r\nContent-Length: {len(ct)}\r\n\r\n")
        if talk.asked.method == "GET":
            await talk.say(ct[:1000])
            await talk.for_ever()

    copying.peer.on["/aborted"] = half
    copies = copying.copies
    id_ = copies.begin(caller, _pull(copying, place, "/aborted"))
    await until(lambda: copies.known(caller, id_).progress.bytes)
    copies.abort(caller, id_)
    await _ended(copies, caller, id_)
    assert isinstance(copies.known(caller, id_).failure, Aborted)
    copies.abort(caller, id_)
    assert not await copying.exists(f"{place}/f")
    copying.peer.on["/aborted"] = gives(ct)
    await _ended(copies, caller, again := copies.begin(caller, _pull(copying, place, "/aborted")))
    assert copies.known(caller, again).failure is None


async def test_why_it_failed_is_told_by_the_error_itself(
    copying: Copying, place: str, caller: Caller
) -> None:
    copies = copying.copies
    ask = CopyAsk(Direction.PUSH, f"{place}/none", OtherSide.parse(copying.peer.url("/x")))
    await _ended(copies, caller, id_ := copies.begin(caller, ask))
    assert isinstance(copies.known(caller, id_).failure, NotFound)
    with pytest.raises(Forbidden):
        copies.begin(
            caller, CopyAsk(Direction.PULL, f"{place}/f", OtherSide.parse(copying.stranger.url("/x")))
        )


async def test_others_do_not_know_it(copying: Copying, place: str, caller: Caller) -> None:
    copies = copying.copies
    id_ = copies.begin(caller, _pull(copying, place, "/404"))
    other = Caller("user:eve", frozenset({"user:eve", AUTHENTICATED}))
    with pytest.raises(UnknownRequest):
        copies.known(other, id_)
    with pytest.raises(UnknownRequest):
        copies.abort(other, id_)
    with pytest.raises(UnknownRequest):
        copies.known(caller, UUID(int=1))
    await _ended(copies, caller, id_)


async def test_as_many_are_kept_as_may_be_and_the_oldest_are_forgotten(
    copying: Copying, place: str, caller: Caller
) -> None:
    copies = copying.copies
    before = copies.kept.most
    copies.kept.most = copies.kept.used + 8
    try:
        begun = []
        for _ in range(12):
            begun.append(copies.begin(caller, _pull(copying, place, "/404")))
            await _ended(copies, caller, begun[-1])
        with pytest.raises(UnknownRequest):
            copies.known(caller, begun[0])
        copies.known(caller, begun[-1])
    finally:
        copies.kept.most = before


async def test_who_comes_when_others_never_asked_again_finds_room(
    copying: Copying, place: str, caller: Caller
) -> None:
    copies = copying.copies
    before = copies.kept.most
    copies.kept.most = copies.kept.used + 4
    try:
        for name in ("ben", "dan", "eve", "joe", "may"):
            one = Caller(f"user:{name}", frozenset({f"user:{name}", AUTHENTICATED}))
            for _ in range(2):
                await _ended(copies, one, copies.begin(one, _pull(copying, place, "/404")))
    finally:
        copies.kept.most = before


async def test_more_are_begun_than_may_run_and_wait_for_a_slot(
    copying: Copying, place: str, caller: Caller, ct: bytes
) -> None:
    go = asyncio.Event()

    async def waits(talk: Talk) -> None:
        await go.wait()
        await talk.answer(200, ct)

    copying.peer.on["/many"] = waits
    copies, before = copying.copies, copying.copies.running.most
    copies.running.most = 8
    url = copying.peer.url("/many")
    try:
        asks = [CopyAsk(Direction.PULL, f"{place}/{at}", OtherSide.parse(url)) for at in range(6)]
        begun = [copies.begin(caller, replace(ask, headers=(("X-Secret", "s"),))) for ask in asks]
        await until(lambda: len(copying.peer.methods("/many")) == 2)
        assert copies.running.used == 2
        go.set()
        for id_ in begun:
            await _ended(copies, caller, id_)
    finally:
        copies.running.most = before
    known = [copies.known(caller, id_) for id_ in begun]
    assert [one.failure for one in known] == [None] * 6
    assert [one.ask for one in known] == asks  # and no credential of anybody


async def test_one_caller_may_not_have_too_many_under_way(
    copying: Copying, place: str, caller: Caller
) -> None:
    copying.peer.on["/silence"] = Talk.for_ever
    copies, begun = copying.copies, []
    before = copies.kept.most
    copies.kept.most = copies.kept.used + 8
    try:
        with suppress(TooManyRequests):
            while len(begun) < 8:
                begun.append(copies.begin(caller, _pull(copying, place, "/silence")))
    finally:
        copies.kept.most = before
    assert 0 < len(begun) < 8
    for id_ in begun:
        copies.abort(caller, id_)
    for id_ in begun:
        await _ended(copies, caller, id_)
    await until(lambda: copies.running.used == 0)


async def test_none_is_begun_while_the_server_shuts_down(
    copying: Copying, place: str, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying.server.house, "draining", True)
    with pytest.raises(TooManyRequests, match="shutting down"):
        copying.copies.begin(caller, _pull(copying, place, "/404"))
